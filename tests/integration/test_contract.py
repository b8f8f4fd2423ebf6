"""The contract that scripts rely on: each command's successes, through both front ends, by tests/support/contract.

A new command without a row fails `test_every_command_has_a_row`.
"""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from hpm_tools import registry
from tests.support import forkserver
from tests.support.contract import ROWS
from tests.support.frontends import FRONTS
from tests.support.repos import make_repo
from tests.support.schemas import checked, checked_lines
from tests.support.situations import Place, place_at, steady
from tests.support.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.board_process import BoardUnderTest
    from tests.support.refusals import Done
    from tests.support.situations import Words

COMMANDS = {command.name: command for command in registry.all_commands()}
EACH = pytest.mark.parametrize("name", COMMANDS)
EACH_RUN = pytest.mark.parametrize(
    "name",
    # It starts a board and two runners each time; tests/integration/test_demo.py and the shell tests run it anyway.
    [pytest.param(name, marks=pytest.mark.extended if name == "demo" else ()) for name in COMMANDS],
)
BOTH = pytest.mark.parametrize("front", FRONTS)


@pytest.fixture
def place(tmp_path: Path, exact_board: BoardUnderTest) -> Iterator[Place]:
    repo = make_repo(tmp_path / "repo").root
    with place_at(tmp_path / "desk", exact_board, repo) as made:
        yield made


def test_every_command_has_a_row() -> None:
    assert ROWS.keys() == registry.MODULES.keys()
    for name, row in ROWS.items():
        required = any(option.required for option in COMMANDS[name].options)
        assert required or row.lacking, f"{name}: what can lack, or why can nothing?"
        assert not (required and isinstance(row.lacking, str)), name


def argv(front: str, name: str, words: Words) -> list[str]:
    return [*map(str, FRONTS[front]), name, *map(str, words)]


