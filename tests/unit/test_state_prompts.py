"""Questions in the state directory: one answer, for a runner that lives, to the question that is open."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpm_tools.errors import Held, HpmError, NotFound, NothingToDo, UsageError
from hpm_tools.state import prompts
from hpm_tools.state.guard import agent_guard
from hpm_tools.state.paths import StateDir

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpm_tools.state.guard import Guard
    from hpm_tools.state.prompts import Prompt

ASK_AND_DIE = """
import os
from hpm_tools.state import guard, paths, prompts
state = paths.StateDir()
with guard.agent_guard(state, "dev_001"):
    prompts.ask(state, "dev_001", run_id="r", task_id=7, task_title="t", question="q", choices=["retry"],
                default_choice="retry")
    os.kill(os.getpid(), 9)
"""
CHOICES = ("retry", "skip", "release", "stop")


@pytest.fixture
def state() -> StateDir:
    return StateDir()


@pytest.fixture
def runner(state: StateDir) -> Iterator[Guard]:
    """The guard of dev_001's runner, which lives as long as it is held."""
    with agent_guard(state, "dev_001") as guard:
        yield guard


def ask(state: StateDir, question: str = "the hook refused", agent: str = "dev_001") -> Prompt:
    return prompts.ask(
        state,
        agent,
        run_id="ab12",
        task_id=7,
        task_title="Add a shop",
        question=question,
        choices=CHOICES,
        default_choice="release",
    )


def test_a_question_is_private_and_says_all_that_its_answer_needs(state: StateDir, runner: Guard) -> None:
    asked = ask(state)
    path = Path(state.prompt_file("dev_001"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = prompts.waiting(state, "dev_001")
    assert found is not None
    assert found.to_json() == asked.to_json()
    assert (found.run_id, found.task_id, found.task_title) == ("ab12", 7, "Add a shop")
    assert (found.choices, found.default_choice, found.choice) == (CHOICES, "release", None)


def test_the_oldest_question_is_listed_first(state: StateDir, runner: Guard) -> None:
    assert prompts.all_waiting(state) == []
    with agent_guard(state, "a_late_one"):
        first = ask(state)
        second = ask(state, agent="a_late_one")
        assert [found.id for found in prompts.all_waiting(state)] == [first.id, second.id]
    assert [found.id for found in prompts.all_waiting(state)] == [first.id]


def test_an_answer_is_taken_once(state: StateDir, runner: Guard) -> None:
    asked = ask(state)
    assert prompts.current(state, asked).choice is None
    prompts.answer(state, "dev_001", "retry", prompt_id=asked.id)
    assert prompts.current(state, asked).choice == "retry"
    assert prompts.waiting(state, "dev_001") is None
    assert prompts.answer(state, "dev_001", "retry").choice == "retry"
    with pytest.raises(Held, match="already answered retry, by hpm answer"):
        prompts.answer(state, "dev_001", "stop")
    assert prompts.withdraw(state, "dev_001")
    assert not prompts.withdraw(state, "dev_001")
    with pytest.raises(NothingToDo):
        prompts.answer(state, "dev_001", "retry")


def test_of_many_answers_at_once_one_counts(state: StateDir, runner: Guard) -> None:
    asked = ask(state)
    accepted, refused, start = [], [], threading.Barrier(8)

    def answer(choice: str) -> None:
        start.wait()
        try:
            accepted.append(prompts.answer(state, "dev_001", choice).choice)
        except Held:
            refused.append(choice)

    threads = [threading.Thread(target=answer, args=(choice,)) for choice in CHOICES * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(accepted) == {prompts.current(state, asked).choice}
    assert len(accepted) == 2
    assert len(refused) == 6


def test_an_answer_to_a_question_that_is_gone_is_refused(state: StateDir, runner: Guard) -> None:
    old = ask(state)
    new = ask(state, "something else")
    with pytest.raises(NotFound, match=f"does not ask {old.id} any more, but {new.id}: something else"):
        prompts.answer(state, "dev_001", "retry", prompt_id=old.id)
    with pytest.raises(UsageError, match="'park' is no answer to: something else") as refused:
        prompts.answer(state, "dev_001", "park")
    assert refused.value.hint == "choose one of retry, skip, release, stop"
    assert prompts.current(state, old).choice is None
    assert prompts.current(state, new).choice is None


def test_nobody_waits_behind_a_free_guard(state: StateDir, runner: Guard) -> None:
    ask(state)
    runner.release()
    assert prompts.waiting(state, "dev_001") is None
    assert prompts.all_waiting(state) == []
    with pytest.raises(NothingToDo):
        prompts.answer(state, "dev_001", "retry")


def test_nobody_waits_where_the_next_start_holds_the_guard_already(state: StateDir) -> None:
    asked = subprocess.run(
        [sys.executable, "-c", ASK_AND_DIE], capture_output=True, text=True, check=False, timeout=600
    )
    assert asked.returncode == -9, asked.stderr
    with agent_guard(state, "dev_001"):
        assert os.path.exists(state.prompt_file("dev_001"))
        assert prompts.all_waiting(state) == []
        with pytest.raises(NothingToDo):
            prompts.answer(state, "dev_001", "retry")


def test_what_was_typed_yields_to_an_answer_that_came_first(state: StateDir, runner: Guard) -> None:
    asked = ask(state)
    prompts.answer(state, "dev_001", "skip")
    settled = prompts.settle(state, asked, "retry", "the terminal")
    assert (settled.choice, settled.answered_by) == ("skip", "hpm answer")


def test_what_was_typed_counts_although_it_cannot_be_written_down(state: StateDir, runner: Guard) -> None:
    asked = ask(state)
    os.unlink(state.prompt_file("dev_001"))
    settled = prompts.settle(state, asked, "retry", "the terminal")
    assert (settled.choice, settled.answered_by) == ("retry", "the terminal")


def test_a_long_question_is_cut(state: StateDir, runner: Guard) -> None:
    ask(state, "x" * 1_000_000)
    found = prompts.waiting(state, "dev_001")
    assert found is not None
    assert len(found.question) == prompts.LONGEST_QUESTION


@given(st.binary(max_size=300) | st.sampled_from([b"{}", b"[]", b'{"id": 1}', b"\x00" * 70_000]))
def test_a_damaged_file_is_no_question(content: bytes) -> None:
    state = StateDir()
    state.prepare()
    path = Path(state.prompt_file("dev_001"))
    with agent_guard(state, "dev_001"):
        path.write_bytes(content)
        assert prompts.all_waiting(state) == []
        with pytest.raises(HpmError):
            prompts.answer(state, "dev_001", "retry")


def test_a_file_that_is_no_agents_is_left_alone(state: StateDir, runner: Guard) -> None:
    Path(state.locks, "agent-..%2f.prompt").write_text("{}")
    Path(state.locks, "agent-dev_001.prompt").symlink_to("/etc/passwd")
    assert prompts.all_waiting(state) == []
    assert prompts.withdraw(state, "dev_001")
    assert sorted(os.listdir(state.locks)) == ["agent-..%2f.prompt", "agent-dev_001.guard"]
