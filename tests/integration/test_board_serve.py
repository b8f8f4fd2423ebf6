"""``hpm pm.serve`` as an operator starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HPM = (sys.executable, "-m", "hpm_tools.cli.hpm", "pm.serve")


class Served:
    def __init__(self, process: subprocess.Popen[str], stdout: IO[str], stderr: IO[str]) -> None:
        self.process = process
        self.first = stdout.readline().strip()
        self._stderr = stderr

    def end(self, sig: signal.Signals) -> tuple[int, str]:
        self.process.send_signal(sig)
        code = self.process.wait(300)
        return code, self._stderr.read()


@contextmanager
def serving(*options: str) -> Iterator[Served]:
    process = subprocess.Popen(
        [*HPM, *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        try:
            yield Served(process, process.stdout, process.stderr)
        finally:
            process.kill()
            process.wait()


def fetch(url: str, key: str) -> Any:
    request = urllib.request.Request(url, headers={"X-API-Key": key})
    with urllib.request.urlopen(request, timeout=300) as response:
        return json.load(response)


def refuse(*options: str) -> tuple[int, str]:
    done = subprocess.run(
        [*HPM, *options], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600
    )
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_its_url_comes_first_and_a_signal_ends_it_cleanly(tmp_path: Path, sig: signal.Signals) -> None:
    with serving("--port", "0", "--db", str(tmp_path / "b"), "--key", "k") as board:
        assert fetch(board.first + "/api/v1/tasks", "k") == []
        code, stderr = board.end(sig)
    assert code == 0
    assert "Traceback" not in stderr


def test_without_a_key_one_is_made_and_shown_to_the_operator(isolated: Path) -> None:
    with serving("--port", "0") as board:
        code, stderr = board.end(signal.SIGTERM)
    key = stderr.partition("export HEADLESS_PM_API_KEY=")[2].split()[0]
    assert code == 0
    assert len(key) >= 24
    assert (isolated / ".headless-pm" / "board.sqlite").exists()


def test_keys_come_from_the_environment_and_all_of_them_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADLESS_PM_API_KEY", "one")
    monkeypatch.setenv("API_KEY", "two")
    monkeypatch.setenv("MY_KEY", "three")
    with serving("--port", "0", "--db", str(tmp_path / "b")) as board:
        for key in ("one", "two"):
            assert fetch(board.first + "/api/v1/tasks", key) == []
        with pytest.raises(urllib.error.HTTPError, match="401") as refused:
            fetch(board.first + "/api/v1/tasks", "three")
        refused.value.close()
    with serving("--port", "0", "--db", str(tmp_path / "b"), "--key-env", "MY_KEY") as board:
        assert fetch(board.first + "/api/v1/tasks", "three") == []


def test_json_says_more_and_upstream_is_upstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with serving("--json", "--port", "0", "--db", "b", "--upstream", "--key", "k") as board:
        said = json.loads(board.first)
        assert (said["event"], said["db"], said["upstream"]) == ("serving", os.path.abspath("b"), True)
        assert "exact_lock" not in fetch(said["url"] + "/health", "")


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--port", "70000"), 2, "--port 70000 is no port"),
        (("--key", ""), 2, "an empty --key would let everybody in"),
        (("--key", "k", "--key-env", "K"), 2, "exclude each other"),
        (("--key-env", "ABSENT"), 2, "ABSENT"),
        (("--lock-delay", "-1"), 2, "cannot be negative"),
        (("--port", "0", "--db", "absent/b"), 73, "cannot open the board's database"),
        (("--host", "no.such.host.invalid", "--db", "unused"), 73, "cannot listen on no.such.host.invalid"),
    ],
)
def test_bad_input_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], code: int, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    returned, stderr = refuse(*options)
    assert (returned, says in stderr) == (code, True), stderr


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    with serving("--port", "0", "--db", str(tmp_path / "b"), "--key", "k") as board:
        port = board.first.rpartition(":")[2]
        code, stderr = refuse("--port", port, "--db", str(tmp_path / "c"), "--key", "k")
    assert code == 73
    assert "Address already in use" in stderr


def test_a_second_ctrl_c_ends_it_without_a_traceback(tmp_path: Path) -> None:
    with serving("--port", "0", "--db", str(tmp_path / "b"), "--key", "k") as board:
        board.process.send_signal(signal.SIGINT)
        code, stderr = board.end(signal.SIGINT)
    assert (code, "Traceback" in stderr) == (0, False)
