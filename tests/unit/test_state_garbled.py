"""Files of the state directory with the right types and absurd values: they hold nothing up, and nothing breaks."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from hpm_tools.notify.notices import Notice
from hpm_tools.process.identity import boot_id
from hpm_tools.state.last_seen import LastSeen
from hpm_tools.state.outbox import MOST_TRIES, RETRY_PAUSE, Claim, Outbox
from hpm_tools.state.paths import StateDir

NOTICE = {"kind": "parked", "at": 1.0, "agent": "dev_001", "where": "x", "text": "y"}
LONGEST = RETRY_PAUSE * MOST_TRIES
YEAR_9999 = 253402300799.0


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    state = StateDir(str(tmp_path / "state"))
    state.prepare()
    return state


def garble(path: str, **fields: Any) -> None:
    file = Path(path)
    known = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**known, **fields}), encoding="utf-8")


def box_with(state: StateDir, **fields: Any) -> Outbox:
    box = Outbox(state, window=0.0, hourly=9)
    box.add(NOTICE)
    garble(box.path, **fields)
    return box


@pytest.mark.parametrize("due", [1e300, YEAR_9999, "tomorrow"])
def test_notices_wait_no_longer_than_the_longest_pause_whatever_a_clock_said(
    state: StateDir, due: float | str
) -> None:
    """The wait began anew at each look, until the clock had come so far again."""
    box = box_with(state, due=time.time() + 86400 if due == "tomorrow" else due)
    left = box.claim()
    assert isinstance(left, float)
    assert left <= LONGEST
    assert json.loads(Path(box.path).read_text(encoding="utf-8"))["due"] <= time.time() + LONGEST


@pytest.mark.parametrize(
    "fields",
    [
        {"tries": -(10**15)},
        {"tries": 10**40},
        {"lost": 1e300},
        {"problem": {"at": 1e300, "text": "x"}},
        {"told": {"parked|x": YEAR_9999}},
        {"sent": [YEAR_9999] * 50},
        {"claim": {"until": YEAR_9999, "notices": []}},
    ],
    ids=str,
)
def test_absurd_outbox_takes_and_sends_the_next_notice(state: StateDir, fields: dict[str, Any]) -> None:
    box = box_with(state, **fields)
    assert box.problem() is None
    assert box.add({**NOTICE, "text": "next"}, "parked|x")
    claim = box.claim(at_once=True)
    if isinstance(claim, float):  # the claim of nobody was given up just now
        garble(box.path, due=0.0)
        claim = box.claim(at_once=True)
    assert isinstance(claim, Claim)
    assert claim.notices[-1]["text"] == "next"
    box.settle(claim, sent=True)
    assert not box.waiting()


@pytest.mark.parametrize("at", [1e300, -1.0, True, "1"])
def test_notice_of_no_time_is_none(at: object) -> None:
    """One of them ended the message of all that waited with it."""
    assert Notice.from_json({**NOTICE, "at": at}) is None


@pytest.mark.parametrize("fields", [{"open": {"1": [1e15, True]}}, {"begun": 10**40}, {"begun": -5}], ids=str)
def test_absurd_acts_are_over(state: StateDir, fields: dict[str, Any]) -> None:
    """An act that began in the future stayed open for good: what the board says was never known again."""
    seen = LastSeen(state, "board")
    seen.acted("dev_001", seen.acting("dev_001"), "2026-01-01T00:00:00")
    (path,) = Path(state.seen).glob("*.json")
    garble(str(path), **fields, here=json.loads(path.read_text(encoding="utf-8"))["here"])
    assert boot_id() in path.read_text(encoding="utf-8")
    assert not seen.was_killed("dev_001")
    seen.acted("dev_001", seen.acting("dev_001"), "2026-01-01T00:00:01")
    seen.acted("dev_001", seen.acting("dev_001"), "2026-01-01T00:00:02")
    assert seen.own("dev_001") == "2026-01-01T00:00:02"
