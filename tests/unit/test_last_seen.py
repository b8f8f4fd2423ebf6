"""What a state directory knows of its agents' last_seen, whatever its commands do at the same time."""

from __future__ import annotations

import json
import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hpm_tools.board import lease
from hpm_tools.board.client import Board
from hpm_tools.board.errors import InUse
from hpm_tools.state.files import SUFFIX
from hpm_tools.state.last_seen import OVER_AFTER, LastSeen
from hpm_tools.state.paths import StateDir
from hpm_tools.state.tidy import tidy
from tests.support.fault_server import KEEP, RESET, Act, FaultServer, Request

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.support.board_process import BoardUnderTest

ME, BOARD = "dev_001", "localhost-6969"
ONE, TWO = "2026-11-30T10:00:00.000001", "2026-11-30T10:00:01"
ROUNDS = 12


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return state_in(tmp_path / "state")


def state_in(path: Path) -> StateDir:
    state = StateDir(str(path))
    state.prepare()
    return state


def log_of(state: StateDir) -> LastSeen:
    return LastSeen(state, BOARD)


def file_of(state: StateDir) -> Path:
    (path,) = Path(state.seen).glob("*.json")
    return path


def test_it_is_known_from_a_registration_until_the_next_act(state: StateDir) -> None:
    one, other = log_of(state), log_of(state)
    one.acted(ME, one.acting(ME), ONE)
    assert (one.own(ME), other.own(ME), other.own("dev_002")) == (ONE, ONE, None)
    act = other.acting(ME)
    assert (one.own(ME), one.was_killed(ME)) == (None, True)
    other.acted(ME, act)
    assert (one.own(ME), one.was_killed(ME)) == (None, False)
    one.acted(ME, one.acting(ME), TWO)
    assert other.own(ME) == TWO


@pytest.mark.parametrize("first_ends_first", [True, False])
def test_of_two_acts_at_once_nothing_is_known(state: StateDir, first_ends_first: bool) -> None:
    one, other = log_of(state), log_of(state)
    acts = [(one, one.acting(ME), ONE), (other, other.acting(ME), TWO)]
    for log, act, seen in acts if first_ends_first else reversed(acts):
        log.acted(ME, act, seen)
        assert one.own(ME) is None
    one.acted(ME, one.acting(ME), TWO)
    assert one.own(ME) == TWO


def test_an_act_that_was_killed_is_over_after_a_while(state: StateDir) -> None:
    killed, log = log_of(state), log_of(state)
    killed.acting(ME)
    log.acted(ME, log.acting(ME), ONE)
    assert log.own(ME) is None
    path = file_of(state)
    facts = json.loads(path.read_text())
    facts["open"]["1"][0] -= OVER_AFTER
    path.write_text(json.dumps(facts))
    assert not log.was_killed(ME)
    log.acted(ME, log.acting(ME), TWO)
    assert log.own(ME) == TWO


def test_a_copy_of_a_state_directory_knows_nothing(state: StateDir, tmp_path: Path) -> None:
    log = log_of(state)
    log.acted(ME, log.acting(ME), ONE)
    shutil.copytree(state.home, tmp_path / "copy")
    copy = log_of(StateDir(str(tmp_path / "copy")))
    assert copy.own(ME) is None
    copy.acted(ME, copy.acting(ME), TWO)
    assert (copy.own(ME), log.own(ME)) == (TWO, ONE)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"open": 5, "begun": "x", "here": 7}', b"\xff"])
def test_a_damaged_file_is_begun_anew(state: StateDir, content: bytes) -> None:
    log = log_of(state)
    log.acted(ME, log.acting(ME), ONE)
    path = file_of(state)
    path.write_bytes(content)
    assert (log.own(ME), log.was_killed(ME)) == (None, False)
    log.acted(ME, log.acting(ME), TWO)
    assert log.own(ME) == TWO


def test_tidying_removes_what_killed_writers_left_and_agents_of_long_ago(state: StateDir) -> None:
    log = log_of(state)
    log.acted("old", log.acting("old"), ONE)
    old = file_of(state)
    os.utime(old, (0, 0))
    log.acted(ME, log.acting(ME), ONE)
    torn = old.with_name(".x.json.1-2" + SUFFIX)
    torn.write_bytes(b"")
    assert set(tidy(state)) == {str(old), str(torn)}
    assert log.own(ME) == ONE


def test_whoever_acts_alone_knows_it(state: StateDir) -> None:
    one, other = log_of(state), log_of(state)
    first = one.acting(ME)
    one.acted(ME, first, ONE)
    one.acted(ME, one.acting(ME))
    assert one.alone_since(ME, first)
    act = other.acting(ME)
    assert not one.alone_since(ME, first)
    again = one.acting(ME)
    other.acted(ME, act)
    one.acted(ME, again)
    assert not one.alone_since(ME, first)
    assert not one.alone_since(ME, again)
    last = one.acting(ME)
    assert one.alone_since(ME, last)


# Two of one id that take a task at once


@pytest.fixture
def two(tmp_path: Path, board: BoardUnderTest) -> Iterator[list[Board]]:
    clients = [Board(board.url, board.key, seen=log_of(state_in(tmp_path / name))) for name in ("one", "two")]
    yield clients
    for client in clients:
        client.close()


def test_of_two_hosts_that_take_one_task_under_one_id_at_most_one_gets_it(
    board: BoardUnderTest, two: list[Board]
) -> None:
    taken = [take_at_once(two, board.add_task()) for _ in range(ROUNDS)]
    # The real board may tell both that they have it; then both may let it go.
    assert set(taken) <= ({0, 1} if board.upstream else {1}), taken


def take_at_once(clients: list[Board], task: dict[str, object]) -> int:
    """How many of ``clients`` believe that they hold the task."""
    start = threading.Barrier(len(clients))
    got: list[lease.Lease] = []

    def run(client: Board) -> None:
        start.wait()
        with suppress(InUse):
            got.append(lease.take(client, task, ME, role="backend_dev", level="senior", first=True))

    threads = [threading.Thread(target=run, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(got)


@pytest.mark.parametrize("act", ["/register", "/lock"])
def test_what_we_did_ourselves_though_the_answer_was_lost_is_no_twins(
    board: BoardUnderTest, tmp_path: Path, act: str
) -> None:
    task = board.add_task()
    lost: list[Request] = []

    def respond(request: Request) -> Iterable[bytes | float | Act]:
        answered = request.forward(board.url)
        if request.path.endswith(act) and not lost:
            lost.append(request)
            return [RESET]
        return [answered, KEEP]

    with (
        FaultServer(respond) as server,
        Board(server.url, board.key, seen=log_of(state_in(tmp_path / "state"))) as client,
    ):
        held = lease.take(client, task, ME, role="backend_dev", level="senior", first=True)
    assert (held.task_id, bool(lost)) == (task["id"], True)
