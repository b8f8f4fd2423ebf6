"""A board that refuses, is down or answers nonsense: what every command that talks to it says and returns."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.fault_server import KEEP, RESET, FaultServer, Request, answer
from tests.support.refusals import BOTH_FRONTS, Done, hpm, refused, refused_as_json
from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tests.support.fault_server import Act
    from tests.support.refusals import Front

AGENT = ("--agent-id", "dev_001")
TALKING: dict[str, tuple[object, ...]] = {
    "pm.register": (*AGENT, "--role", "backend_dev"),
    "pm.next": ("--role", "backend_dev"),
    "pm.task": ("--task-id", 1),
    "pm.tasks": (),
    "pm.status": (*AGENT, "--task-id", 1, "--status", "created"),
    "pm.comment": (*AGENT, "--task-id", 1, "--comment", "hello"),
    "pm.add": ("--title", "T", "--role", "backend_dev"),
    "lock": (*AGENT, "--task-id", 1),
    "run": ("--agent-id", "dev_002", "--role", "backend_dev", "--single-task"),
}
"""Every command that asks the board as the first thing, and what it is given."""

COMMANDS = pytest.mark.parametrize("name", TALKING)


def each(desk: Desk, front: Front, **extra: str) -> dict[str, Done]:
    """Every talking command under --json, side by side: most of their time is waiting."""

    def call(name: str) -> Done:
        return front(desk, name, *TALKING[name], "--json", **extra)

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(TALKING, pool.map(call, TALKING), strict=True))


@BOTH_FRONTS
@pytest.mark.parametrize(
    ("key", "part"),
    [
        ("", "no API key is set"),
        ("wrong-key", "refused the API key"),
        ("wr\u00f6ng", "no HTTP header can carry"),
    ],
    ids=["missing", "wrong", "impossible"],
)
def test_a_missing_or_wrong_key_is_refused(key: str, part: str, front: Front, desk: Desk) -> None:
    code = 78 if key == "wr\u00f6ng" else 77
    for name, done in each(desk, front, HEADLESS_PM_API_KEY=key).items():
        error = refused_as_json(done, code, part, events=name == "run")
        assert "HEADLESS_PM_API_KEY" in json.dumps(error)
        assert "wrong-key" not in done.stdout + done.stderr
    assert desk.record() is None


def test_the_plain_refusal_of_a_key(desk: Desk) -> None:
    for name in ("pm.tasks", "run"):
        done = hpm(desk, name, *TALKING[name], HEADLESS_PM_API_KEY="wrong-key")
        refused(done, 77, "refused the API key", "HEADLESS_PM_API_KEY", events=name == "run")


@BOTH_FRONTS
def test_a_board_that_is_down_is_unreachable_after_bounded_retries(
    front: Front, desk: Desk, closed_port: int
) -> None:
    url = f"http://127.0.0.1:{closed_port}"
    for name, done in each(desk, front, HEADLESS_PM_API_URL=url).items():
        error = refused_as_json(done, 69, url, events=name == "run")
        assert error["code"] == "board_unreachable"
        assert "HEADLESS_PM_API_URL" in error["hint"]
    assert desk.record() is None


def test_a_record_outlives_a_board_that_is_down(desk: Desk, closed_port: int) -> None:
    task = desk.board.add_task(description=script({"write": ["a.txt", "a"]}), complexity="major")
    desk.board.register("dev_001")
    assert hpm(desk, "lock", *AGENT, "--task-id", task["id"]).returncode == 0
    before = desk.record()
    url = f"http://127.0.0.1:{closed_port}"
    for words in (
        ["unlock", *AGENT],
        ["recover", *AGENT, "--adopt"],
        ["claude.exec", *AGENT],
    ):
        refused(hpm(desk, *words, HEADLESS_PM_API_URL=url), 69)
    after = desk.record()
    assert before is not None
    assert after is not None
    assert after["task_id"] == before["task_id"]
    again = hpm(desk, "recover", *AGENT, "--adopt")
    assert again.returncode == 0, again.stderr
    assert hpm(desk, "unlock", *AGENT).returncode == 0
    assert desk.board.task(task["id"])["locked_by"] is None


def nonsense(kind: str) -> Callable[[Request], Iterable[bytes | float | Act]]:
    html = "<!doctype html><title>502 \x1b[31mBad Gateway\x07</title>" + "<p>x</p>" * 1000
    bodies: dict[str, bytes] = {
        "html": answer(html, headers={"content-type": "text/html"}),
        "invalid": answer(b'{"id": 1, "title"', headers={"content-type": "application/json"}),
        "types": answer([{"id": "one", "title": ["x"], "status": 3}]),
        "deep": answer(b"[" * 100_000, headers={"content-type": "application/json"}),
        "binary": answer(bytes(range(256)) * 8),
        "empty": answer(b""),
        "redirect": answer(b"", status=302, headers={"location": "http://example.org/login"}),
        "5xx": answer(html, status=502, headers={"content-type": "text/html"}),
        "500": answer("Internal Server Error", status=500),
        "429": answer({"detail": "slow down"}, status=429, headers={"retry-after": "0"}),
    }
    acts: dict[str, list[bytes | float | Act]] = {
        "cut": [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", RESET]
    }
    return lambda _request: acts.get(kind) or [bodies[kind], KEEP]


CODES = {"5xx": 69, "500": 69, "cut": 69, "429": 75}


ALIKE = ("invalid", "binary", "empty", "5xx", "500", "redirect")
"""Answered like "html" or "cut" by the same lines; tests/unit/test_board_transport.py has each of them."""


@pytest.mark.parametrize(
    "kind",
    [
        *("html", "types", "deep", "429", "cut"),
        *(pytest.param(kind, marks=pytest.mark.extended) for kind in ALIKE),
    ],
)
def test_a_board_that_answers_nonsense(kind: str, desk: Desk) -> None:
    code = CODES.get(kind, 65)
    with FaultServer(nonsense(kind)) as server:
        for name, done in each(desk, hpm, HEADLESS_PM_API_URL=server.url).items():
            if kind == "types" and name in ("pm.tasks", "pm.task", "lock", "pm.status", "pm.comment"):
                continue  # to these it is a list whose only row is wrong: see the next test
            error = refused_as_json(done, code, server.url, events=name == "run")
            assert len(error["message"]) < 600, name
        plain = hpm(desk, "pm.next", *TALKING["pm.next"], HEADLESS_PM_API_URL=server.url)
        refused(plain, code, server.url)
    assert desk.record() is None


def test_wrong_rows_are_left_out_and_said_so(desk: Desk) -> None:
    good = desk.board.add_task(title="good")
    rows = [{"id": 7, "title": ["\x1b[31mx"], "status": 3}, {"id": "eight"}, good]
    with FaultServer(lambda _request: [answer(rows), KEEP]) as server:
        url: dict[str, Any] = {"HEADLESS_PM_API_URL": server.url}
        listed = hpm(desk, "pm.tasks", "--json", **url)
        assert listed.returncode == 0
        assert [task["id"] for task in json.loads(listed.stdout)["tasks"]] == [good["id"]]
        assert listed.stderr.count("warning: ") == 2
        assert "\x1b" not in listed.stderr
        assert hpm(desk, "pm.task", "--task-id", good["id"], **url).stdout == "created\n"
        refused(hpm(desk, "pm.task", "--task-id", 7, **url), 65, "7")
        refused(hpm(desk, "pm.task", "--task-id", 99, **url), 65, "99")
        refused(hpm(desk, "lock", *AGENT, "--task-id", 7, **url), 65, "7")


def test_health_tells_what_is_wrong_with_the_board_and_goes_on(desk: Desk) -> None:
    with FaultServer(nonsense("html")) as server:
        done = hpm(desk, "health", "--json", HEADLESS_PM_API_URL=server.url)
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert done.returncode == 1
    assert checks["board"]["ok"] is False
    assert checks["board"]["hint"]
    assert checks["git"]["ok"] is True


def test_a_continuous_runner_waits_for_its_board_and_says_so(desk: Desk) -> None:
    task = desk.board.add_task(description=script({"write": ["a.txt", "a"]}), complexity="major")
    state = "down"

    def behave(request: Request) -> Iterable[bytes | float | Act]:
        if state == "down":
            return [RESET]
        if state == "sick":
            return [answer("<html>maintenance</html>", status=503)]
        return [request.forward(desk.board.url), KEEP]

    extra = {"HEADLESS_PM_RETRY_PAUSE": "0.2"}
    with FaultServer(behave) as server:
        words = ("run", *AGENT, "--role", "backend_dev", "--max-tasks", 1)
        with desk.start(*words, HEADLESS_PM_API_URL=server.url, **extra) as runner:
            wait_until(lambda: "trying again in" in runner.output(), what="the runner's word")
            state = "sick"
            wait_until(lambda: "answered 503" in runner.output(), what="the runner's word on 503")
            state = "well"
            assert runner.wait() == 0, runner.output()
    assert "Traceback" not in runner.output()
    assert desk.board.task(task["id"])["status"] == "dev_done"


class Way:
    """The way to the board; while it is ``closed``, that is the answer to everything."""

    def __init__(self, desk: Desk) -> None:
        self.url = desk.board.url
        self.closed: bytes | None = None
        self.closes_after: tuple[str, str] | None = None
        """The method and the end of the path of the request that is the last to be carried out."""

    def __call__(self, request: Request) -> Iterable[bytes | float | Act]:
        if self.closed is not None:
            return [self.closed]
        carried_out = request.forward(self.url)
        method, path = self.closes_after or ("", "")
        if request.method == method and request.path.endswith(path):
            self.closed = UNAVAILABLE
            return [carried_out] if method == "GET" else [RESET]
        return [carried_out, KEEP]


UNAVAILABLE = answer("Service Unavailable", status=503)
MAINTENANCE = answer("<html>We are back soon</html>", headers={"content-type": "text/html"})
RUN = ("run", *AGENT, "--role", "backend_dev", "--single-task")


@pytest.fixture
def way(desk: Desk) -> Iterator[Way]:
    """All of the desk's commands go to the board by it."""
    way = Way(desk)
    with FaultServer(way) as server:
        desk.more = {"HEADLESS_PM_API_URL": server.url, "HEADLESS_PM_RETRY_PAUSE": "0.2"}
        yield way


