"""The contract that scripts rely on, for every command of the registry in every situation of tests/support/contract.

A new command without a row fails `test_every_command_has_a_row`.
"""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from hpm_tools import registry
from hpm_tools.cli.arguments import flags_of
from tests.support.contract import ALONE, ROWS, Place, place_at
from tests.support.refusals import Done, both_refuse, hpm, invoke, refused, refused_as_json
from tests.support.repos import make_repo
from tests.support.schemas import checked, checked_lines
from tests.support.terminal import Terminal
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hpm_tools.registry import Command, Option
    from tests.support.board_process import BoardUnderTest
    from tests.support.contract import Prepare, Words

HPM = [sys.executable, "-m", "hpm_tools.cli.hpm"]
COMMANDS = {command.name: command for command in registry.all_commands()}
SITUATIONS = {"nothing": 3, "held": 75, "unknown": 65}
CLOSED_BOARD: dict[str, Any] = {"HEADLESS_PM_API_URL": "http://127.0.0.1:9"}
EACH = pytest.mark.parametrize("name", ROWS)

VARYING = re.compile(r"[0-9a-f]{32}|[0-9a-f]{40}|\d{8}T\d+Z(-\w+)?|\d+(\.\d+)?")


@pytest.fixture
def place(tmp_path: Path, exact_board: BoardUnderTest) -> Iterator[Place]:
    repo = make_repo(tmp_path / "repo").root
    with place_at(tmp_path / "desk", exact_board, repo) as made:
        yield made


def test_every_command_has_a_row() -> None:
    assert ROWS.keys() | ALONE == registry.MODULES.keys()
    assert not ROWS.keys() & ALONE


def steady(name: str, output: str) -> str:
    return VARYING.sub("…", output) if ROWS[name].varies else output


