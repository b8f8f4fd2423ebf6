"""`worktree.list`, `.restore` and `.prune`: the places that are there, and the work set aside when one went."""

from __future__ import annotations

from hpm_tools import names
from hpm_tools.commands.common import REPO, warned_config, worktree_tools
from hpm_tools.errors import UsageError
from hpm_tools.registry import Arg, Result, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Literal

    from hpm_tools.commands.results import Pruned, Restored, SalvagedWork, Worktree, Worktrees
    from hpm_tools.ui import TerminalUI
    from hpm_tools.worktree.place import Place
    from hpm_tools.worktree.registration import Registration
    from hpm_tools.worktree.restore import Salvaged

DAY = 86400.0


def _ref(text: str) -> str:
    if not text.isprintable() or not names.is_branch(text.removeprefix("refs/hpm/salvage/")):
        raise UsageError(f"{names.shown(text)} names no salvage", "hpm worktree.list shows them")
    return text


@command("worktree.list", example="hpm worktree.list --json", reads=True, args={"repo": REPO})
def list_(ui: TerminalUI, *, repo: str | None = None) -> Result[Worktrees]:
    """List the tasks' worktrees and the salvaged work.

    Lists also directories that were moved aside in doubt.
    """
    from hpm_tools.config import require_repository
    from hpm_tools.worktree import discovery, layout, registration

    settings = warned_config(ui, repo)
    root = require_repository(settings)
    place = discovery.ordinary_place(root) or _place_by_git(root)
    registered = registration.of_tasks(place.common_dir)
    salvages = _salvages(place) if layout.may_have_salvage(place.common_dir) else []
    kept = layout.kept_directories(layout.base_directory(place.root, settings.worktree_base))
    data: Worktrees = {
        "worktrees": [_worktree_data(found) for found in registered],
        "salvage": [_salvage_data(found) for found in salvages],
        "kept": [str(path) for path in kept],
    }
    if not any(data.values()):
        ui.note_nothing(f"{root} has no worktree of a task and no salvaged work")
    return Result(data, _list_text(registered, salvages, [str(path) for path in kept], ui.columns))


def _place_by_git(root: str) -> Place:
    from hpm_tools.worktree.repository import Repository

    return Repository.discover(root).place


def _salvages(place: Place) -> list[Salvaged]:
    from hpm_tools.worktree import restore
    from hpm_tools.worktree.git import Git

    return restore.salvages(Git(place.repository))


def _worktree_data(found: Registration) -> Worktree:
    commit, branch = found.head()
    return {
        "path": str(found.path),
        "task_id": found.key.id if found.key else None,
        "board": found.key.board if found.key else None,
        "created_at": found.key.created_at if found.key else None,
        "branch": branch,
        "commit": commit,
        "state": _state(found),
    }


def _state(found: Registration) -> Literal["ready", "unfinished", "missing"]:
    if found.missing:
        return "missing"
    return "ready" if found.mark else "unfinished"


def _salvage_data(found: Salvaged) -> SalvagedWork:
    return {
        "ref": found.ref,
        "commit": found.commit,
        "task_id": int(found.task_id) if found.task_id.isdecimal() else None,
        "agent_id": found.agent_id,
        "made_at": found.made_at,
        "branch": found.branch,
        "head": found.head,
        "archive": found.archive[0] if found.archive else None,
        "merged": found.merged,
    }


def _list_text(
    registered: list[Registration], salvages: list[Salvaged], kept: list[str], width: int | None
) -> str:
    from hpm_tools.text import age, table

    parts = []
    if registered:
        rows: list[tuple[object, ...]] = []
        for found in registered:
            commit, branch = found.head()
            where = branch or f"at {(commit or '?')[:12]}"
            rows.append((found.key.id if found.key else "", where, _state(found), str(found.path)))
        parts.append(table(rows, ("TASK", "BRANCH", "STATE", "WORKTREE"), width, free=("BRANCH", "WORKTREE")))
    if salvages:
        rows = [
            (
                found.task_id,
                age(found.made_at),
                ", ".join(
                    note
                    for note, true in (("ignored files", found.archive), ("merged", found.merged))
                    if true
                ),
                found.ref,
            )
            for found in salvages
        ]
        parts.append(table(rows, ("TASK", "AGE", "NOTES", "SALVAGE"), width, free=("NOTES",)))
    if kept:
        parts.append(table([(path,) for path in kept], ("MOVED ASIDE",), width))
    return "\n\n".join(parts)


