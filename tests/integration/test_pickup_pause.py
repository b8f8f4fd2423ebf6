"""How long a pause of pick-up lasts: whatever the agent writes to, whoever is killed, and however a clock is set."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.test_forged_records import seldom
from tests.integration.test_refusing_service import DEV, REFUSED, add, starts, statuses, use
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.runners import Desk

TRY_LATER = 75
LATER = 86400.0


def paused(desk: Desk) -> list[int]:
    """Four tasks, three of which have failed: nothing is taken for five minutes."""
    use(desk, REFUSED)
    tasks = add(desk, 4)
    for _ in range(3):
        desk.run_single()
    return tasks


def pickup_file(desk: Desk) -> Path:
    (path,) = (desk.state / "limits").glob("*.pickup")
    return path


def change(desk: Desk, **fields: Any) -> None:
    """What a clock that was set, or a reboot, makes of the file: the same moments have other numbers."""
    known = json.loads(pickup_file(desk).read_text(encoding="utf-8"))
    known["pause"] |= fields
    pickup_file(desk).write_text(json.dumps(known), encoding="utf-8")


def moved(desk: Desk, seconds: float, **more: Any) -> None:
    """The wall clock was set back by ``seconds``."""
    known = json.loads(pickup_file(desk).read_text(encoding="utf-8"))["pause"]
    change(desk, since=known["since"] + seconds, until=known["until"] + seconds, **more)


@pytest.mark.fault("B13")
@pytest.mark.parametrize("kind", ["log", seldom("directory")])
def test_pause_holds_though_the_program_writes_to_what_it_is_given(desk: Desk, kind: str) -> None:
    """Each run counted as one of another program: task after task was parked, or the first try came at once."""
    given = desk.directory / "given"
    program = desk.directory / "agent.sh"
    write = "echo x >> $1" if kind == "log" else "mktemp -p $1 > /dev/null"
    if kind == "log":
        given.write_text("", encoding="utf-8")
    else:
        given.mkdir()
    program.write_text(f"echo x >> {desk.starts}\n{write}\n{REFUSED}\n", encoding="utf-8")
    desk.change(executor_command=["sh", str(program), str(given)])
    add(desk, 5)
    for _ in range(5):
        desk.run_single()
    assert starts(desk) == 3


@pytest.mark.parametrize("seconds", [LATER, *map(seldom, (3000.0, -400.0, -LATER))])
def test_clock_that_is_set_neither_ends_a_pause_nor_makes_it_longer(desk: Desk, seconds: float) -> None:
    paused(desk)
    moved(desk, seconds)
    assert desk.run_single().returncode == TRY_LATER
    assert starts(desk) == 3
    change(desk, due=0.0)
    desk.run_single()
    assert starts(desk) == 4


@pytest.mark.parametrize("seconds", [seldom(LATER), 3000.0, seldom(-400.0)])
def test_pause_that_a_reboot_and_a_wrong_clock_came_into_is_over(desk: Desk, seconds: float) -> None:
    paused(desk)
    moved(desk, seconds, boot="another")
    desk.run_single()
    assert starts(desk) == 4


def test_pause_goes_on_after_a_reboot(desk: Desk) -> None:
    paused(desk)
    change(desk, boot="another", due=0.0)
    assert desk.run_single().returncode == TRY_LATER
    assert starts(desk) == 3


def test_task_of_a_try_that_was_killed_is_gone_on_with_and_nobody_else_tries_meanwhile(desk: Desk) -> None:
    tasks = paused(desk)
    change(desk, due=0.0)
    log = str(desk.directory / "points")
    killed = desk.hpm(*DEV, HPM_FAILPOINT="agent.ended:kill", HPM_FAILPOINT_LOG=log)
    assert killed.returncode == -signal.SIGKILL
    assert starts(desk) == 4
    assert statuses(desk, tasks).count("under_work") == 1
    desk.run_single()
    assert starts(desk) == 5
    assert statuses(desk, tasks) == ["created"] * 4
    assert desk.run_single("backend_dev", "dev_002").returncode == TRY_LATER
    assert starts(desk) == 5


@pytest.mark.extended
def test_runners_that_are_restarted_in_a_pause_take_nothing(desk: Desk) -> None:
    tasks = paused(desk)
    for agent in ("dev_001", "dev_002"):
        for more in ((), ("--max-tasks", "2")):
            with desk.start("run", "--role", "backend_dev", "--agent-id", agent, *more) as runner:
                wait_until(lambda: "no task is taken since" in runner.output(), what="the pause")
                runner.signal(signal.SIGKILL)
                runner.wait()
    assert starts(desk) == 3
    assert statuses(desk, tasks) == ["created"] * 4


PAUSE = {"kind": "refused", "reason": "x", "since": 1.0, "until": 2.0, "tries": 0}
GARBLED = {
    "no JSON": "{",
    "a list": "[]",
    "lists for facts": '{"pause": [], "failed": {}, "put_back": 3, "nonstart": []}',
    "no number": '{"pause": {"kind": "refused", "reason": "x", "since": NaN, "until": 2, "tries": 0}}',
    "year 9999": json.dumps({"pause": {**PAUSE, "since": 253402300799e3}}),
    "largest time": json.dumps({"pause": {**PAUSE, "since": 1e300, "until": 1e300}}),
    "negative time": json.dumps({"pause": {**PAUSE, "since": -1e300}}),
    "largest count": json.dumps({"pause": {**PAUSE, "tries": 10**40}}),
    "kind that is none": json.dumps({"pause": {**PAUSE, "kind": "x"}}),
    "longest wait": json.dumps({"pause": {**PAUSE, "until": time.time() + 1e9, "seconds": 1e9}}),
    "tried by nobody": json.dumps({"pause": {**PAUSE, "trying": "../dev_009"}}),
    "rows": json.dumps({"put_back": [1, {"board": 1}], "failed": [{"task_id": True}] * 50}),
}
QUICK = ("year 9999", "longest wait")


@pytest.mark.parametrize("name", [name if name in QUICK else seldom(name) for name in GARBLED])
def test_garbled_file_holds_no_task_back(desk: Desk, name: str) -> None:
    text = GARBLED[name]
    paused(desk)
    pickup_file(desk).write_text(text, encoding="utf-8")
    done = desk.run_single()
    assert (starts(desk), done.returncode) == (4, 1), done.stderr
    assert desk.record() is None


@pytest.mark.extended
def test_directory_in_the_place_of_the_file_holds_no_task_back(desk: Desk) -> None:
    tasks = paused(desk)
    path = pickup_file(desk)
    path.unlink()
    path.mkdir()
    done = desk.run_single()
    assert (starts(desk), done.returncode) == (4, 1), done.stderr
    assert statuses(desk, tasks).count("under_work") == 0


@pytest.mark.parametrize("before", ["qa_done", seldom("dev_done"), seldom("nonsense")])
def test_task_is_offered_again_with_the_status_that_the_board_knows(desk: Desk, before: str) -> None:
    use(desk, REFUSED, max_attempts=1)
    tasks = add(desk, 3)
    desk.run_single()
    known = json.loads(pickup_file(desk).read_text(encoding="utf-8"))
    known["put_back"] = [{**known.pop("failed")[0], "before": before}]
    pickup_file(desk).write_text(json.dumps(known), encoding="utf-8")
    desk.run_single()
    became = " ".join(desk.board.statuses(tasks[0]))
    assert "under_work pending created" in became
    assert before not in became
