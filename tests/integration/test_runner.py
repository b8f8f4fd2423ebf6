"""The runner end to end: a real board in both modes, real git, real agent processes."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.fixtures_board import EITHER_BOARD
from tests.support.repos import make_repo
from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.board_process import BoardUnderTest


@pytest.fixture
def desk(tmp_path: Path, board: BoardUnderTest) -> Desk:
    return Desk(tmp_path / "desk", board, make_repo(tmp_path / "repo").root)


def write(name: str, text: str = "hello\n") -> dict[str, object]:
    return {"write": [name, text]}


@EITHER_BOARD
def test_a_minor_task_is_committed_on_the_current_branch(desk: Desk) -> None:
    task = desk.board.add_task(description=script(write("hello.txt")), complexity="minor")
    done = desk.run_single()
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.board.task(task["id"])["status"] == "dev_done"
    assert desk.git("log", "--format=%an", "-1", "--", "hello.txt")
    assert desk.git("branch", "--show-current") == "main"
    assert desk.git("status", "--porcelain") == ""
    assert desk.record() is None


@EITHER_BOARD
def test_a_major_task_is_worked_on_its_own_branch(desk: Desk) -> None:
    description = script(write("big.txt"), {"commit": "Add big"}, write("left.txt"))
    task = desk.board.add_task(description=description, complexity="major")
    done = desk.run_single()
    assert done.returncode == 0, done.stdout + done.stderr
    found = desk.board.task(task["id"])
    assert found["status"] == "dev_done"
    assert f"branch: feature/task-{task['id']}" in found["notes"]
    assert desk.git("show", f"feature/task-{task['id']}:left.txt") == "hello"
    assert "big.txt" not in desk.git("ls-tree", "--name-only", "main")
    assert not (desk.repo / ".worktrees" / f"task-{task['id']}").exists()
    assert found["locked_by"] is None


def test_from_maker_to_qa_the_changelog_tells_exactly_what_happened(desk: Desk) -> None:
    task = desk.board.add_task(description=script(write("big.txt")), complexity="major")
    assert desk.run_single().returncode == 0
    done = desk.run_single("qa", "qa_001")
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.board.statuses(task["id"]) == [
        "pending",
        "created",
        "under_work",
        "dev_done",
        "under_work",
        "qa_done",
    ]
    assert list((desk.repo / ".worktrees").glob("task-*")) == []


def test_a_rejection_goes_back_with_findings_and_the_branch_is_continued(desk: Desk) -> None:
    rejected = {"status": "rejected", "summary": "no tests", "findings": ["test_big.py is missing"]}
    description = script(write("big.txt"), as_qa={"outcome": rejected})
    task = desk.board.add_task(description=description, complexity="major")
    assert desk.run_single().returncode == 0
    assert desk.run_single("qa", "qa_001").returncode == 0
    found = desk.board.task(task["id"])
    assert found["status"] == "created"
    assert "test_big.py is missing" in found["notes"]
    assert f"branch: feature/task-{task['id']}" in found["notes"]


@EITHER_BOARD
def test_no_task_is_exit_code_3(desk: Desk) -> None:
    done = desk.run_single()
    assert done.returncode == 3, done.stdout + done.stderr


@EITHER_BOARD
@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        ({"status": "blocked", "summary": "no database"}, 0),
        ({"status": "done", "summary": "nothing needed"}, 0),
    ],
)
def test_what_is_not_done_is_parked_with_its_reason(desk: Desk, outcome: dict[str, str], code: int) -> None:
    task = desk.board.add_task(description=script(outcome=outcome), complexity="major")
    done = desk.run_single()
    assert done.returncode == 1, done.stdout + done.stderr
    found = desk.board.task(task["id"])
    assert found["status"] == "pending"
    assert found["locked_by"] is None
    assert "parked by dev_001" in found["notes"]


@EITHER_BOARD
def test_a_parked_task_keeps_its_work(desk: Desk) -> None:
    blocked = {"status": "blocked", "summary": "no database"}
    task = desk.board.add_task(description=script(write("half.txt"), outcome=blocked), complexity="major")
    desk.run_single()
    assert desk.git("show", f"feature/task-{task['id']}:half.txt") == "hello"


@EITHER_BOARD
def test_a_minor_task_that_ends_badly_leaves_the_checkout_clean_and_its_changes_salvaged(desk: Desk) -> None:
    blocked = {"status": "blocked", "summary": "no database"}
    task = desk.board.add_task(description=script(write("half.txt"), outcome=blocked), complexity="minor")
    desk.run_single()
    assert desk.git("status", "--porcelain") == ""
    refs = desk.git("for-each-ref", "--format=%(refname)", "refs/hpm/salvage").split()
    assert len(refs) == 1
    assert desk.git("show", f"{refs[0]}:half.txt") == "hello"
    assert refs[0] in desk.board.task(task["id"])["notes"]


@EITHER_BOARD
@pytest.mark.fault("checkout-in-use")
def test_somebodys_changes_in_the_checkout_are_never_touched(desk: Desk) -> None:
    (desk.repo / "mine.txt").write_text("do not touch\n", encoding="utf-8")
    task = desk.board.add_task(description=script(write("hello.txt")), complexity="minor")
    done = desk.run_single()
    assert done.returncode == 0, done.stdout + done.stderr
    assert (desk.repo / "mine.txt").read_text(encoding="utf-8") == "do not touch\n"
    assert desk.git("status", "--porcelain") == "?? mine.txt"
    assert desk.git("show", f"feature/task-{task['id']}:hello.txt") == "hello"


@EITHER_BOARD
@pytest.mark.fault("agent-crashes")
def test_a_crashed_agent_is_tried_three_times_and_then_parked(desk: Desk) -> None:
    task = desk.board.add_task(description=script({"kill": 9}), complexity="major")
    done = desk.run_single()
    assert done.returncode == 1
    assert len(desk.agent_starts()) == 3
    assert desk.board.task(task["id"])["status"] == "pending"


@EITHER_BOARD
@pytest.mark.fault("agent-never-begins")
def test_a_program_that_begins_no_task_costs_one_task_and_not_each(desk: Desk) -> None:
    broken = [desk.board.add_task(description=script({"kill": 9}), complexity="major") for _ in range(3)]
    first, *others = (task["id"] for task in broken)
    words = ("run", "--role", "backend_dev", "--agent-id", "dev_001")
    with desk.start(*words, HEADLESS_PM_RETRY_PAUSE="0.1") as runner:
        wait_until(lambda: len(desk.agent_starts()) >= 5, what="a probe of each")
        assert desk.board.task(first)["status"] == "pending"
        assert {desk.board.task(other)["status"] for other in others} <= {"created", "under_work"}
        assert "begins no task on this machine" in runner.output()
        good = desk.board.add_task(description=script(write("a.txt")), complexity="major")
        wait_until(lambda: desk.board.task(good["id"])["status"] == "dev_done", what="the good task")
        wait_until(
            lambda: "pending" in [desk.board.task(other)["status"] for other in others],
            what="the next task of the broken ones being parked, now that another began",
        )
        runner.signal(signal.SIGTERM)
        assert runner.wait() == 143, runner.output()
    assert [task for _, _, task, _ in desk.agent_starts()].count(first) == 3


@EITHER_BOARD
@pytest.mark.fault("same-id-on-a-host")
def test_a_second_runner_of_the_same_agent_id_is_refused_without_a_word_to_the_board(
    desk: Desk, tmp_path: Path
) -> None:
    flag = tmp_path / "go"
    desk.board.add_task(description=script(write("a.txt"), {"wait_for": str(flag)}), complexity="major")
    with desk.start("run", "--role", "backend_dev", "--agent-id", "dev_001", "--single-task") as first:
        wait_until(desk.agent_starts, what="the first agent")
        second = desk.run_single()
        assert second.returncode == 75, second.stdout + second.stderr
        flag.touch()
        assert first.wait() == 0


@EITHER_BOARD
@pytest.mark.fault("killed-at-work")
def test_killed_in_the_middle_of_the_agents_work_it_resumes_with_no_second_agent_alive(
    desk: Desk, tmp_path: Path
) -> None:
    flag = tmp_path / "go"
    acts = (write("a.txt"), {"ignore_term": True}, {"wait_for": str(flag)})
    task = desk.board.add_task(description=script(*acts), complexity="major")
    with desk.start("run", "--role", "backend_dev", "--agent-id", "dev_001") as first:
        wait_until(desk.agent_starts, what="the first agent")
        wait_until(lambda: list(desk.repo.glob(".worktrees/*/a.txt")), what="its work")
        first.signal(signal.SIGKILL)
        first.wait()
    orphan = desk.agent_starts()[0][0]
    assert alive(orphan)
    flag_seen = desk.start("run", "--role", "backend_dev", "--agent-id", "dev_001", "--single-task")
    with flag_seen as second:
        wait_until(lambda: len(desk.agent_starts()) == 2, what="the resumed agent")
        assert not alive(orphan)
        flag.touch()
        assert second.wait() == 0, second.output()
    assert {row[2] for row in desk.agent_starts()} == {task["id"]}
    assert desk.board.statuses(task["id"]) == ["pending", "created", "under_work", "dev_done"]
    assert desk.git("show", f"feature/task-{task['id']}:a.txt") == "hello"


@EITHER_BOARD
@pytest.mark.fault("signals")
def test_the_first_sigterm_hands_over_and_the_next_start_resumes(desk: Desk, tmp_path: Path) -> None:
    flag = tmp_path / "go"
    task = desk.board.add_task(
        description=script(write("a.txt"), {"wait_for": str(flag)}), complexity="major"
    )
    with desk.start("run", "--role", "backend_dev", "--agent-id", "dev_001") as first:
        wait_until(desk.agent_starts, what="the agent")
        first.signal(signal.SIGTERM)
        assert first.wait() == 143, first.output()
    way_out = "  run the same command to resume it, or hpm unlock --agent-id dev_001\n"
    assert first.output().endswith(f" stopped. Task {task['id']} stays locked by dev_001\n{way_out}")
    pid = desk.agent_starts()[0][0]
    assert not alive(pid)
    record = desk.record()
    assert record is not None
    assert record["step"] == "working"
    flag.touch()
    done = desk.run_single()
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.board.task(task["id"])["status"] == "dev_done"


@EITHER_BOARD
def test_an_idle_runner_is_gone_at_once(desk: Desk) -> None:
    with desk.start("run", "--role", "backend_dev", "--agent-id", "dev_001") as runner:
        wait_until(lambda: "works as" in runner.output(), what="the start")
        runner.signal(signal.SIGINT)
        assert runner.wait() == 130
    assert runner.output().endswith(" stopped\n")


@EITHER_BOARD
def test_a_failing_pre_task_hook_gives_the_task_back_and_takes_nothing(desk: Desk, tmp_path: Path) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir(mode=0o700)
    hook = hooks / "pre_task.sh"
    hook.write_text("#!/bin/sh\necho no room >&2\nexit 1\n", encoding="utf-8")
    hook.chmod(0o700)
    task = desk.board.add_task(description=script(write("a.txt")), complexity="major")
    done = desk.run_single("backend_dev", "dev_001", "--hooks-dir", str(hooks))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "no room" in done.stdout + done.stderr
    found = desk.board.task(task["id"])
    assert (found["status"], found["locked_by"]) == ("created", None)
    assert desk.agent_starts() == []


def alive(pid: int) -> bool:
    from hpm_tools.process.identity import start_time

    return start_time(pid) is not None


def test_two_makers_on_one_board_never_share_a_task(desk: Desk) -> None:
    for number in range(4):
        desk.board.add_task(
            description=script(write(f"f{number}.txt")), complexity="major", title=f"Task {number}"
        )
    runners = [
        desk.start("run", "--role", "backend_dev", "--agent-id", f"dev_{n}", "--max-tasks", "2")
        for n in range(2)
    ]
    with runners[0] as one, runners[1] as two:
        assert one.wait() == 0, one.output()
        assert two.wait() == 0, two.output()
    tasks = [row[2] for row in desk.agent_starts()]
    assert len(tasks) == len(set(tasks)) == 4
    assert sys.platform != "win32"


@pytest.mark.fault("given-back-again")
def test_qa_of_work_that_is_not_here_is_given_back_and_left_alone_until_it_changes(desk: Desk) -> None:
    missing = "commit: " + "d" * 40
    task = desk.board.add_task(description=script(), complexity="major")
    desk.board.put(task["id"], "pm1", "under_work")
    desk.board.put(task["id"], "pm1", "dev_done", f"branch: feature/elsewhere\n{missing}")
    done = desk.run_single("qa", "qa_001")
    assert done.returncode == 1, done.stdout + done.stderr
    found = desk.board.task(task["id"])
    assert (found["status"], found["locked_by"]) == ("dev_done", None)
    assert desk.run_single("qa", "qa_001").returncode == 3
    assert desk.agent_starts() == []
    desk.board.put(task["id"], "pm1", "dev_done", f"branch: main\ncommit: {desk.git('rev-parse', 'main')}")
    assert desk.run_single("qa", "qa_001").returncode == 0


@EITHER_BOARD
def test_what_an_in_place_attempt_left_is_restored_when_the_task_is_taken_up_again(desk: Desk) -> None:
    blocked = {"status": "blocked", "summary": "no database"}
    task = desk.board.add_task(description=script(write("half.txt"), outcome=blocked), complexity="minor")
    assert desk.run_single().returncode == 1
    assert desk.git("status", "--porcelain") == ""
    desk.board.sql("UPDATE tasks SET description = ? WHERE id = ?", script(write("rest.txt")), task["id"])
    desk.board.put(task["id"], "pm1", "created")
    done = desk.run_single()
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.git("show", "main:half.txt") == "hello"
    assert desk.git("show", "main:rest.txt") == "hello"


@EITHER_BOARD
@pytest.mark.fault("given-back-again")
def test_a_task_given_back_is_not_taken_again_at_once(desk: Desk, tmp_path: Path) -> None:
    base = tmp_path / "no-directory"
    base.write_text("in the way of every worktree\n", encoding="utf-8")
    (desk.repo / "mine.txt").write_text("so that the checkout does not serve either\n", encoding="utf-8")
    task = desk.board.add_task(description=script(write("a.txt")), complexity="major")
    done = desk.hpm(
        "run",
        "--role",
        "backend_dev",
        "--agent-id",
        "dev_001",
        "--single-task",
        HEADLESS_PM_WORKTREE_BASE=str(base),
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert desk.board.task(task["id"])["status"] == "created"
    assert desk.run_single().returncode == 3


@EITHER_BOARD
def test_an_agent_can_commit_where_the_operator_has_no_git_identity(desk: Desk) -> None:
    (desk.home / ".gitconfig").unlink()
    task = desk.board.add_task(description=script(write("a.txt"), {"commit": "Add a"}), complexity="major")
    done = desk.run_single()
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.git("log", "-1", "--format=%an %s", f"feature/task-{task['id']}") == "hpm-tools Add a"


@EITHER_BOARD
@pytest.mark.fault("signals")
def test_a_second_signal_ends_runner_and_agent_at_once(desk: Desk, tmp_path: Path) -> None:
    acts = ({"ignore_term": True}, {"wait_for": str(tmp_path / "never")})
    desk.board.add_task(description=script(*acts), complexity="major")
    with desk.start("run", "--role", "backend_dev", "--agent-id", "dev_001") as runner:
        wait_until(desk.agent_starts, what="the agent")
        runner.signal(signal.SIGTERM)
        runner.signal(signal.SIGINT)
        assert runner.wait() in (130, 143), runner.output()
        assert "ended by signal" not in runner.output(), "it took its leave in order"
    pid = desk.agent_starts()[0][0]
    wait_until(lambda: not alive(pid), what="the agent's end")


@EITHER_BOARD
def test_a_signal_that_asks_for_nothing_keeps_a_runner_from_no_work(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "python"
    path.mkdir()
    came = tmp_path / "came"
    # Under Invoke another task, or what it imports, may have made a handler.
    (path / "sitecustomize.py").write_text(
        f"import signal\nsignal.signal(signal.SIGUSR1, lambda *_: open({str(came)!r}, 'a').close())\n"
    )
    call = ("run", "--role", "backend_dev", "--agent-id", "dev_001")
    with desk.start(*call, PYTHONPATH=str(path)) as runner:
        wait_until(lambda: "works as" in runner.output(), 60, "its start")
        runner.signal(signal.SIGUSR1)
        wait_until(came.exists, 60, "the handler")
        task = desk.board.add_task(description=script(write("a.txt")), complexity="major")
        wait_until(lambda: desk.board.task(task["id"])["status"] == "dev_done", 120, "the work")
        runner.signal(signal.SIGTERM)
        assert runner.wait() == 143, runner.output()


@EITHER_BOARD
def test_the_first_signal_ends_a_worktrees_set_up_too(desk: Desk, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    desk.change(
        worktree={"setup": ["sh", "-c", f"[ -e '{begun}' ] || {{ echo $$ > '{begun}'; sleep 600; }}"]}
    )
    task = desk.board.add_task(description=script(write("a.txt")), complexity="major")
    with desk.start("run", "--role", "backend_dev", "--agent-id", "dev_001") as first:
        wait_until(lambda: begun.exists() and begun.read_text(), what="the set-up")
        first.signal(signal.SIGTERM)
        assert first.wait() == 143, first.output()
    assert not alive(int(begun.read_text()))
    assert "no worktree could be made" not in first.output()
    record = desk.record()
    assert record is not None
    assert record["step"] == "workspace"
    done = desk.run_single()
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.board.statuses(task["id"]) == ["pending", "created", "under_work", "dev_done"]