@pytest.mark.fault("board-down")
@pytest.mark.parametrize("said", [UNAVAILABLE, MAINTENANCE], ids=["503", "a page of HTML"])
def test_an_outage_in_the_middle_of_a_task_costs_it_nothing(
    desk: Desk, way: Way, tmp_path: Path, said: bytes
) -> None:
    flag = tmp_path / "go"
    acts: list[dict[str, Any]] = [{"write": ["a.txt", "a"]}, {"wait_for": str(flag)}]
    task = desk.board.add_task(description=script(*acts), complexity="major")
    with desk.start(*RUN) as runner:
        wait_until(desk.agent_starts, what="the agent")
        way.closed = said
        flag.touch()
        wait_until(lambda: "trying again in" in runner.output(), what="the runner's word")
        way.closed = None
        assert runner.wait() == 0, runner.output()
    assert desk.board.statuses(task["id"]) == ["pending", "created", "under_work", "dev_done"]
    assert len(desk.agent_starts()) == 1


@pytest.mark.fault("board-down")
def test_an_outage_while_a_rejection_is_decided_on_costs_it_nothing(
    desk: Desk, way: Way, tmp_path: Path
) -> None:
    flag = tmp_path / "go"
    rejected = {"do": [{"wait_for": str(flag)}], "outcome": {"status": "rejected", "summary": "no test"}}
    description = script({"write": ["a.txt", "a"]}, as_qa=rejected)
    task = desk.board.add_task(description=description, complexity="major")
    assert desk.hpm(*RUN).returncode == 0
    with desk.start("run", "--agent-id", "qa_001", "--role", "qa", "--single-task") as runner:
        wait_until(lambda: len(desk.agent_starts()) == 2, what="qa's agent")
        way.closed = UNAVAILABLE
        flag.touch()
        wait_until(lambda: "trying again in" in runner.output(), what="the runner's word")
        way.closed = None
        assert runner.wait() == 0, runner.output()
    assert desk.board.statuses(task["id"])[-2:] == ["under_work", "created"]
    assert len(desk.agent_starts()) == 2


