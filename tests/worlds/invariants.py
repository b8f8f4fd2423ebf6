"""What must be true of every world when all is over."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

from hpm_tools.errors import BAD_DATA, MISCONFIGURED, SIGNAL_BASE, UNEXPECTED
from tests.campaign.invariants import CONTROL, KNOWN_CODES
from tests.support.board_process import KEY
from tests.worlds import care
from tests.worlds.losses import nothing_lost
from tests.worlds.remains import no_secret, nothing_runs, private, tidy
from tests.worlds.reports import no_false_done
from tests.worlds.snapshot import untouched
from tests.worlds.statuses import told_once, true_statuses
from tests.worlds.truths import TRUTHS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.worlds.play import Story


def one_agent_in_a_place(story: Story) -> Iterator[str]:
    """No two agents at one task or in one place."""
    yield from story.site.log("overlaps")


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
    """No traceback, no key, no control characters, no code without a meaning, no refusal without a way out."""
    broken = "fault bug" in story.happened
    for runner in story.site.launched:
        said = runner.output
        if "Traceback (most recent call last)" in said or ("unexpected" in said and not broken):
            yield f"an unforeseen error: {said[-1500:]}"
        if KEY in said:
            yield "a runner printed the board's key"
        if found := CONTROL.search(said):
            yield f"a runner printed {found[0]!r}"
        code = runner.code
        if code is None or code < 0 or (code == UNEXPECTED and broken):
            continue
        if code not in KNOWN_CODES - {UNEXPECTED} and code - SIGNAL_BASE not in ENDED_BY:
            yield f"a runner ended with {code}: {said[-1500:]}"
        if BAD_DATA <= code < SIGNAL_BASE and not re.search(r"^error: \S", said, re.MULTILINE):
            yield f"a runner ended with {code} and did not say why: {said[-1500:]}"
        if code == MISCONFIGURED and not re.search(r"^error: .*\n  \S", said, re.MULTILINE):
            yield f"a refusal names no way out: {said[-1500:]}"
    if not broken:
        for path in (story.site.state / "crashes").glob("*"):
            yield f"a crash log: {path.read_text(encoding='utf-8', errors='replace')[-1500:]}"
    if CONTROL.search(" ".join(story.health)):
        yield "health says control characters"


ENDED_BY = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGTERM})
MOST = 8
"""Objections of one invariant that are told."""

INVARIANTS: dict[str, Callable[[Story], Iterator[str]]] = {
    "lost": nothing_lost,
    "two agents": one_agent_in_a_place,
    "done": no_false_done,
    "alive": nothing_runs,
    "status": true_statuses,
    "told once": told_once,
    "host": untouched,
    "tidy": tidy,
    "private": private,
    "secret": no_secret,
    "takes work": takes_work,
    "goes on": goes_on,
    "words": plain_words,
    "whole": care.whole_places,
    "limits": care.within_limits,
    "filtered": care.nothing_past_a_filter,
    "repository": care.no_repository_committed,
    "refused": care.health_says_why,
    **TRUTHS,
}


def judge(story: Story) -> list[str]:
    """Everything that any invariant has to object, each with its name in front."""
    found = []
    for name, check in INVARIANTS.items():
        said = list(check(story))
        found += [f"{name}: {one}" for one in said[:MOST]]
        if len(said) > MOST:
            found.append(f"{name}: and {len(said) - MOST} more")
    return found
