"""A runner that asks: on its terminal, or detached through its state, a command and `hpm answer`."""

from __future__ import annotations

import json
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from hpm_tools.state import prompts
from hpm_tools.state.paths import StateDir
from tests.support.fixtures_desk import events
from tests.support.repos import make_repo
from tests.support.runners import Desk, Running, script
from tests.support.terminal import Terminal
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hpm_tools.state.prompts import Prompt
    from tests.support.board_process import BoardUnderTest

RUN = ("run", "--role", "backend_dev", "--agent-id", "dev_001", "--single-task", "--on-problem", "ask")
BLOCKED = {"status": "blocked", "summary": "which database?"}


class AskingDesk(Desk):
    """Its pre_task hook refuses while the file ``mended`` is not there."""

    def __init__(self, directory: Path, board: BoardUnderTest, repo: Path) -> None:
        super().__init__(directory, board, repo)
        self.mended = directory / "mended"
        self.hooks = directory / "hooks"
        self.hooks.mkdir(mode=0o700)
        hook = self.hooks / "pre_task.sh"
        hook.write_text(f"test -e '{self.mended}' || {{ echo no room >&2; exit 1; }}\n", encoding="utf-8")
        hook.chmod(0o700)
        self.change(hooks_dir=str(self.hooks), heartbeat_interval=0.2, retry_pause=0.2)

    def ask(self) -> Running:
        return self.start(*RUN, "--json")

    def question(self, after: Prompt | None = None) -> Prompt:
        """The question that stands, once one does that is not ``after``."""

        def found() -> Prompt | None:
            prompt = prompts.waiting(StateDir(str(self.state)), "dev_001")
            return None if prompt is None or (after is not None and prompt.id == after.id) else prompt

        prompt = wait_until(found, what="a question")
        assert prompt is not None
        return prompt

    def answer(self, choice: str, *more: object) -> Any:
        return self.hpm("answer", "--agent-id", "dev_001", "--choice", choice, *more)


@pytest.fixture
def desk(tmp_path: Path, exact_board: BoardUnderTest) -> Iterator[AskingDesk]:
    desk = AskingDesk(tmp_path / "desk", exact_board, make_repo(tmp_path / "repo").root)
    yield desk
    desk.end_agents()


def test_a_detached_runner_asks_waits_and_goes_on_as_answered(desk: AskingDesk) -> None:
    task = desk.board.add_task(description=script({"write": ["a.txt", "a\n"]}), complexity="major")
    assert desk.hpm("prompts").returncode == 3
    with desk.ask() as runner:
        prompt = desk.question()
        assert (prompt.agent_id, prompt.task_id, prompt.default_choice) == (
            "dev_001",
            task["id"],
            "release",
        )
        assert prompt.choices == ("retry", "skip", "release", "stop")
        assert "the pre_task hook refused" in prompt.question
        assert "no room" in prompt.question
        (listed,) = json.loads(desk.hpm("prompts", "--json").stdout)["prompts"]
        assert (listed["prompt"], listed["question"]) == (prompt.id, prompt.question)
        shown = desk.hpm("prompts").stdout
        assert "hpm answer --agent-id dev_001 --choice retry (or skip, release, stop)" in shown
        (held,) = json.loads(desk.hpm("locks", "--json").stdout)["locks"]
        assert held["question"] == prompt.question
        assert "prompt dev_001: waits for an answer since" in desk.hpm("health").stdout
        for command in ("unlock", "recover"):
            refused = desk.hpm(command, "--agent-id", "dev_001")
            assert refused.returncode == 75
            assert "hpm answer --agent-id dev_001 --choice" in refused.stderr
        desk.mended.touch()
        assert desk.answer("park").returncode == 2
        assert desk.answer("retry", "--prompt", "nosuch").returncode == 65
        assert desk.answer("retry", "--prompt", prompt.id).stdout == "retry\n"
        assert runner.wait() == 0, runner.output()
    assert desk.board.task(task["id"])["status"] == "dev_done"
    (opened,) = events(runner.output(), "prompt_opened")
    (answered,) = events(runner.output(), "prompt_answered")
    assert opened["prompt"] == answered["prompt"] == prompt.id
    assert (answered["choice"], answered["by"]) == ("retry", "hpm answer")
    late = desk.answer("retry")
    assert (late.returncode, late.stderr.splitlines()[0]) == (3, "agent dev_001 asks nothing")


def test_the_board_s_lock_is_kept_alive_while_the_runner_waits(desk: AskingDesk) -> None:
    task = desk.board.add_task(complexity="major")
    with desk.ask() as runner:
        desk.question()
        seen = desk.board.sql("SELECT last_seen FROM agents WHERE agent_id = 'dev_001'")
        wait_until(
            lambda: desk.board.sql("SELECT last_seen FROM agents WHERE agent_id = 'dev_001'") != seen,
            what="a heartbeat",
        )
        assert desk.answer("release").returncode == 0
        assert runner.wait() == 1, runner.output()
    assert desk.board.task(task["id"])["status"] == "created"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_the_wait_the_next_start_asks_again(desk: AskingDesk, number: int) -> None:
    task = desk.board.add_task(complexity="major")
    with desk.ask() as runner:
        first = desk.question()
        runner.signal(number)
        runner.process.wait(300)
    assert desk.record() is not None
    assert desk.hpm("prompts").returncode == 3
    assert desk.answer("retry", "--prompt", first.id).returncode == 3
    with desk.ask() as runner:
        second = desk.question()
        assert second.id != first.id
        assert desk.answer("retry", "--prompt", first.id).returncode == 65
        assert desk.answer("skip").returncode == 0
        assert runner.wait() == 1, runner.output()
    assert desk.board.task(task["id"])["status"] == "created"
    assert list((desk.state / "locks").glob("*.prompt")) == []