@command(
    "worktree.restore",
    example="hpm worktree.restore --ref refs/hpm/salvage/dev_001/12/20260102T030405Z",
    args={
        "ref": Arg("the salvage, as worktree.list shows it", metavar="REF", check=_ref),
        "to": Arg("a checkout to put the changes into, instead of a worktree made for them", metavar="DIR"),
        "repo": REPO,
    },
)
def restore(ui: TerminalUI, *, ref: str, to: str | None = None, repo: str | None = None) -> Result[Restored]:
    """Bring salvaged work back as uncommitted changes.

    Prints the directory. Without --to a worktree is made at the commit that the work was based on. The salvage
    itself stays. A checkout with other changes, or whose HEAD changed the same files since, is not touched
    (73).
    """
    from hpm_tools.text import counted

    path, paths = worktree_tools(ui, repo).worktrees.restore(ref, to)
    ui.note(f"{counted(len(paths), 'file')} restored into {path}")
    return Result({"ref": ref, "path": str(path), "files": paths}, str(path))


@command(
    "worktree.prune",
    example="hpm worktree.prune --salvage --older-than 30",
    args={
        "salvage": Arg("list salvaged work, ask, and delete it for good"),
        "older_than": Arg("only salvage that is older than so many days", metavar="DAYS"),
        "yes": Arg("delete without asking"),
        "repo": REPO,
    },
)
def prune(
    ui: TerminalUI,
    *,
    salvage: bool = False,
    older_than: float = 30.0,
    yes: bool = False,
    repo: str | None = None,
) -> Result[Pruned]:
    """Forget vanished worktrees and deleted branches.

    Prints what it forgot. With --salvage the salvage refs older than --older-than days are listed and, after a
    question or with --yes, deleted with their archives, and so are archives of that age that no salvage names.
    Nothing else deletes salvage that is on no branch.
    """
    from hpm_tools.state.views import all_records
    from hpm_tools.worktree import pruning

    if older_than < 0:
        raise UsageError("--older-than is negative", "give days, 0 for all")
    tools = worktree_tools(ui, repo)
    worktrees = tools.worktrees
    at_work = {view.record.run_id for view in all_records(tools.state) if view.record is not None}
    done = pruning.tidy(worktrees, at_work)
    git = worktrees.repository.git
    found = pruning.old_salvages(git, older_than * DAY) if salvage else []
    loose = pruning.old_archives(git, older_than * DAY) if salvage else []
    deleted = bool(found or loose) and _agreed(ui, found, loose, yes=yes)
    if deleted:
        gone = pruning.delete_salvages(git, found, loose)
        done.salvage, done.archives = gone.salvage, gone.archives
    data: Pruned = {
        "worktrees": done.worktrees,
        "refs": done.refs,
        "salvaged": done.salvaged,
        "deleted": done.salvage,
        "archives": done.archives,
        "left": [] if deleted else [salvaged.ref for salvaged in found],
    }
    if not any(data.values()):
        ui.note_nothing("there was nothing to forget")
    return Result(data, "\n".join([*done.worktrees, *done.refs, *done.salvage]))


def _agreed(ui: TerminalUI, found: list[Salvaged], archives: list[Path], *, yes: bool) -> bool:
    from hpm_tools.text import age, counted

    for salvaged in found:
        merged = "on a branch" if salvaged.merged else "on no branch"
        ui.note(f"{salvaged.ref}  {age(salvaged.made_at)}  {merged}")
    for path in archives:
        ui.note(f"{path}  {age(path.stat().st_mtime)}  named by no salvage")
    count = len(found) + len(archives)
    if yes:
        return True
    if not ui.is_terminal:
        ui.note(
            f"{counted(count, 'salvage')} would be deleted; --yes deletes {'it' if count == 1 else 'them'}"
        )
        return False
    return ui.ask(f"delete {counted(count, 'salvage')} for good?", ("yes", "no"), "no") == "yes"