def call(
    place: Place,
    front: str,
    name: str,
    words: Words,
    *,
    redirection: str = "",
    stdin: int = subprocess.DEVNULL,
) -> Done:
    """Run a command in a pipe; one that serves is told to end when it has printed its first line."""
    if not ROWS[name].serves:
        return run(place, argv(front, name, words), redirection, stdin)
    process = subprocess.Popen(
        ["bash", "-c", f'exec "$@" {redirection}', "bash", *argv(front, name, words)],
        cwd=place.repo,
        env=place.environment,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    with process:
        assert process.stdout is not None
        first = process.stdout.readline()
        if b"http://" in first:
            process.terminate()
        out, err = process.communicate(timeout=600)
    return subprocess.CompletedProcess(process.args, process.returncode, (first + out).decode(), err.decode())


def run(place: Place, words: list[str], redirection: str, stdin: int) -> Done:
    """The same for a command that ends by itself, by the fork server."""
    redirected: dict[int, int | None] = {}
    with ExitStack() as files:
        if redirection:
            path = redirection.partition(">")[2]
            opened = None if redirection.endswith("&-") else files.enter_context(open(path, "wb")).fileno()
            redirected[0 if redirection.startswith("<") else 1] = opened
        if stdin != subprocess.DEVNULL:
            redirected[0] = stdin
        return forkserver.run(
            words, cwd=place.repo, env=place.environment, timeout=600, redirected=redirected
        )


def published(name: str, output: str) -> None:
    """``output`` is ASCII and as the command's schema says."""
    assert output.isascii()
    if COMMANDS[name].streams:
        assert checked_lines(name, output)
    else:
        assert isinstance(checked(name, output), dict)


@EACH
def test_help_says_all_and_does_nothing(name: str, place: Place) -> None:
    quick, task = (call(place, front, name, ["--help"]) for front in FRONTS)
    assert (quick.returncode, quick.stderr) == (0, "")
    assert (task.returncode, task.stderr) == (0, "")
    command = COMMANDS[name]
    assert command.example in quick.stdout
    assert command.example.replace("hpm ", "invoke ") in task.stdout
    for help_ in (quick.stdout, task.stdout):
        assert command.summary in " ".join(help_.split())
        assert all(option.flag in help_ for option in command.options)
    assert max(map(len, quick.stdout.splitlines())) <= max(79, len(command.example) + 2)
    assert not (place.state / "locks").exists()
    assert place.board.ok("GET", "/agents") == []


@EACH_RUN
def test_in_a_pipe_with_a_closed_stdin_both_print_the_same(name: str, place: Place) -> None:
    good = ROWS[name].good
    quick, task = (call(place, front, name, good(place), redirection="<&-") for front in FRONTS)
    assert quick.returncode == 0, quick.stdout + quick.stderr
    assert "\x1b" not in quick.stdout + quick.stderr + task.stderr
    assert quick.stdout == "" or quick.stdout.endswith("\n")
    assert task.returncode == 0, task.stderr
    assert steady(ROWS[name], task.stdout) == steady(ROWS[name], quick.stdout)


@EACH_RUN
def test_json_is_as_published_and_the_callers_stdin_is_left_alone(name: str, place: Place) -> None:
    (place.directory / "ids").write_text("1\n2\n3\n", encoding="utf-8")
    loop = os.open(place.directory / "ids", os.O_RDONLY)
    try:
        assert os.read(loop, 2) == b"1\n"
        done = call(place, "hpm", name, [*ROWS[name].good(place), "--json"], stdin=loop)
        assert done.returncode == 0, done.stderr
        assert os.lseek(loop, 0, os.SEEK_CUR) == 2, "it read what a loop around it would have read"
    finally:
        os.close(loop)
    published(name, done.stdout)


@EACH_RUN
def test_on_a_terminal_without_colour_there_is_none(name: str, place: Place) -> None:
    """hpm has the terminal to itself; invoke's --json goes to a file and only its messages to the terminal."""
    on_terminal(place, "hpm", name, [])
    output = place.directory / "out.json"
    on_terminal(place, "invoke", name, ["--json"], stdout=output)
    published(name, output.read_text(encoding="utf-8"))


def on_terminal(place: Place, front: str, name: str, more: list[str], stdout: Path | None = None) -> None:
    words = argv(front, name, [*ROWS[name].good(place), "-v", *more])
    environment = {**place.environment, "NO_COLOR": "1"}
    with Terminal(words, cwd=place.repo, env=environment, stdout=stdout) as terminal:
        if ROWS[name].serves:
            terminal.wait_for("Ctrl-C ends it")
            terminal.type("\x03")
        assert terminal.wait() == 0, terminal.screen
        assert not re.search(r"\x1b\[[0-9;]*m", terminal.screen), terminal.screen


@EACH
def test_a_closed_stdout_is_an_error(name: str, place: Place) -> None:
    """Nothing is done, so that one preparation serves both."""
    words = [*ROWS[name].good(place), "--json"]
    for front in FRONTS:
        done = call(place, front, name, words, redirection=">&-")
        assert done.returncode == 73, (front, done.stderr)
        assert "could not be written to stdout" in done.stderr, front
        assert "Traceback" not in done.stderr, front


def test_a_runner_outlives_a_full_disk_under_its_log(place: Place) -> None:
    task_id = place.task()
    words: Words = ["--agent-id", "dev_001", "--role", "backend_dev", "--single-task"]
    done = call(place, "hpm", "run", words, redirection=">/dev/full")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("can no longer be written to stdout: No space left on device") == 1
    assert place.board.task(task_id)["status"] == "dev_done"


@BOTH
def test_a_loop_goes_through_all_its_lines(front: str, place: Place) -> None:
    ids = "".join(f"{place.task()}\n" for _ in range(3))
    program = subprocess.list2cmdline(map(str, FRONTS[front]))
    loop = f'while read -r id; do {program} pm.task --task-id "$id"; done'
    done = subprocess.run(
        ["bash", "-c", loop],
        cwd=place.repo,
        env=place.environment,
        input=ids,
        capture_output=True,
        encoding="utf-8",
        timeout=600,
        check=False,
    )
    assert done.stdout.split() == ["pending", "pending", "created"], done.stderr


def test_invoke_runs_the_same_command_again_after_another(place: Place) -> None:
    task_id = place.task()
    lock = ["lock", "--agent-id", "dev_001", "--task-id", str(task_id), "--owner-pid", str(os.getpid())]
    unlock = ["unlock", "--agent-id", "dev_001"]
    done = call(place, "invoke", lock[0], [*lock[1:], *unlock, *lock])
    assert done.returncode == 0, done.stderr
    first, freed, second = done.stdout.split()
    assert freed == str(task_id)
    assert first != second
    assert place.record() is not None
