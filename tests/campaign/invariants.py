"""The promises of docs/reliability.md, checked after every case against the machine, git and the board."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import tarfile
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hpm_tools.errors import BAD_DATA, MISCONFIGURED, SIGNAL_BASE, HpmError
from hpm_tools.state.guard import held
from hpm_tools.state.record import parse
from tests.campaign.bench import IGNORED, LONGEST, Bench, Done, Fault
from tests.support.board_process import KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.campaign.scenario import Scenario

CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")
KNOWN_CODES = frozenset({0, 1, 2, 3, 65, 69, 70, 73, 75, 77, 78, 124, 137, 143})
CODE_OF_FAULT = {"kill": -9, "stall": -9}
GIVEN_BACK = " under_work created"
SECONDS_TO_SETTLE = 60.0


@dataclass
class Story:
    """One case as it went: ``disturbed`` are the commands with the fault armed, ``restarted`` those after it."""

    bench: Bench
    scenario: Scenario
    task: int
    fault: Fault | None
    disturbed: list[Done] = field(default_factory=list)
    restarted: list[Done] = field(default_factory=list)
    earlier: list[Done] = field(default_factory=list)

    @property
    def commands(self) -> list[Done]:
        return [*self.earlier, *self.disturbed, *self.restarted]

    @property
    def row(self) -> dict[str, str | None]:
        found: dict[str, str | None] = self.bench.board.task(self.task)
        return found

    def saw_work(self) -> bool:
        """Whether any agent wrote anything."""
        return bool(self.bench.writes())

    def met_full_disk(self) -> bool:
        return self.fault is not None and self.fault.kind == "enospc"

    def expected_branches(self) -> set[str]:
        return {"main", *self.scenario.branches.format(task=self.task).split()}


def one_agent(story: Story) -> Iterator[str]:
    """I1: never two live agents for one task."""
    yield from (f"two agents at once: {line}" for line in story.bench.log("overlaps"))
    if story.scenario.holder is not None and story.bench.log("ends"):
        yield "the board gave the task to somebody else, and the agent worked on to its end"


def nothing_lost(story: Story) -> Iterator[str]:
    """I2: all that any agent run wrote is in a commit that a branch or a salvage reaches, in an archive, or on disk."""
    bench = story.bench
    kept = set(
        bench.git(
            "rev-list", "--objects", "--no-object-names", "--branches", "--glob=refs/hpm/salvage"
        ).split()
    )
    archived = archived_contents(bench.repo / ".git" / "hpm" / "archive")
    for _, run, path, text in bench.writes():
        data = text.encode()
        blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()  # git's own name of it
        if blob not in kept and data not in archived and not holds(path, data):
            yield f"lost: {path} of run {run} is in no branch, no salvage, no archive, and not on disk"
    for commit in bench.log("commits"):
        if commit not in kept:
            yield f"lost: the agent's commit {commit[:12]} is reachable from no branch and no salvage"
    for name in story.scenario.keeps:
        if name not in bench.git("status", "--porcelain"):
            yield f"somebody's uncommitted {name} was touched"


def no_process(story: Story) -> Iterator[str]:
    """I3: nothing of the run lives on."""
    deadline = time.monotonic() + SECONDS_TO_SETTLE
    while (left := list(story.bench.processes())) and time.monotonic() < deadline:
        time.sleep(0.05)
    yield from (f"still alive: {process}" for process in left)


def truthful_board(story: Story) -> Iterator[str]:
    """I4: the board says what happened, once, with evidence, and nobody holds what is over."""
    row, told = story.row, " ".join(story.bench.board.statuses(story.task))
    possible = [told]
    if story.met_full_disk() and gave_back(story.disturbed[-1]):
        given = " under_work dev_done" if story.scenario.role == "qa" else GIVEN_BACK
        possible.append(told.replace(given, "", 1))
    if not any(re.fullmatch(story.scenario.changelog, statuses) for statuses in possible):
        yield f"the changelog says {told!r}, which is not {story.scenario.changelog!r}"
    if row["locked_by"] != story.scenario.holder:
        yield f"the lock is held by {row['locked_by']}, not by {story.scenario.holder}"
    notes = row["notes"] or ""
    if row["status"] in ("dev_done", "qa_done"):
        yield from evidence(story, notes)
    for line in set(notes.splitlines()):
        if line.startswith("parked by") and notes.count(line) > 1:
            yield f"told twice: {line}"
    if row["status"] == "pending" and "parked by" not in notes and " pending" in told[len("pending") :]:
        yield "parked without a word of why"
    if "parked by" in notes:
        kept = story.bench.git("for-each-ref", "--format=%(refname)", "refs/hpm/salvage").split()
        yield from (f"parked without naming {ref}" for ref in kept if ref not in notes)


def gave_back(done: Done) -> bool:
    """Whether the disk filled up while an agent started, or where no agent may work but in a worktree."""
    return done.code == MISCONFIGURED or " given back: no worktree for task " in done.output


def evidence(story: Story, notes: str) -> Iterator[str]:
    """A finished task names a commit that is there, and for a maker holds what its last agent wrote."""
    found = re.search(r"^commit: ([0-9a-f]{40})$", notes, re.MULTILINE)
    if found is None:
        yield f"done without a commit in the notes: {notes!r}"
        return
    bench = story.bench
    branch = re.search(r"^branch: (\S+)$", notes, re.MULTILINE)
    tip = bench.git("rev-parse", branch[1] if branch else "HEAD")
    if bench.git("rev-list", found[1], f"^{tip}"):
        yield f"done with a commit that its branch does not reach: {notes!r}"
    if story.scenario.role == "qa":
        return
    if not bench.runs():
        yield "done, and no agent ever ran"
        return
    last = bench.runs()[-1][4]
    listed = bench.git("ls-tree", "-r", "--name-only", found[1]).split()
    for _, run, path, _ in bench.writes():
        name = os.path.basename(path)
        if run == last and name not in listed and not name.startswith(IGNORED):
            yield f"done without evidence: {name} is not in the reported commit"
    made = {".gitignore", ".gitmodules"}
    strange = [name for name in listed if name.startswith(".") and name not in made]
    if strange:
        yield f"a sandbox's placeholders were committed: {strange}"


def no_secret(story: Story) -> Iterator[str]:
    """I5: the board's key is in no file, no output and no agent's environment."""
    key = KEY.encode()
    for done in story.commands:
        if KEY in done.output:
            yield f"the board's key was printed by {done.argv}"
    for path in files_below(story.bench.directory):
        if key in path.read_bytes():
            yield f"the board's key is in {path}"


def clean_terminal(story: Story) -> Iterator[str]:
    """I6: no control or bidi characters reach the terminal, whatever board and agents say."""
    for done in story.commands:
        found = CONTROL.search(done.output)
        if found:
            yield f"{done.argv[0]} printed {found[0]!r}: {done.output[max(0, found.start() - 30) : found.end() + 10]!r}"


def in_time(story: Story) -> Iterator[str]:
    """I7: every command ends within its bound."""
    yield from (
        f"{done.argv[0]} took {done.seconds:.0f} s" for done in story.commands if done.seconds > LONGEST
    )


def tidy_state(story: Story) -> Iterator[str]:
    """I8: records gone or valid, guards free, and no temporary file, worktree or branch left over."""
    bench = story.bench
    yield from unreadable_records(bench)
    for path in (bench.state / "locks").glob("*.lock"):
        yield f"a record is left: {path.read_text(encoding='utf-8', errors='replace')[:200]}"
    yield from (f"a question is left: {path.name}" for path in (bench.state / "locks").glob("*.prompt"))
    for path in [*bench.state.rglob("*.guard"), *(bench.repo / ".git" / "hpm").glob("*.guard")]:
        if held(str(path)):
            yield f"a guard is still held: {path.name}"
    yield from (f"left over: {path}" for path in leftovers(bench))
    yield from odd_modes(bench)
    yield from odd_refs(story)


def unreadable_records(bench: Bench) -> Iterator[str]:
    """Records that are neither valid nor moved aside; also asked right after the fault."""
    for path in (bench.state / "locks").glob("*.lock"):
        try:
            parse(path.read_bytes())
        except HpmError as error:
            yield f"{path.name} is not valid: {error.message}"


def leftovers(bench: Bench) -> Iterator[Path]:
    for path in bench.state.rglob("*"):
        if path.name.endswith(".tmp"):
            yield path
    for path in (bench.repo / ".git").rglob("*"):
        if path.name.endswith((".lock", ".new", ".part")) or path.name.startswith("hpm-index-"):
            yield path
    for pattern in (".trash-*", "*/.trash-*", "*/.removing-*"):
        yield from bench.repo.glob(pattern)
    yield from bench.repo.rglob("*.hpm-new")
    yield from bench.temporary.iterdir()


def odd_modes(bench: Bench) -> Iterator[str]:
    for path in files_below(bench.state):
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield f"{path} may be read by others"


def odd_refs(story: Story) -> Iterator[str]:
    bench = story.bench
    branches = set(bench.git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads").split())
    surplus = branches - story.expected_branches()
    if surplus:
        yield f"branches are left over: {sorted(surplus)}"
    least, most = story.scenario.salvages
    listed = bench.git("worktree", "list", "--porcelain").split("\n\n")
    surplus_worktrees = len(listed) - 1 - story.scenario.worktrees
    if story.met_full_disk():
        if worked_in_checkout(story):
            # Ignored files stay there, and what a parked task left there is salvaged.
            least, most = 0, most + 1
        if surplus_worktrees == 1 and is_said_to_stay(story):
            least, surplus_worktrees = 0, 0
    salvages = bench.git("for-each-ref", "--format=%(refname)", "refs/hpm/salvage").split()
    if not (least if story.saw_work() else 0) <= len(salvages) <= most:
        yield f"{len(salvages)} salvage refs, not {least} to {most}: {salvages}"
    if surplus_worktrees:
        yield f"{len(listed) - 1} worktrees are left: {listed}"
    if bench.git("branch", "--show-current") != "main":
        yield f"the checkout was left on {bench.git('branch', '--show-current')!r}"
    expected = {f"{name}" for name in story.scenario.keeps}
    dirty = {line.strip().rpartition(" ")[2] for line in bench.git("status", "--porcelain").splitlines()}
    if dirty - expected:
        yield f"the checkout was left dirty: {sorted(dirty)}"


def worked_in_checkout(story: Story) -> bool:
    return any(" is worked in the checkout" in done.output for done in story.commands)


def is_said_to_stay(story: Story) -> bool:
    """Whether the runner said that a worktree stays that it could not remove, and `health` says where it is."""
    path = story.bench.repo / ".worktrees" / f"task-{story.task}"
    said = any(f"warning: {path} stays: " in done.output for done in story.commands)
    return said and f"{path} is still there" in story.bench.command("health").output


def honest_exits(story: Story) -> Iterator[str]:
    """I9: a distinct exit code and a one-line reason, never a traceback."""
    for done in story.commands:
        if "Traceback (most recent call last)" in done.output:
            yield f"a traceback from {done.argv[0]}: {done.stderr[-1500:]}"
        if done.code >= 0 and done.code not in KNOWN_CODES:
            yield f"{done.argv[0]} ended with {done.code}, which means nothing"
        if BAD_DATA <= done.code < SIGNAL_BASE and not re.search(r"^error: \S", done.stderr, re.MULTILINE):
            yield f"{done.argv[0]} ended with {done.code} and did not say why: {done.stderr!r}"
    if story.fault is not None and story.disturbed:
        wanted = CODE_OF_FAULT.get(story.fault.kind)
        if wanted is not None and story.disturbed[-1].code != wanted:
            yield f"{story.fault} ended the command with {story.disturbed[-1].code}"
    if story.restarted and story.restarted[-1].code not in story.scenario.restart_codes:
        yield f"the restart ended with {story.restarted[-1].code}, not one of {story.scenario.restart_codes}"


def exact_accounts(story: Story) -> Iterator[str]:
    """I10: the days' accounts say what the tasks' logs say, however the writing of either was cut short."""
    state = story.bench.state
    logs = [json.loads(path.read_bytes()) for path in (state / "tasks").glob("*.json")]
    accounts = [json.loads(path.read_bytes()) for path in (state / "spending").glob("*.json")]
    of_tasks = sum(log.get("cost_usd", 0.0) for log in logs)
    of_days = sum(sum(account["days"].values()) for account in accounts)
    if abs(of_tasks - of_days) > 1e-6:
        yield f"the tasks cost {of_tasks} USD by their logs and {of_days} USD by the days' accounts"


def holds(path: str, data: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read() == data
    except OSError:
        return False


def archived_contents(folder: Path) -> set[bytes]:
    found = set()
    for path in folder.glob("*.tar"):
        with tarfile.open(path) as tar:
            found |= {content.read() for member in tar if (content := tar.extractfile(member))}
    return found


def files_below(directory: Path) -> Iterator[Path]:
    for path in directory.rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield path


INVARIANTS: dict[str, Callable[[Story], Iterator[str]]] = {
    "I1": one_agent,
    "I2": nothing_lost,
    "I3": no_process,
    "I4": truthful_board,
    "I5": no_secret,
    "I6": clean_terminal,
    "I7": in_time,
    "I8": tidy_state,
    "I9": honest_exits,
    "I10": exact_accounts,
}


def violations(story: Story) -> list[str]:
    """Everything that any invariant has to object, each with its name in front, then what the scenario's own check has."""
    found = [f"{name}: {said}" for name, check in INVARIANTS.items() for said in check(story)]
    own = story.scenario.check
    return [*found, *(f"{story.scenario.name}: {said}" for said in (own(story) if own else ()))]
