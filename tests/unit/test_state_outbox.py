"""Notices of all runners of a host are grouped, limited and lost by no crash."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from hpm_tools.state import files
from hpm_tools.state.outbox import CLAIM_SECONDS, HOUR, MOST_TRIES, MOST_WAITING, Claim, Outbox
from hpm_tools.state.paths import StateDir
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]
T = TypeVar("T")


def outbox(window: float = 0, hourly: int = 100) -> Outbox:
    """One runner's; all of them lead to the same file."""
    return Outbox(StateDir(), window=window, hourly=hourly)


def shift(seconds: float) -> None:
    """Make all that the file says so much older."""
    path = Path(StateDir().outbox)
    box = json.loads(path.read_bytes())
    box["due"] -= seconds
    box["sent"] = [at - seconds for at in box["sent"]]
    box["told"] = {key: at - seconds for key, at in box["told"].items()}
    if box["claim"]:
        box["claim"]["until"] -= seconds
    path.write_text(json.dumps(box), encoding="utf-8")


def claim_of(box: Outbox, **how: bool) -> Claim:
    claim = box.claim(**how)
    assert isinstance(claim, Claim), claim
    return claim


def claimed(box: Outbox, **how: bool) -> list[Json]:
    return claim_of(box, **how).notices


def test_what_comes_within_the_window_goes_out_together_whoever_it_comes_from() -> None:
    assert outbox().claim() is None
    for number in range(3):
        outbox(window=30).add({"n": number})
    wait = outbox(window=30).claim()
    assert isinstance(wait, float)
    assert 0 < wait <= 30
    shift(31)
    assert claimed(outbox(window=30)) == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_a_runner_that_ends_does_not_wait_for_others_to_join() -> None:
    outbox(window=300).add({"n": 1})
    assert claimed(outbox(window=300), at_once=True) == [{"n": 1}]


def test_only_one_runner_sends_and_what_comes_meanwhile_goes_next() -> None:
    outbox().add({"n": 1})
    claim = claim_of(outbox())
    assert claim.notices == [{"n": 1}]
    outbox().add({"n": 2})
    assert isinstance(outbox().claim(), float)
    outbox().settle(claim, sent=True)
    assert claimed(outbox()) == [{"n": 2}]


def test_a_host_sends_no_more_in_an_hour_than_it_may_and_the_rest_later_as_one() -> None:
    sent = 0
    for number in range(10):
        box = outbox(hourly=3)
        box.add({"n": number})
        claim = box.claim(at_once=True)
        if isinstance(claim, Claim):
            sent += 1
            box.settle(claim, sent=True)
    assert sent == 3
    wait = outbox(hourly=3).claim(at_once=True)
    assert isinstance(wait, float)
    assert HOUR - 60 < wait <= HOUR
    shift(HOUR)
    assert [notice["n"] for notice in claimed(outbox(hourly=3))] == [3, 4, 5, 6, 7, 8, 9]


def test_what_the_whole_host_finds_out_is_told_once_an_hour_or_when_it_is_over() -> None:
    assert outbox().add({"n": 1}, "limit_reached|until 12:00")
    assert not outbox().add({"n": 2}, "limit_reached|until 12:00")
    assert outbox().add({"n": 3}, "limit_reached|until 14:00")
    shift(HOUR)
    assert outbox().add({"n": 4}, "limit_reached|until 12:00")
    outbox().forget("limit_reached")
    assert outbox().add({"n": 5}, "limit_reached|until 12:00")
    assert [notice["n"] for notice in claimed(outbox())] == [1, 3, 4, 5]


def test_what_a_killed_runner_was_sending_is_sent_by_another() -> None:
    outbox().add({"n": 1})
    claimed(outbox())
    assert outbox().waiting()
    shift(61)
    wait = outbox().claim()
    assert isinstance(wait, float), "a pause first: it may have been the message that killed it"
    shift(wait + 1)
    claim = claim_of(outbox())
    assert claim.notices == [{"n": 1}]
    outbox().settle(claim, sent=True)
    assert not outbox().waiting()


def at_the_lock(act: Callable[[], T], meanwhile: Callable[[Json], Json]) -> T:
    """What ``act`` returns that stood at the file's lock while somebody made ``meanwhile`` of its content."""
    path = StateDir().outbox
    with ThreadPoolExecutor(1) as pool:
        with files.Exclusive(path):
            acting = pool.submit(act)
            wait_until(lambda: len(descriptors_of(path)) == 2, what="the second at the lock")
            box = json.loads(Path(path).read_bytes())
            files.atomic_write(path, json.dumps(meanwhile(box)).encode())
        return acting.result(60)