def test_a_question_goes_with_the_lock(desk: AskingDesk) -> None:
    task = desk.board.add_task(complexity="major")
    with desk.ask() as runner:
        desk.question()
        desk.board.sql("UPDATE tasks SET locked_by = 'dev_999' WHERE id = ?", task["id"])
        assert runner.wait() == 1, runner.output()
    assert [event["event"] for event in events(runner.output())].count("lost") == 1
    assert list((desk.state / "locks").glob("*.prompt")) == []


def test_unlocking_what_a_dead_runner_left_takes_its_question_along(desk: AskingDesk) -> None:
    desk.board.add_task(complexity="major")
    with desk.ask() as runner:
        desk.question()
        runner.signal(signal.SIGKILL)
        runner.process.wait(300)
    assert desk.hpm("unlock", "--agent-id", "dev_001").returncode == 0
    assert list((desk.state / "locks").glob("*.prompt")) == []


def test_a_task_about_to_be_parked_is_tried_again_on_request(desk: AskingDesk) -> None:
    """Its agent, blocked at first, is started once more by each `retry`, and parks when told so."""
    desk.mended.touch()
    task = desk.board.add_task(description=script(outcome=BLOCKED), complexity="major")
    with desk.ask() as runner:
        first = desk.question()
        assert "about to be parked: " in first.question
        assert "which database?" in first.question
        assert first.default_choice == "park"
        assert desk.answer("retry").returncode == 0
        second = desk.question(after=first)
        assert len(desk.agent_starts()) == 2
        assert desk.answer("park", "--prompt", second.id).returncode == 0
        assert runner.wait() == 1, runner.output()
    assert desk.board.task(task["id"])["status"] == "pending"


def recorder(path: Path) -> list[str]:
    """A notify command that keeps what it was told, and its environment."""
    program = (
        "import json, os, sys; told = {'told': json.load(sys.stdin), 'environ': dict(os.environ)}; "
        f"open({str(path)!r}, 'w').write(json.dumps(told))"
    )
    return [sys.executable, "-c", program]


def test_the_operators_command_hears_of_the_question_and_of_no_secret(
    desk: AskingDesk, tmp_path: Path
) -> None:
    told_at = tmp_path / "told.json"
    desk.change(prompt={"notify": recorder(told_at)})
    desk.board.add_task(title="Add a shop", complexity="major")
    with desk.start(*RUN, "--json", ANTHROPIC_API_KEY="sk-ant-no-key-of-anybody") as runner:
        prompt = desk.question()
        wait_until(lambda: told_at.exists() and told_at.read_text(), what="the notice")
        assert desk.answer("release").returncode == 0
        assert runner.wait() == 1, runner.output()
    heard = json.loads(told_at.read_text())
    told, environ = heard["told"], heard["environ"]
    assert told["id"] == prompt.id
    assert told["task_title"] == "Add a shop"
    assert told["answer_with"].startswith("hpm answer --agent-id dev_001 --prompt ")
    assert environ["HEADLESS_PM_HOME"] == str(desk.state)
    assert not {"HEADLESS_PM_API_KEY", "ANTHROPIC_API_KEY"} & environ.keys()


@pytest.mark.parametrize(
    ("notify", "said"),
    [
        ([sys.executable, "-c", "raise SystemExit('no mail')"], "exited 1: no mail"),
        (["sleep", "600"], "did not end within 0.2 s"),
        (["/nowhere/mail"], "/nowhere/mail"),
    ],
)
def test_a_notice_that_fails_is_a_warning_and_the_question_stands(
    desk: AskingDesk, notify: list[str], said: str
) -> None:
    desk.change(prompt={"notify": notify, "notify_timeout": 0.2 if notify[0] == "sleep" else 30})
    desk.board.add_task(complexity="major")
    with desk.start(*RUN) as runner:
        wait_until(lambda: "prompt.notify told nobody" in runner.output(), what="the warning")
        assert said in runner.output()
        desk.question()
        assert desk.answer("release").returncode == 0
        assert runner.wait() == 1, runner.output()


def test_a_person_at_the_terminal_and_one_elsewhere_answer_alike(desk: AskingDesk) -> None:
    desk.board.add_task(complexity="major")
    argv = [sys.executable, "-m", "hpm_tools.cli.hpm", *RUN]
    with Terminal(argv, cwd=desk.repo, env=desk.environment) as screen:
        screen.wait_for("(retry, skip, [release], stop): ")
        first = desk.question()
        screen.type("retry\n")
        second = desk.question(after=first)
        screen.wait_for("answered retry by the terminal")
        assert desk.answer("skip", "--prompt", second.id).returncode == 0
        assert screen.wait() == 1
        assert "answered skip by hpm answer" in screen.screen


def test_ctrl_c_at_the_question_hands_over(desk: AskingDesk) -> None:
    desk.board.add_task(complexity="major")
    argv = [sys.executable, "-m", "hpm_tools.cli.hpm", *RUN]
    with Terminal(argv, cwd=desk.repo, env=desk.environment) as screen:
        screen.wait_for("(retry, skip, [release], stop): ")
        screen.type("\x03")
        assert screen.wait() == 130
    assert (desk.record() or {})["step"] == "pre_hook"
