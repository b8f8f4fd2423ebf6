"""What failed with an executor last, and the pause that follows."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpm_tools.state.paths import StateDir
from hpm_tools.state.pickup import NO_OUTCOME, NONSTART, REFUSED, Failed, PickUp


def known(configured: str = "as it is") -> PickUp:
    return PickUp(StateDir(), "command", configured)


def failed(number: int) -> Failed:
    return Failed("board", number, "2026-11-30T08:00:00", "created", "dev_001")


def let_time_pass() -> None:
    """Have the pause's end lie behind."""
    (path,) = Path(StateDir().limits).iterdir()
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts["pause"] |= {"until": 1.0, "due": 0.0}
    path.write_text(json.dumps(facts), encoding="utf-8")


def test_a_second_task_shows_that_a_program_that_does_not_begin_was_not_the_first_ones_fault() -> None:
    claude, other = PickUp(StateDir(), "claude"), PickUp(StateDir(), "command")
    assert not claude.begins_nothing("task-1")
    claude.note_nonstart("task-1")
    assert not claude.begins_nothing("task-1")
    assert PickUp(StateDir(), "claude").begins_nothing("task-2")
    assert not other.begins_nothing("task-2")
    claude.begun()
    assert not claude.begins_nothing("task-2")


def test_another_task_is_counted_once_however_often_its_failure_is_noted() -> None:
    known().note_failed(failed(1))
    known().note_failed(failed(1))
    assert known().failed_before(failed(2)) == 1
    assert known().failed_before(failed(1)) == 0
    known().worked()
    assert known().failed_before(failed(2)) == 0


def test_a_pause_puts_back_what_failed_before_and_doubles_with_each_try_that_fails() -> None:
    known().note_failed(failed(1))
    known().hold(REFUSED, "refused", 300.0)
    pause = known().pause()
    assert pause is not None
    assert 200 < pause.seconds_left() <= 300
    assert known().to_put_back() == [failed(1)]
    known().hold(REFUSED, "said again", 300.0)
    assert known().pause() == pause
    for tries, seconds in ((1, 600), (2, 1200), (3, 2400), (4, 3600), (5, 3600)):
        let_time_pass()
        known().hold(REFUSED, "refused", 300.0)
        pause = known().pause()
        assert pause is not None
        assert pause.tries == tries
        assert seconds - 300 < pause.seconds_left() <= seconds
    known().put_back(failed(1))
    assert known().to_put_back() == []


def test_success_ends_the_pause_and_what_is_to_be_put_back_stays() -> None:
    known().note_failed(failed(1))
    known().hold(NO_OUTCOME, "why", 300.0)
    ended = known().worked()
    assert ended is not None
    assert ended.kind == NO_OUTCOME
    assert known().pause() is None
    assert known().to_put_back() == [failed(1)]


def test_another_program_or_setting_knows_of_no_pause() -> None:
    known().hold(NO_OUTCOME, "why", 300.0)
    assert known("otherwise").pause() is None
    assert known().pause() is not None


def test_beginning_ends_only_the_pause_of_a_program_that_does_not_begin() -> None:
    known().hold(REFUSED, "why", 300.0)
    assert known().begun() is None
    assert known().pause() is not None
    known().worked()
    known().hold(NONSTART, "why", 300.0)
    assert known().begun() is not None
    assert known().pause() is None


def test_one_agent_tries_at_a_time_unless_it_died() -> None:
    known().hold(REFUSED, "why", 300.0)
    assert not known().try_one("dev_001", lambda _: True)
    let_time_pass()
    assert known().try_one("dev_001", lambda _: True)
    assert not known().try_one("dev_002", lambda _: True)
    assert known().try_one("dev_001", lambda _: True)
    assert known().try_one("dev_002", lambda _: False)
    known().tried("dev_001")
    assert not known().try_one("dev_001", lambda _: True)
    known().tried("dev_002")
    assert known().try_one("dev_001", lambda _: True)


@settings(deadline=None)
@given(
    st.binary()
    | st.sampled_from(
        [b"[]", b"{}", b'{"nonstart": null, "pause": {"kind": 5}, "failed": [1]}', b"x" * 500_000]
    )
)
def test_a_damaged_file_blames_nobody_and_can_be_written_again(content: bytes) -> None:
    it = known()
    it.note_nonstart("task-1")
    (name,) = os.listdir(StateDir().limits)
    Path(StateDir().limits, name).write_bytes(content)
    assert not it.begins_nothing("task-2")
    assert it.pause() is None
    assert it.to_put_back() == []
    it.note_nonstart("task-1")
    assert it.begins_nothing("task-2")


@pytest.mark.parametrize("program", ["claude", "../../x", "CLAUDE"])
def test_its_file_is_private_and_stays_in_its_place(program: str) -> None:
    PickUp(StateDir(), program).note_nonstart("task-1")
    (path,) = Path(StateDir().limits).iterdir()
    assert path.stat().st_mode & 0o077 == 0