def descriptors_of(path: str) -> list[str]:
    return [fd for fd in os.listdir("/proc/self/fd") if points_to(fd, path)]


def points_to(fd: str, path: str) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{fd}").removesuffix(" (deleted)") == path
    except OSError:
        return False


def test_who_waited_for_the_file_does_not_take_back_a_claim_made_meanwhile() -> None:
    outbox().add({"n": 1})

    def claims(box: Json) -> Json:
        claim = {"key": "another", "until": time.time() + CLAIM_SECONDS, "notices": box["waiting"]}
        return {**box, "claim": claim, "waiting": []}

    assert isinstance(at_the_lock(outbox().claim, claims), float)
    assert json.loads(Path(StateDir().outbox).read_bytes())["claim"]["key"] == "another"


def test_who_waited_for_the_file_does_not_tell_again_what_was_told_meanwhile() -> None:
    outbox().add({"n": 1})
    added = at_the_lock(
        lambda: outbox().add({"n": 2}, "limit_reached|x"),
        lambda box: {**box, "told": {"limit_reached|x": time.time()}},
    )
    assert not added


@pytest.mark.parametrize("sent", [True, False])
def test_a_sender_that_was_given_up_settles_nobody_elses_claim(sent: bool) -> None:
    outbox().add({"n": 1})
    late = claim_of(outbox())
    shift(CLAIM_SECONDS + 1)
    assert isinstance(outbox().claim(), float)
    shift(600)
    claim = claim_of(outbox())
    outbox().add({"n": 2})
    outbox().settle(late, sent=sent)
    assert isinstance(outbox().claim(), float), "the second sender's claim holds"
    outbox().settle(claim, sent=True)
    assert claimed(outbox()) == [{"n": 2}]


def test_what_a_late_sender_did_send_is_not_sent_again() -> None:
    outbox().add({"n": 1})
    late = claim_of(outbox())
    shift(CLAIM_SECONDS + 1)
    assert isinstance(outbox().claim(), float)
    outbox().add({"n": 2})
    outbox().settle(late, sent=True)
    shift(600)
    assert claimed(outbox()) == [{"n": 2}]


def test_a_message_that_nobody_takes_is_tried_again_then_given_up_and_counted() -> None:
    outbox().add({"n": 1})
    for _ in range(MOST_TRIES):
        shift(600)
        claim = claim_of(outbox())
        assert claim.notices == [{"n": 1}]
        outbox().settle(claim, sent=False, problem="it is down")
        assert outbox().problem() is not None
    assert not outbox().waiting()
    outbox().add({"n": 2})
    claim = claim_of(outbox())
    assert (claim.notices, claim.lost) == ([{"n": 2}], 1)
    outbox().settle(claim, sent=True)
    assert outbox().problem() is None


def test_a_clock_that_is_set_back_holds_nothing_up_for_long() -> None:
    box = outbox(window=30)
    box.add({"n": 1}, "limit_reached|x")
    claimed(box, at_once=True)
    box.add({"n": 2})
    shift(-10 * HOUR)
    wait = box.claim()
    assert wait is None or isinstance(wait, Claim) or wait <= 600
    assert box.add({"n": 3}, "limit_reached|x")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"waiting": 3}',
        b'{"told": {"a": "b"}}',
        b'{"claim": {}}',
        b'{"problem": 1}',
        b"x" * 5_000_000,
    ],
)
def test_a_damaged_file_is_an_empty_one(content: bytes) -> None:
    outbox().add({"n": 1})
    Path(StateDir().outbox).write_bytes(content)
    assert not outbox().waiting()
    assert outbox().problem() is None
    outbox().add({"n": 2})
    assert claimed(outbox()) == [{"n": 2}]


def test_the_file_is_private_and_bounded() -> None:
    box = outbox(window=1000)
    before = [{"n": number} for number in range(MOST_WAITING)]
    box.add({"n": "first"})
    path = Path(StateDir().outbox)
    facts = json.loads(path.read_bytes())
    path.write_text(json.dumps({**facts, "waiting": before, "due": time.time() + 100}), encoding="utf-8")
    box.add({"n": "last"})
    claim = claim_of(box, at_once=True)
    assert len(claim.notices) == MOST_WAITING
    assert claim.notices[-1] == {"n": "last"}
    assert claim.lost == 1
    assert path.stat().st_mode & 0o777 == 0o600
