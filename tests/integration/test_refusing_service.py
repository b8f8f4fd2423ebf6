"""A service that refuses (401, 500) in a way that looks like the fault of each task."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

REFUSED = "cat > /dev/null; echo 'API Error: 401 invalid x-api-key' >&2; exit 1"
BREAKS_OFF = "cat > /dev/null; echo 'Reconnecting 5/5: 500'; kill -9 $$"
DEV = ("run", "--role", "backend_dev", "--agent-id", "dev_001")
BLOCKED = {"outcome": {"status": "blocked", "summary": "no database"}}


def use(desk: Desk, program: str, **settings: object) -> None:
    """Have ``program``, a shell script that notes its starts, work on the tasks from now on."""
    path = desk.directory / "agent.sh"
    path.write_text(f"echo x >> {desk.starts}\n{program}\n", encoding="utf-8")
    desk.change(executor_command=["sh", str(path)], **settings)


def add(desk: Desk, count: int) -> list[int]:
    return [int(desk.board.add_task(complexity="major")["id"]) for _ in range(count)]


def statuses(desk: Desk, tasks: list[int]) -> list[str]:
    return [str(desk.board.task(task)["status"]) for task in tasks]


def starts(desk: Desk) -> int:
    return len(desk.starts.read_text(encoding="utf-8").splitlines())


@pytest.mark.fault("B13")
@pytest.mark.parametrize("program", [REFUSED, BREAKS_OFF], ids=["exit-1", "killed"])
def test_three_tasks_refused_in_a_row_are_all_given_back(desk: Desk, program: str) -> None:
    use(desk, program, max_attempts=1)
    tasks = add(desk, 3)
    for _ in tasks:
        desk.run_single()
    assert statuses(desk, tasks) == ["created"] * 3


@pytest.mark.fault("B13")
def test_no_task_after_the_third_is_taken(desk: Desk) -> None:
    use(desk, REFUSED)
    add(desk, 5)
    for _ in range(5):
        desk.run_single()
    assert starts(desk) == 3


@pytest.mark.fault("B13")
def test_failures_of_several_agents_of_the_host_count_together(desk: Desk) -> None:
    made = add(desk, 2)
    desk.change(
        executor_command=[
            "sh",
            "-c",
            'echo a > "$HPM_SESSION_ID"; echo \'{"status": "done"}\' > "$HPM_OUTCOME_FILE"',
        ]
    )
    desk.run_single()
    use(desk, REFUSED)
    desk.run_single("qa", "qa_001")
    desk.run_single("backend_dev", "dev_002")
    more = add(desk, 1)
    desk.run_single("backend_dev", "dev_003")
    assert statuses(desk, [*made, *more]) == ["dev_done", "created", "created"]


def test_honest_outcomes_count_for_nothing_and_begin_the_count_anew(desk: Desk) -> None:
    tasks = [int(desk.board.add_task(description=script(**BLOCKED), complexity="major")["id"])]
    failing = [
        int(
            desk.board.add_task(description=script({"say": "401"}, outcome=None, exit=1), complexity="major")[
                "id"
            ]
        )
        for _ in range(2)
    ]
    tasks += failing
    tasks += [
        int(desk.board.add_task(description=script(**BLOCKED), complexity="major")["id"]) for _ in range(3)
    ]
    for _ in tasks:
        desk.run_single()
    assert statuses(desk, tasks) == ["pending"] * len(tasks)


def test_what_a_person_did_with_a_parked_task_meanwhile_stays(desk: Desk) -> None:
    use(desk, REFUSED)
    first, second, third = add(desk, 3)
    desk.run_single()
    desk.hpm("pm.register", "--agent-id", "you", "--role", "pm", "--level", "principal")
    for status in ("created", "pending"):
        desk.hpm("pm.status", "--task-id", first, "--status", status, "--agent-id", "you")
    desk.run_single()
    desk.run_single()
    assert statuses(desk, [first, second, third]) == ["pending", "created", "created"]


def test_the_pause_is_shown_and_a_task_that_succeeds_ends_it(desk: Desk, tmp_path: Path) -> None:
    works = tmp_path / "works"
    done = 'echo a > "$HPM_SESSION_ID.txt"; echo \'{"status": "done", "summary": "x"}\' > "$HPM_OUTCOME_FILE"'
    use(desk, f"if test -e {works}; then {done}; else {REFUSED}; fi", retry_pause=0.1)
    tasks = add(desk, 4)
    with desk.start(*DEV) as runner:
        wait_until(lambda: "no task is taken since" in runner.output(), what="the pause")
        assert set(statuses(desk, tasks)) <= {"created", "under_work"}
        (line,) = [
            line
            for line in json.loads(desk.hpm("health", "--json").stdout)["checks"]
            if line["name"] == "pick-up"
        ]
        assert "401" in line["text"]
        assert "no task is taken since" in desk.hpm("report").stdout
        wait_until(lambda: "1 task tried in vain" in runner.output(), what="a try")
        works.touch()
        wait_until(lambda: statuses(desk, tasks) == ["dev_done"] * 4, what="all tasks done")
        assert "tasks are taken again" in runner.output()
        runner.signal(signal.SIGTERM)
        assert runner.wait() == 143


def test_other_settings_end_the_pause(desk: Desk) -> None:
    use(desk, REFUSED)
    add(desk, 4)
    for _ in range(4):
        code = desk.run_single().returncode
    assert (code, starts(desk)) == (75, 3)
    use(desk, REFUSED, account="another")
    assert desk.run_single().returncode == 1
    assert starts(desk) == 4


@pytest.mark.extended
def test_one_runner_of_the_host_tries_at_a_time_and_its_success_lets_the_others_go_on(
    desk: Desk, tmp_path: Path
) -> None:
    works, go = tmp_path / "works", tmp_path / "go"
    done = 'echo a > "$HPM_SESSION_ID.txt"; echo \'{"status": "done", "summary": "x"}\' > "$HPM_OUTCOME_FILE"'
    wait = f"until test -e {go}; do sleep 0.1; done"
    use(desk, f"if test -e {works}; then {wait}; {done}; else {REFUSED}; fi", retry_pause=0.1)
    tasks = add(desk, 4)
    for _ in range(3):
        desk.run_single()
    works.touch()
    other = ("run", "--role", "backend_dev", "--agent-id", "dev_002")
    with desk.start(*DEV) as one, desk.start(*other) as two:
        wait_until(lambda: starts(desk) == 4, what="a try")
        wait_until(
            lambda: "no task is taken since" in one.output() and "no task is taken since" in two.output(),
            what="both runners in the pause",
        )
        assert starts(desk) == 4
        go.touch()
        wait_until(lambda: statuses(desk, tasks) == ["dev_done"] * 4, what="all tasks done")
        for runner in (one, two):
            runner.signal(signal.SIGTERM)
            assert runner.wait() == 143
