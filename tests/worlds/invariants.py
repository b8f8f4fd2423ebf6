"""What must be true of every world when all is over."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.campaign.invariants import CONTROL, KNOWN_CODES
from tests.support.board_process import KEY
from tests.worlds.findable import Findable
from tests.worlds.ledger import ledgers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.worlds.play import Story

PARKED = re.compile(r"\bparked by ")


def nothing_lost(story: Story) -> Iterator[str]:
    """Every byte in its place when its run ended is in a branch, a salvage, an archive or a directory."""
    site = story.site
    found = Findable(site)
    claimed: dict[str, tuple[str, str]] = {}
    commits: dict[str, str] = {}
    for ledger in ledgers(site.logs):
        if ledger["acting"]:
            continue
        who = f"{ledger['who']} of task {ledger.get('task')} run {ledger.get('run')}"
        for blob in ledger["gone"].values():
            claimed.pop(blob, None)
        for commit in ledger["gone_commits"]:
            commits.pop(commit, None)
        claimed |= {blob: (path, who) for path, blob in ledger["files"].items()}
        commits |= dict.fromkeys(ledger["commits"], who)
    for blob, (path, who) in claimed.items():
        if not found.holds(blob):
            yield f"{path}, written by {who}, is nowhere"
    for commit, who in commits.items():
        if not found.holds(commit):
            yield f"commit {commit[:12]}, made by {who}, is nowhere"


def one_agent_in_a_place(story: Story) -> Iterator[str]:
    """No two agents at one task or in one place."""
    yield from story.site.log("overlaps")


def nothing_runs(story: Story) -> Iterator[str]:
    """Nothing of any run is alive."""
    from tests.campaign.invariants import SECONDS_TO_SETTLE
    from tests.support.waiting import wait_until

    try:
        wait_until(lambda: not list(story.site.processes()), SECONDS_TO_SETTLE, "the end of all processes")
    except AssertionError:
        yield from story.site.processes()


def true_statuses(story: Story) -> Iterator[str]:
    """Every task is offered, done or parked and held by nobody, or a command names it as needing a person."""
    for row in story.rows:
        number, status, holder = row["id"], row["status"], row["locked_by"]
        if status == "under_work" and f"task {number}" not in " ".join(story.health):
            yield f"task {number} is under_work, held by {holder}, and health does not name it"
        if holder is not None:
            yield f"task {number} ({status}) is still locked by {holder}"
        if status == "pending" and not PARKED.search(row["said"]):
            yield f"task {number} is pending without a word of why"


def takes_work(story: Story) -> Iterator[str]:
    """Every runner takes and does the next plain task."""
    for agent, number, runner in story.probes:
        row = story.site.board.task(number)
        if row["status"] not in ("dev_done", "qa_done"):
            yield f"{agent} did not do the plain task {number} ({row['status']}): {runner}"


def goes_on(story: Story) -> Iterator[str]:
    """A runner that has begun to work ends only when it is told to: one odd thing does not stop it."""
    faults = {name for name in story.happened if name.startswith("fault ")}
    if "fault bug" in faults or "fault disk_full" in faults:
        return
    for runner in story.site.launched:
        if runner.lasting and not runner.told_to_end and not runner.killed and "taken:" in runner.output:
            yield f"it ended by itself with {runner.code}: {runner}"


def plain_words(story: Story) -> Iterator[str]:
    """No traceback, no key, no control characters, no code without a meaning."""
    for runner in story.site.launched:
        said = runner.output
        if "Traceback (most recent call last)" in said or "unexpected" in said:
            yield f"an unforeseen error: {said[-1500:]}"
        if KEY in said:
            yield "a runner printed the board's key"
        if found := CONTROL.search(said):
            yield f"a runner printed {found[0]!r}"
        if runner.code is not None and runner.code >= 0 and runner.code not in KNOWN_CODES:
            yield f"a runner ended with {runner.code}"


INVARIANTS: dict[str, Callable[[Story], Iterator[str]]] = {
    "lost": nothing_lost,
    "two agents": one_agent_in_a_place,
    "alive": nothing_runs,
    "status": true_statuses,
    "takes work": takes_work,
    "goes on": goes_on,
    "words": plain_words,
}


def judge(story: Story) -> list[str]:
    """Everything that any invariant has to object, each with its name in front."""
    return [f"{name}: {said}" for name, check in INVARIANTS.items() for said in check(story)]
