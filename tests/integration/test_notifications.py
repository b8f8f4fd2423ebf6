"""People elsewhere are told, through a real local receiver; whatever becomes of a message, the run goes on."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hpm_tools.state.paths import StateDir
from tests.support.fixtures_desk import COMMIT, TOKEN, WRITE, wait_for_event
from tests.support.receiver import ENDLESS, SLOW, Receiver
from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.fixtures_desk import ClaudeDesk

RUN = ("run", "--json", "--role", "backend_dev", "--agent-id")
BLOCKED = {"status": "blocked", "summary": "no @everyone [database](http://x) \x1b[31mhere"}
SECRET = "tok3n0f1he5ervice"
HOUR = 3600


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def desk(desk: Desk) -> Desk:
    desk.change(retry_pause=0.2)
    return desk


def blocked(desk: Desk, **rest: Any) -> int:
    description = script(outcome=BLOCKED, **rest)
    return int(desk.board.add_task(title="Add it", description=description, complexity="major")["id"])


def told(desk: Desk) -> list[dict[str, Any]]:
    """What the events say of messages."""
    lines = desk.hpm("events", "--json").stdout.splitlines()
    return [event for line in lines if (event := json.loads(line))["event"] == "notified"]


def test_what_happens_within_the_window_is_one_message(desk: Desk, receiver: Receiver) -> None:
    desk.change(notify={"urls": [receiver.url], "window": HOUR})
    numbers = [blocked(desk) for _ in range(2)]
    done = desk.hpm(*RUN, "dev_001", "--max-tasks", 2)
    assert done.returncode == 0, done.stdout + done.stderr
    (message,) = receiver.messages
    assert message["title"] == "hpm dev_001: 2 x parked"
    assert message["type"] == "warning"
    for number in numbers:
        assert (
            f"dev_001: task {number} parked (Add it): the agent is blocked: no \uff20everyone (database)"
            in message["message"]
        )
    assert "\x1b" not in message["message"]
    (event,) = told(desk)
    assert (event["count"], event["services"], event["problem"]) == (2, {"1. JSON": True}, "")


@pytest.mark.fault("F8")
def test_no_service_finds_an_address_in_a_tasks_words(desk: Desk, receiver: Receiver) -> None:
    desk.change(notify={"urls": [receiver.url], "window": HOUR})
    addresses = (
        "https://evil.example/a http:\u200b//localhost:1/b www.evil.example evil.\u200bexample/c 10.0.0.1"
    )
    outcome = {"status": "blocked", "summary": f"go to {addresses}"}
    desk.board.add_task(title="Read evil.example", description=script(outcome=outcome), complexity="major")
    done = desk.hpm(*RUN, "dev_001", "--single-task")
    (message,) = receiver.messages
    assert "parked (Read evil" in message["message"], done.stderr
    assert "localhost" in message["message"]
    assert not re.search(r"://|\w\.[a-z]|\d\.\d+\.\d", message["message"])


def test_a_message_goes_out_while_the_runner_works_on_and_says_so_when_it_stops(
    desk: Desk, receiver: Receiver
) -> None:
    desk.change(notify={"urls": [receiver.url], "window": 0.1})
    blocked(desk)
    with desk.start(*RUN, "dev_001") as runner:
        wait_until(lambda: "parked" in receiver.text, what="the first message")
        runner.signal(signal.SIGTERM)
        assert runner.wait() == 143
    assert "dev_001 stopped: ended by signal 15" in receiver.messages[-1]["message"]
    assert receiver.messages[-1]["title"] == "hpm dev_001: runner stopped"


def test_only_what_is_wanted_is_told(desk: Desk, receiver: Receiver) -> None:
    hooks = desk.directory / "hooks"
    hooks.mkdir(mode=0o700)
    (hooks / "health_check.sh").write_text("echo no disk; exit 1\n", encoding="utf-8")
    desk.change(notify={"urls": [receiver.url], "window": 0, "on": ["health_failed"]}, hooks_dir=str(hooks))
    with desk.start(*RUN, "dev_001") as runner:
        wait_for_event(runner, "health_failed")
        wait_until(lambda: receiver.messages, what="the message")
        runner.signal(signal.SIGTERM)
        assert runner.wait() == 143
    (message,) = receiver.messages
    assert message["title"] == "hpm dev_001: health check failed"
    assert message["type"] == "failure"


def test_a_day_without_money_and_the_stop_that_follows_are_told(desk: Desk, receiver: Receiver) -> None:
    desk.change(
        notify={"urls": [receiver.url], "window": HOUR}, budget={"agent_daily_usd": 1, "then": "stop"}
    )
    outcome = {"status": "done", "summary": "s", "no_change": True, "cost_usd": 2.0}
    desk.board.add_task(description=script(outcome=outcome), complexity="major")
    done = desk.hpm(*RUN, "dev_001")
    assert done.returncode == 75, done.stdout + done.stderr
    (message,) = receiver.messages
    assert message["title"] == "hpm dev_001: 1 x day's budget reached, 1 x runner stopped"
    assert "2.00 of 1.00 USD" in message["message"]


def test_a_single_task_that_is_not_there_is_no_news(desk: Desk, receiver: Receiver) -> None:
    desk.change(notify={"urls": [receiver.url], "window": 0})
    assert desk.run_single().returncode == 3
    assert receiver.messages == []


def test_a_question_is_told_while_its_runner_waits(desk: Desk, receiver: Receiver) -> None:
    hooks = desk.directory / "hooks"
    hooks.mkdir(mode=0o700)
    (hooks / "pre_task.sh").write_text("echo no room; exit 1\n", encoding="utf-8")
    desk.change(notify={"urls": [receiver.url], "window": 0}, hooks_dir=str(hooks))
    number = desk.board.add_task(complexity="major")["id"]
    with desk.start(*RUN, "dev_001", "--single-task", "--on-problem", "ask") as runner:
        wait_until(lambda: receiver.messages, what="the question")
        assert receiver.messages[0]["title"] == "hpm dev_001: needs an answer"
        assert f"task {number} waits for an answer" in receiver.text
        assert desk.hpm("answer", "--agent-id", "dev_001", "--choice", "release").returncode == 0
        assert runner.wait() == 1


def test_a_single_command_that_parks_a_task_tells_it_too(desk: Desk, receiver: Receiver) -> None:
    desk.change(notify={"urls": [receiver.url]})
    number = blocked(desk)
    held = ("--agent-id", "dev_001")
    assert desk.hpm("pm.register", *held, "--role", "backend_dev").returncode == 0
    assert desk.hpm("lock", *held, "--task-id", number).returncode == 0
    assert desk.hpm("claude.exec", *held).returncode == 1
    assert desk.hpm("finish", *held).stdout.strip() == "pending"
    assert f"task {number} parked" in receiver.text
    assert [event["services"] for event in told(desk)] == [{"1. JSON": True}]


def test_what_a_killed_runner_had_to_tell_is_told_by_the_next(desk: Desk, receiver: Receiver) -> None:
    desk.change(notify={"urls": [receiver.url], "window": HOUR})
    number = blocked(desk)
    with desk.start(*RUN, "dev_001") as runner:
        wait_for_event(runner, "task_finished")
        outbox = desk.state / "outbox.json"
        wait_until(lambda: outbox.exists() and json.loads(outbox.read_bytes())["waiting"], what="the notice")
        runner.signal(signal.SIGKILL)
        runner.wait()
    assert receiver.messages == []
    assert desk.run_single("backend_dev", "dev_002").returncode == 3
    assert f"dev_001: task {number} parked" in receiver.text


@pytest.mark.extended
def test_runners_of_one_host_do_not_multiply_the_messages(desk: Desk, receiver: Receiver) -> None:
    desk.change(notify={"urls": [receiver.url], "window": 0, "hourly": 2})
    numbers = [blocked(desk) for _ in range(4)]
    codes = [desk.run_single("backend_dev", f"dev_00{n}").returncode for n in range(4)]
    assert codes == [1, 1, 1, 1]
    assert len(receiver.messages) == 2
    waiting = json.loads((desk.state / "outbox.json").read_bytes())["waiting"]
    assert len(waiting) == 2
    texts = receiver.text + json.dumps(waiting)
    assert all(f"task {number} parked" in texts for number in numbers)


TELLER = """
import sys
from hpm_tools.names import NOTICES
from hpm_tools.runner.notifying import Notifier
from hpm_tools.state.paths import StateDir
url, number = sys.argv[1:]
notifier = Notifier(
    StateDir(), urls=[url], kinds=NOTICES, window=0, hourly=20, clean=str, told=lambda *_: None
)
where = {"agent": f"dev_{number}", "where": "here"}
notifier.consider("limit_wait", f"task {number}: a limit", {"until": 4e9}, **where)
notifier.consider("parked", f"task {number} parked", {}, **where)
notifier.close(60)
"""


def test_runners_that_tell_at_the_same_moment_tell_each_thing_once(receiver: Receiver) -> None:
    numbers = range(1, 5)
    tellers = [
        subprocess.Popen([sys.executable, "-c", TELLER, receiver.url, str(number)]) for number in numbers
    ]
    assert [teller.wait(timeout=600) for teller in tellers] == [0] * len(tellers)
    waiting = json.loads(Path(StateDir().outbox).read_bytes())["waiting"]
    texts = receiver.text + "\n".join(notice["text"] for notice in waiting)
    assert texts.count("the usage limit holds until") == 1
    assert [texts.count(f"task {number} parked") for number in numbers] == [1, 1, 1, 1]


@pytest.mark.parametrize("behaviour", [None, 500, SLOW, ENDLESS])
def test_a_receiver_that_fails_costs_the_message_and_nothing_else(
    desk: Desk, behaviour: int | str | None
) -> None:
    with Receiver(behaviour or 200) as receiver:
        url = receiver.url if behaviour else "json://127.0.0.1:9"
        desk.change(notify={"urls": [f"{url}/{SECRET}"], "window": 0, "on": ["parked"]})
        blocked(desk)
        done_task = desk.board.add_task(description=script({"write": ["a.txt", "a\n"]}), complexity="major")
        done = desk.hpm(*RUN, "dev_001", "--max-tasks", 2)
        assert done.returncode == 0, done.stdout + done.stderr
        assert desk.board.task(done_task["id"])["status"] == "dev_done"
        assert done.stderr.count("notification failed: 1. JSON: ") == 1
        assert SECRET not in done.stdout + done.stderr
    assert [event["services"] for event in told(desk)] == [{"1. JSON": False}]
    assert json.loads((desk.state / "outbox.json").read_bytes())["waiting"], "it is tried again later"
    health = desk.hpm("health")
    assert "notifications: the last message failed" in health.stdout
    for path in desk.state.rglob("*"):
        if path.is_file() and path.name != "config.yaml":
            assert SECRET.encode() not in path.read_bytes(), path


def test_the_services_urls_are_shown_nowhere(desk: Desk, receiver: Receiver) -> None:
    desk.change(notify={"urls": [f"{receiver.url}/{SECRET}"]})
    shown = desk.hpm("health", "--json")
    assert json.loads(shown.stdout)["config"]["notify.urls"]["value"] == "***"
    told_by_agent = script(
        {"say": f"I read {SECRET}"}, outcome={"status": "blocked", "summary": f"see {SECRET}"}
    )
    number = desk.board.add_task(description=told_by_agent, complexity="major")["id"]
    assert desk.run_single().returncode == 1
    assert SECRET not in str(desk.board.task(number)["notes"])
    assert SECRET not in receiver.text
    assert "parked" in receiver.text


@pytest.mark.parametrize(
    ("behaviours", "code", "says"),
    [
        ([200, 200], 0, ["ok    1. JSON", "ok    2. JSON"]),
        ([200, 500], 69, ["ok    1. JSON", "FAIL  2. JSON: "]),
        ([401, 200], 77, ["FAIL  1. JSON: ", "ok    2. JSON"]),
        ([200, ENDLESS], 69, ["ok    1. JSON", "FAIL  2. JSON: it did not answer within 10 s"]),
    ],
)
def test_each_service_can_be_tried(
    desk: Desk, behaviours: list[int | str], code: int, says: list[str]
) -> None:
    with Receiver(behaviours[0]) as first, Receiver(behaviours[1]) as second:
        desk.change(notify={"urls": [first.url, f"{second.url}/{SECRET}"]})
        done = desk.hpm("notify.test")
        assert done.returncode == code, done.stdout + done.stderr
        lines = done.stdout.splitlines()
        assert [line.startswith(said) for line, said in zip(lines, says, strict=True)] == [True, True], lines
        assert [len(first.messages), len(second.messages)] == [1, 1]
        assert SECRET not in done.stdout + done.stderr


def test_a_url_that_is_none_is_a_matter_of_configuration(desk: Desk) -> None:
    desk.change(notify={"urls": [f"nosuch://{SECRET}"]})
    done = desk.hpm("notify.test", "--json")
    assert done.returncode == 78
    (service,) = json.loads(done.stdout)["services"]
    assert service == {"service": "1.", "ok": False, "why": "no service knows this URL"}


def test_without_apprise_a_run_says_what_to_install_and_goes_on(
    desk: Desk, receiver: Receiver, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.startswith("apprise"):
            (site / path.name).symlink_to(path)
    desk.change(notify={"urls": [receiver.url]})
    number = blocked(desk)
    root = Path(__file__).resolve().parents[2]
    command = "import sys; from hpm_tools.cli.hpm import main; sys.exit(main(sys.argv[1:]))"

    def hpm(*words: object) -> Any:
        return desk.hpm_as([sys.executable, "-S", "-c", command], *words, PYTHONPATH=f"{root}:{site}")

    done = hpm("run", "--role", "backend_dev", "--agent-id", "dev_001", "--single-task")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "apprise, which sends them, is not installed" in done.stderr
    assert "-m pip install apprise" in done.stderr
    assert desk.board.task(number)["status"] == "pending"
    tried = hpm("notify.test")
    assert tried.returncode == 78
    assert "-m pip install apprise" in tried.stderr


def test_a_refused_login_is_told(claude_desk: ClaudeDesk, receiver: Receiver) -> None:
    desk = claude_desk
    desk.change(notify={"urls": [receiver.url], "window": HOUR})
    desk.play({"fail": {"status": 401}})
    desk.board.add_task(complexity="major")
    assert desk.run().returncode == 77
    (message,) = receiver.messages
    assert message["title"] == "hpm dev_001: 1 x login refused, 1 x runner stopped"
    assert message["type"] == "failure"


@pytest.mark.extended
def test_a_limit_is_told_when_it_comes_and_when_it_is_over(
    claude_desk: ClaudeDesk, receiver: Receiver
) -> None:
    desk = claude_desk
    desk.login = TOKEN
    desk.change(notify={"urls": [receiver.url], "window": HOUR})
    limit = {"fail": {"limit": {"kind": "five_hour", "resets_in": 4}}}
    desk.play({**WRITE, **limit}, COMMIT)
    desk.board.add_task(complexity="major")
    done = desk.run()
    assert done.returncode == 0, done.stdout + done.stderr
    (message,) = receiver.messages
    assert message["title"] == "hpm dev_001: 1 x usage limit reached, 1 x usage limit over"
