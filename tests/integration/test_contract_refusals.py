"""The contract that scripts rely on: what is no success has its exit code, its message and its hint, in both front ends."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from hpm_tools import registry
from hpm_tools.cli.arguments import flags_of, parse
from hpm_tools.cli.invoke_tasks import HpmTask
from hpm_tools.errors import UsageError
from tests.support.contract import ROWS, Otherwise
from tests.support.refusals import both_refuse, hpm, invoke, refused, refused_as_json
from tests.support.repos import make_repo
from tests.support.situations import Place, place_at, steady

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hpm_tools.registry import Command, Option
    from tests.support.board_process import BoardUnderTest
    from tests.support.situations import Prepare, Words

COMMANDS = {command.name: command for command in registry.all_commands()}
SITUATIONS = {"nothing": 3, "held": 75, "unknown": 65}
CLOSED_BOARD: dict[str, Any] = {"HEADLESS_PM_API_URL": "http://127.0.0.1:9"}


@pytest.fixture
def place(tmp_path: Path, exact_board: BoardUnderTest) -> Iterator[Place]:
    repo = make_repo(tmp_path / "repo").root
    with place_at(tmp_path / "desk", exact_board, repo) as made:
        yield made


def situations() -> Iterator[tuple[str, str, int, Prepare]]:
    for name, row in ROWS.items():
        for situation, code in SITUATIONS.items():
            cell = getattr(row, situation)
            if isinstance(cell, Otherwise):
                yield name, situation, cell.code, cell.prepare
            elif not isinstance(cell, str):
                yield name, situation, code, cell


@pytest.mark.parametrize(
    ("name", "situation", "code", "prepare"),
    list(situations()),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_success_has_its_exit_code(
    name: str, situation: str, code: int, prepare: Prepare, place: Place
) -> None:
    words = prepare(place)
    streams = COMMANDS[name].streams
    error = refused_as_json(hpm(place, name, *words, "--json"), code, events=streams)
    message = refused(invoke(place, name, *words), code, events=streams)
    assert steady(ROWS[name], message) == steady(ROWS[name], error["message"])


@pytest.mark.extended
def test_a_board_that_is_down(place: Place) -> None:
    asking = {name: row.down for name, row in ROWS.items() if not isinstance(row.down, str | Otherwise)}
    assert len(asking) >= 13
    homes = {
        (front, name): prepared_home(place, f"{front}-{name}", prepare)
        for name, prepare in asking.items()
        for front in (hpm, invoke)
    }

    def ask(front: Any, name: str) -> None:
        words, home = homes[front, name]
        streams = COMMANDS[name].streams
        environment = {**CLOSED_BOARD, "HEADLESS_PM_HOME": home}
        if front is hpm:
            done = hpm(place, name, *words, "--json", **environment)
            error = refused_as_json(done, 69, "127.0.0.1:9", events=streams)
            assert error["code"] == "board_unreachable", name
        else:
            refused(invoke(place, name, *words, **environment), 69, "127.0.0.1:9", events=streams)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, *zip(*homes, strict=True)))


def prepared_home(place: Place, called: str, prepare: Prepare) -> tuple[Words, str]:
    """The arguments, and a state directory of its own: the commands are called side by side."""
    shared = place.state
    place.state = place.directory / f"state-{called}"
    place.state.mkdir(mode=0o700)
    (place.state / "config.yaml").write_bytes((shared / "config.yaml").read_bytes())
    try:
        return prepare(place), str(place.state)
    finally:
        place.state = shared


NEEDED = {
    name: [option.flag for option in command.options if option.required] for name, command in COMMANDS.items()
}


@pytest.mark.parametrize("name", [name for name, flags in NEEDED.items() if flags])
def test_a_call_without_what_is_required_is_wrong(name: str, place: Place) -> None:
    error = refused_as_json(hpm(place, name, "--json"), 2)
    assert error["message"] == f"{name} needs {', '.join(NEEDED[name])}"
    assert refused(invoke(place, name), 2) == error["message"]


@pytest.mark.parametrize(
    "name", [name for name, row in ROWS.items() if isinstance(row.lacking, tuple) and row.lacking]
)
def test_a_call_that_lacks_something_is_wrong(name: str, place: Place) -> None:
    for words in ROWS[name].lacking:
        both_refuse(hpm, place, name, *words, code=2)
        refused(invoke(place, name, *words), 2)


def wrong_values(command: Command) -> Iterator[tuple[Option, str]]:
    """A value that each option with known values or a form must refuse."""
    for option in command.options:
        if option.kind in ("int", "float"):
            yield from ((option, value) for value in ("abc", "1_0", "nan", ""))
        elif option.kind != "bool" and (option.arg.choices or option.arg.check is not None):
            yield option, "\x1b[31m ../-x"


def wrong_words(command: Command) -> Iterator[str]:
    """Words that are no option of the command, or an option without what belongs to it."""
    yield from ("--no-such-option", "word", "-")
    for option in command.options:
        flag = flags_of(option)[0]
        yield f"{flag}=yes" if option.kind == "bool" else flag


@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_option_or_value_is_a_wrong_call(name: str, place: Place) -> None:
    """In this process: what is refused is refused before anything is imported or done."""
    command = COMMANDS[name]
    for word in wrong_words(command):
        with pytest.raises(UsageError) as caught:
            parse(command, [word])
        assert caught.value.hint, word
        assert caught.value.message.isprintable(), word
    for option, value in wrong_values(command):
        given = {option.name: [value] if option.multiple else value}
        with pytest.raises(UsageError) as quick:
            parse(command, [f"{option.flag}={value}"])
        with pytest.raises(UsageError) as task:
            HpmTask(name).call_of_line(given)
        assert option.flag in quick.value.message, value
        assert quick.value.message.isprintable(), value
        assert (task.value.message, task.value.hint) == (quick.value.message, quick.value.hint)
        assert task.value.hint
    both_refuse(hpm, place, name, "--no-such-option", code=2, parts=("no option '--no-such-option'",))
    unknown = invoke(place, name, "--no-such-option")
    assert (unknown.returncode, unknown.stdout) == (1, "")


def test_a_board_that_cannot_serve(place: Place, tmp_path: Path) -> None:
    db = ["--db", str(tmp_path / "other.db")]
    for words in (
        (*db, "--port", 70_000),
        (*db, "--port", 0, "--key", ""),
        (*db, "--port", 0, "--key-env", "NOT_SET"),
        (*db, "--port", 0, "--upstream", "--lock-delay", -1),
    ):
        both_refuse(hpm, place, "pm.serve", *words, code=2)


def test_the_demo_overwrites_nothing(place: Place, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    both_refuse(hpm, place, "demo", "--keep", tmp_path / "mine", code=73)
    refused(invoke(place, "demo", "--agent", "nobody"), 2)