@pytest.mark.fault("lock-expired")
@pytest.mark.parametrize("last", [("GET", "/tasks"), ("POST", "/lock")], ids=["seen", "taken"])
def test_an_outage_while_an_expired_lock_is_taken_again_costs_it_nothing(
    desk: Desk, way: Way, tmp_path: Path, last: tuple[str, str]
) -> None:
    flag = tmp_path / "go"
    acts: list[dict[str, Any]] = [{"write": ["a.txt", "a"]}, {"wait_for": str(flag)}]
    task = desk.board.add_task(description=script(*acts), complexity="major")
    with desk.start(*RUN, HEADLESS_PM_HEARTBEAT_INTERVAL="1") as runner:
        wait_until(desk.agent_starts, what="the agent")
        desk.board.sql("UPDATE tasks SET locked_by = NULL, locked_at = NULL WHERE id = ?", task["id"])
        way.closes_after = last
        wait_until(lambda: "trying again in" in runner.output(), what="the runner's word")
        way.closes_after = way.closed = None
        wait_until(lambda: "taken again" in runner.output(), what="the lock")
        flag.touch()
        assert runner.wait() == 0, runner.output()
    found = desk.board.task(task["id"])
    assert (found["status"], found["locked_by"]) == ("dev_done", None)


@pytest.mark.fault("key-changed")
def test_a_key_that_is_changed_in_the_middle_of_a_task_keeps_its_work_for_the_next_start(
    desk: Desk, way: Way, tmp_path: Path
) -> None:
    flag = tmp_path / "go"
    acts: list[dict[str, Any]] = [{"write": ["a.txt", "a"]}, {"wait_for": str(flag)}]
    task = desk.board.add_task(description=script(*acts), complexity="major")
    with desk.start(*RUN) as runner:
        wait_until(desk.agent_starts, what="the agent")
        way.closed = answer({"detail": "Invalid API key"}, status=401)
        flag.touch()
        assert runner.wait() == 77, runner.output()
    assert desk.board.key not in runner.output()
    assert (desk.record() or {}).get("step") == "reporting"
    assert desk.git("show", f"feature/task-{task['id']}:a.txt") == "a"
    way.closed = None
    assert desk.hpm(*RUN).returncode == 0
    assert desk.board.task(task["id"])["status"] == "dev_done"
    assert len(desk.agent_starts()) == 1


@COMMANDS
def test_a_url_that_is_none_is_a_configuration_error(name: str, desk: Desk) -> None:
    done = hpm(desk, name, *TALKING[name], HEADLESS_PM_API_URL="localhost:6969")
    refused(done, 78, "must be a URL")
