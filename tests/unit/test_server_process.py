"""The board as a child process: it answers when it says so, tells why it cannot, and dies with its parent."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from hpm_tools.board.embedded import EmbeddedBoard
from hpm_tools.board.server import Settings, start
from hpm_tools.errors import BadData, CannotCreate
from tests.support.board_process import BoardUnderTest, running_board
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "a key that nobody may see"


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_settings_survive_the_pipe() -> None:
    settings = Settings("/x", ("a", "b"), "::1", 3, upstream=True, lock_delay=0.5, clock_offset_file="/c")
    assert Settings.from_json(settings.to_json()) == settings


@pytest.mark.parametrize(
    "line", [b"", b"[]", b"null", b"{}", b'{"db": 1}', b'{"keys": []}', b'{"keys": ["k"], "x": 1}']
)
def test_settings_that_are_none_are_bad_data(line: bytes) -> None:
    with pytest.raises(BadData, match="settings are unusable"):
        Settings.from_json(line)


def test_it_answers_once_started_and_ends_when_stopped(tmp_path: Path) -> None:
    board = start(Settings(str(tmp_path / "b"), ("k",)), log=str(tmp_path / "log"))
    under_test = BoardUnderTest(board, Settings(str(tmp_path / "b"), ("k",)), tmp_path / "log")
    assert under_test.call("GET", "/agents", key="k").json == []
    assert board.stop() == 0
    assert (tmp_path / "log").read_bytes() == b""


def test_the_key_is_in_no_argument_and_no_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADLESS_PM_API_KEY", SECRET)
    with start(Settings(str(tmp_path / "b"), (SECRET,)), log=str(tmp_path / "log")) as board:
        child = psutil.Process(board.process.pid)
        assert SECRET not in " ".join(child.cmdline()) + repr(child.environ())


def test_a_module_in_the_working_directory_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fastapi.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with start(Settings(str(tmp_path / "b"), ("k",)), log=str(tmp_path / "log")) as board:
        assert board.url


def test_its_messages_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with start(Settings(db=str(tmp_path / "board.db"), keys=("k" * 12,)), log=str(tmp_path / "log")):
            modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir() if path.is_file()}
    finally:
        os.umask(before)
    assert {"board.db", "log"} <= modes.keys()
    assert set(modes.values()) == {0o600}


@pytest.mark.extended
def test_why_it_does_not_start_is_told(tmp_path: Path) -> None:
    log = str(tmp_path / "log")
    with pytest.raises(CannotCreate, match="No such file or directory"):
        start(Settings(str(tmp_path / "absent" / "b"), ("k",)), log=log)
    (tmp_path / "text").write_text(
        "not a database, and longer than its header would be" * 20, encoding="utf-8"
    )
    with pytest.raises(CannotCreate, match="file is not a database"):
        start(Settings(str(tmp_path / "text"), ("k",)), log=log)
    with running_board(tmp_path) as board:
        port = int(board.url.rpartition(":")[2])
        with pytest.raises(CannotCreate, match="Address already in use"):
            start(Settings(str(tmp_path / "other"), ("k",), port=port), log=log)


def test_without_a_directory_the_embedded_board_leaves_nothing() -> None:
    with EmbeddedBoard() as board:
        place = str(board._temporary)
        assert os.path.isdir(place)
        assert board.url.startswith("http://127.0.0.1:")
        assert len(board.key) >= 24
    assert not os.path.exists(place)


def test_with_a_file_the_embedded_board_is_kept(tmp_path: Path) -> None:
    db = tmp_path / "board.sqlite"
    with EmbeddedBoard(db, upstream=True):
        pass
    with sqlite3.connect(db) as connection:
        assert connection.execute("SELECT count(*) FROM tasks").fetchall() == [(0,)]
    connection.close()
    assert sorted(path.name for path in tmp_path.glob("board*")) == ["board.log", "board.sqlite"]


@pytest.mark.parametrize("upstream", [False, True])
def test_it_dies_with_its_parent_however_that_dies(tmp_path: Path, *, upstream: bool) -> None:
    program = (
        "import time; from hpm_tools.board.embedded import EmbeddedBoard as B\n"
        f"with B({str(tmp_path / 'b')!r}, upstream={upstream}) as board:\n"
        "    print(board._process.process.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent.stdout:
        child = int(parent.stdout.readline())
    assert not gone(child)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_until(lambda: gone(child), what="the board's end")


def test_ctrl_c_at_the_terminal_reaches_the_parent_alone(tmp_path: Path) -> None:
    with EmbeddedBoard(tmp_path / "b") as board:
        assert board._process is not None
        assert os.getsid(board._process.process.pid) != os.getsid(0)