def in_shell(place: Place, redirection: str, name: str, *words: object) -> Done:
    line = f"{shlex.join([*HPM, name, *map(str, words)])} {redirection}"
    return subprocess.run(
        ["bash", "-c", line],
        cwd=place.repo,
        env=place.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


@EACH
def test_success_says_the_same_through_both_front_ends(name: str, place: Place) -> None:
    good = ROWS[name].good
    quick = in_shell(place, "<&- | cat; exit ${PIPESTATUS[0]}", name, *good(place))
    assert quick.returncode == 0, quick.stdout + quick.stderr
    assert "\x1b" not in quick.stdout + quick.stderr
    assert quick.stdout == "" or quick.stdout.endswith("\n")
    task = invoke(place, name, *good(place))
    assert task.returncode == 0, task.stderr
    assert steady(name, task.stdout) == steady(name, quick.stdout)


@EACH
def test_json_is_one_object_as_published(name: str, place: Place) -> None:
    done = hpm(place, name, *ROWS[name].good(place), "--json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    if COMMANDS[name].streams:
        assert checked_lines(name, done.stdout)
    else:
        assert isinstance(checked(name, done.stdout), dict)


@EACH
def test_a_closed_stdout_is_an_error(name: str, place: Place) -> None:
    done = in_shell(place, ">&-", name, *ROWS[name].good(place), "--json")
    assert done.returncode == 73, done.stderr
    assert "could not be written to stdout" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_runner_outlives_a_full_disk_under_its_log(place: Place) -> None:
    task_id = place.task()
    words = ("run", "--agent-id", "dev_001", "--role", "backend_dev", "--single-task")
    done = in_shell(place, ">/dev/full", *words)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("can no longer be written to stdout: No space left on device") == 1
    assert place.board.task(task_id)["status"] == "dev_done"


@EACH
def test_on_a_terminal_without_colour_there_is_none(name: str, place: Place) -> None:
    words = [*HPM, name, *map(str, ROWS[name].good(place)), "-v"]
    with Terminal(words, cwd=place.repo, env={**place.environment, "NO_COLOR": "1"}) as terminal:
        assert terminal.wait() == 0, terminal.screen
        assert not re.search(r"\x1b\[[0-9;]*m", terminal.screen), terminal.screen


def situations() -> Iterator[tuple[str, str, Prepare]]:
    for name, row in ROWS.items():
        for situation in SITUATIONS:
            prepare = getattr(row, situation)
            if not isinstance(prepare, str):
                yield name, situation, prepare


@pytest.mark.parametrize(
    ("name", "situation", "prepare"),
    list(situations()),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_success_has_its_exit_code(
    name: str, situation: str, prepare: Prepare, place: Place
) -> None:
    code = SITUATIONS[situation]
    words = prepare(place)
    streams = COMMANDS[name].streams
    error = refused_as_json(hpm(place, name, *words, "--json"), code, events=streams)
    message = refused(invoke(place, name, *words), code, events=streams)
    assert steady(name, message) == steady(name, error["message"])


def test_a_board_that_is_down(place: Place) -> None:
    asking = {name: row.down for name, row in ROWS.items() if not isinstance(row.down, str)}
    assert len(asking) >= 13
    homes = {name: prepared_home(place, name, prepare) for name, prepare in asking.items()}

    def call(name: str) -> Done:
        words, home = homes[name]
        return hpm(place, name, *words, "--json", **CLOSED_BOARD, HEADLESS_PM_HOME=home)

    with ThreadPoolExecutor(8) as pool:
        for name, done in zip(asking, pool.map(call, asking), strict=True):
            error = refused_as_json(done, 69, "127.0.0.1:9", events=COMMANDS[name].streams)
            assert error["code"] == "board_unreachable", name


def prepared_home(place: Place, name: str, prepare: Prepare) -> tuple[Words, str]:
    """The arguments, and a state directory of its own: the commands are called side by side."""
    shared = place.state
    place.state = place.directory / f"state-{name}"
    place.state.mkdir(mode=0o700)
    (place.state / "config.yaml").write_bytes((shared / "config.yaml").read_bytes())
    try:
        return prepare(place), str(place.state)
    finally:
        place.state = shared


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.lacking])
def test_a_call_that_lacks_something_is_wrong(name: str, place: Place) -> None:
    for words in ROWS[name].lacking:
        both_refuse(hpm, place, name, *words, code=2)
        refused(invoke(place, name, *words), 2)


def wrong_values(command: Command) -> Iterator[tuple[Option, str]]:
    """A value that each option with known values or a form must refuse, and a word that is none."""
    for option in command.options:
        flag = flags_of(option)[0]
        if option.kind == "bool":
            yield option, f"{flag}=yes"
        elif option.kind in ("int", "float"):
            yield from ((option, f"{flag}={value}") for value in ("abc", "1_0", "nan", ""))
        elif option.arg.choices or option.arg.check is not None:
            yield option, f"{flag}=\x1b[31m ../-x"
        else:
            yield option, f"{flag}"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_option_or_value_is_a_wrong_call(name: str, place: Place) -> None:
    """In this process: what is refused is refused before anything is imported or done."""
    from hpm_tools.cli.arguments import parse
    from hpm_tools.errors import UsageError

    command = COMMANDS[name]
    for option, words in [*wrong_values(command), (None, "--no-such-option"), (None, "word"), (None, "-")]:
        with pytest.raises(UsageError) as caught:
            parse(command, [words])
        assert caught.value.hint, words
        assert caught.value.message.isprintable(), words
        assert option is None or option.flag in caught.value.message or option.arg.check is not None, words
    both_refuse(hpm, place, name, "--no-such-option", code=2, parts=("no option '--no-such-option'",))
    unknown = invoke(place, name, "--no-such-option")
    assert (unknown.returncode, unknown.stdout) == (1, "")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_does_nothing(name: str, place: Place) -> None:
    done = hpm(place, name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert COMMANDS[name].example in done.stdout
    assert not (place.state / "locks").exists()
    assert place.board.ok("GET", "/agents") == []


def test_a_loop_keeps_its_standard_input(place: Place) -> None:
    """Every command that is not told to read standard input leaves it to the loop around it."""
    calls = []
    for name, row in ROWS.items():
        if name in ("run", "claude.exec", "finish"):
            continue
        words = shlex.join([*HPM, name, *map(str, row.good(place))])
        calls.append(f"{words} >/dev/null 2>&1")
    loop = "while read -r id; do echo $id; " + "; ".join(calls) + "; done"
    (place.repo / "ids").write_text("1\n2\n3\n", encoding="utf-8")
    done = in_shell_line(place, f"{loop} <ids")
    assert done.stdout.split() == ["1", "2", "3"], done.stderr


def in_shell_line(place: Place, line: str) -> Done:
    return subprocess.run(
        ["bash", "-c", line],
        cwd=place.repo,
        env=place.environment,
        capture_output=True,
        encoding="utf-8",
        timeout=200,
        check=False,
    )


@pytest.mark.parametrize("program", ["hpm", "invoke"])
@pytest.mark.parametrize("redirection", ["", "<&-"])
def test_a_board_serves_until_it_is_told_to_end(
    program: str, redirection: str, place: Place, tmp_path: Path
) -> None:
    from tests.support.frontends import BIN, PROJECT

    start = HPM if program == "hpm" else [str(BIN / "invoke"), "--search-root", str(PROJECT)]
    words = [*start, "pm.serve", "--port", "0", "--db", str(tmp_path / "other.db"), "--json"]
    out = tmp_path / "out"
    line = f"exec {shlex.join(words)} {redirection} >{shlex.quote(str(out))}"
    process = subprocess.Popen(["bash", "-c", line], cwd=place.repo, env=place.environment, stderr=-1)
    try:
        wait_until(lambda: out.exists() and out.read_text().endswith("\n"), what="the board's URL")
        (event,) = checked_lines("pm.serve", out.read_text())
        assert event["url"].startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        told = process.communicate(timeout=60)[1].decode()
    finally:
        process.kill()
        process.wait()
    assert process.returncode in (0, 143)
    assert "Traceback" not in told


def test_a_board_that_cannot_serve(place: Place, tmp_path: Path) -> None:
    port = place.board.url.rpartition(":")[2]
    db = ["--db", str(tmp_path / "other.db")]
    for words, code in (
        ((*db, "--port", port), 73),
        ((*db, "--port", 70_000), 2),
        ((*db, "--port", 0, "--key", ""), 2),
        ((*db, "--port", 0, "--key-env", "NOT_SET"), 2),
        ((*db, "--port", 0, "--upstream", "--lock-delay", -1), 2),
        (("--port", 0, "--db", tmp_path / "no" / "where" / "x.db"), 73),
    ):
        both_refuse(hpm, place, "pm.serve", *words, code=code)


def test_the_demo_through_both_front_ends(place: Place, tmp_path: Path) -> None:
    quick = in_shell(place, "<&- | cat; exit ${PIPESTATUS[0]}", "demo", "--keep", tmp_path / "kept")
    assert quick.returncode == 0, quick.stderr
    assert "\x1b" not in quick.stdout + quick.stderr
    task = invoke(place, "demo", "--json")
    assert task.returncode == 0, task.stderr
    told = json.loads(task.stdout)
    assert [row["status"] for row in told["tasks"]] == ["qa_done", "dev_done", "dev_done"]
    assert all(row["status"] in quick.stdout for row in told["tasks"])
    both_refuse(hpm, place, "demo", "--keep", tmp_path / "kept", code=73)
    refused(invoke(place, "demo", "--agent", "nobody"), 2)
