"""Where the work of a task is, in one sentence that notes, lines, events, report, page and notices share.

It is looked up once, when the ending is told, and journalled: nobody who shows it later needs git.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, get_type_hints

from hpm_tools.errors import HpmError
from hpm_tools.executor.verdict import QA, VerdictKind
from hpm_tools.names import is_branch
from hpm_tools.runner import turns
from hpm_tools.runner.ending import EndingKind, is_no_change
from hpm_tools.text import counted
from hpm_tools.worktree import attribution
from hpm_tools.worktree.branches import HEADS

if TYPE_CHECKING:
    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record
    from hpm_tools.worktree.repository import Repository

NOTHING = "nothing was changed"


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """``commits`` of the task that ``branch`` has, the last one ``commit``; ``branch`` None: no branch has them.

    ``changes``: whether they change any file. ``salvage``: the ref that keeps what was left uncommitted,
    ``directory``: where that lies still. ``judged``: the commit that qa looked at, which is nobody's work here.
    ``unknown``: why it could not be found out. ``elsewhere``: the verdict says where else its work is.
    """

    branch: str | None = None
    commits: int = 0
    commit: str | None = None
    changes: bool = False
    salvage: str | None = None
    directory: str | None = None
    judged: str | None = None
    unknown: str = ""
    elsewhere: bool = False

    @property
    def any(self) -> bool:
        """Whether there is anything of the task's own."""
        return bool((self.commits and self.changes) or self.salvage or self.directory)

    @property
    def words(self) -> str:
        """The sentence, as part of one: "its work: 2 commits on feature/task-1"."""
        if self.unknown and not self.any:
            return f"where its work is could not be told: {self.unknown}"
        places = []
        if self.commits:
            on = f"on {self.branch}" if self.branch else f"on no branch, the last {self.commit}"
            said = (
                ""
                if self.changes
                else ", which change no file"
                if self.commits > 1
                else ", which changes no file"
            )
            places.append(f"{counted(self.commits, 'commit')} {on}{said}")
        if self.salvage:
            places.append(
                f"uncommitted files kept as {self.salvage} (hpm worktree.restore --ref {self.salvage})"
            )
        if self.directory:
            places.append(left_in(self.directory))
        if self.judged is not None:
            looked = f"qa looked at {self.judged[:12]}" + (f" on {self.branch}" if self.branch else "")
            return "; ".join([looked, *places])
        if self.unknown:
            places.append(f"its commits could not be looked for ({self.unknown})")
        if not self.any:
            nothing = f"{NOTHING} in its place" if self.elsewhere else NOTHING
            return f"{nothing} ({places[0]})" if places else nothing
        return f"its work: {'; '.join(places)}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def of_record(record: Record) -> Whereabouts | None:
    """What was found when the ending of ``record`` was told; None before."""
    data = record.work
    if not isinstance(data, dict):
        return None
    kinds = get_type_hints(Whereabouts)
    return Whereabouts(
        **{name: data[name] for name, kind in kinds.items() if isinstance(data.get(name), kind)}
    )


def left_in(directory: str) -> str:
    """That no salvage has all that is uncommitted there, or that it was not taken out of it."""
    return f"uncommitted files in {directory}"


def words(record: Record) -> str:
    """The sentence for ``record``, whose ending is being told."""
    found = of_record(record)
    return found.words if found is not None else ""


def beside(record: Record) -> str:
    """The sentence as an addition, where there is any work."""
    found = of_record(record)
    return f"; {found.words}" if found is not None and found.any else ""


def named(record: Record) -> tuple[str | None, str | None]:
    """The branch and the commit that are told of a task that is over; None where there is no work on any."""
    if is_no_change(record):
        return None, None
    work = of_record(record)
    if work is None or (record.ending or {}).get("kind") == EndingKind.REPORTED:
        return record.branch_name, record.commit
    return work.branch, work.commit


def look(tools: Toolbox, record: Record) -> Whereabouts:
    """Where the work of ``record`` is now; whatever git says, this raises nothing."""
    elsewhere = (record.verdict or {}).get("kind") == VerdictKind.MISPLACED
    kept = Whereabouts(salvage=record.salvage, directory=record.stays, elsewhere=elsewhere)
    if record.role == QA:
        return replace(kept, branch=record.branch_name, judged=record.base or "")
    try:
        return _with_commits(tools, record, kept)
    except HpmError as error:
        return replace(kept, unknown=tools.clean(error.message))


def began_with(tools: Toolbox, record: Record) -> str | None:
    """The commit from which the task's commits count, those of earlier takes that were not reported included."""
    branch, carried = record.branch_name, tools.log_of(record).carried or {}
    if branch and (record.worktree_path or record.switch_back):
        begun = attribution.begun_at(tools.repository.common_dir, f"{HEADS}{branch}", int(record.task_id))
        if begun is not None and (begun == record.base or tools.repository.tree(begun) is not None):
            return begun
    if carried.get("commit") == record.base and carried.get("base"):
        return str(carried["base"])
    return record.base


def _with_commits(tools: Toolbox, record: Record, kept: Whereabouts) -> Whereabouts:
    repository, branch, base = tools.repository, record.branch_name, began_with(tools, record)
    tip = repository.resolve(f"{HEADS}{branch}") if is_branch(branch) else None
    last = record.commit or tip
    tree = repository.tree(last) if last != base else None
    if last is None or tree is None:
        return kept
    work = turns.look(tools, record)
    found = [
        commit for commit in _own(repository, record, base, last) if work is None or commit not in work.others
    ]
    if not found:
        return kept
    holds = tip is not None and _is_ancestor(repository, last, tip)
    return replace(
        kept,
        branch=branch if holds else None,
        commits=len(found),
        commit=last,
        changes=tree != repository.tree(base) if work is None else bool(work.changed),
    )


def _own(repository: Repository, record: Record, base: str | None, last: str) -> list[str]:
    """The task's commits from ``base`` to ``last``; in the checkout people make some, too."""
    listed = repository.git.text("rev-list", last, *([f"^{base}"] if base else [])).splitlines()
    if not record.in_place or record.switch_back:
        return listed
    own = attribution.commits_of(repository.place.git_dir, record.run_id, int(record.task_id))
    return listed if own is None else [commit for commit in listed if commit in own]


def _is_ancestor(repository: Repository, commit: str, tip: str) -> bool:
    args = ("merge-base", "--is-ancestor", commit, tip)
    return commit == tip or repository.git.run(*args, check=False).returncode == 0
