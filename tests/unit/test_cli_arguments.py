"""From words to typed values, and every way in which the words can be wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpm_tools import registry
from hpm_tools.cli.arguments import Call, parse
from hpm_tools.errors import UsageError
from tests.support import sample_commands

if TYPE_CHECKING:
    from hpm_tools.registry import Command


@pytest.fixture(name="echo")
def echo_command() -> Command:
    return registry._registered["sample.echo"]


def values(echo: Command, *words: str) -> dict[str, Any]:
    return parse(echo, words).values


def test_the_samples_are_not_offered_beside_the_real_commands() -> None:
    assert not set(sample_commands.SAMPLES) & set(registry.MODULES)


def test_words_become_typed_values(echo: Command) -> None:
    assert values(echo, "--text", "a b", "--count=3", "--factor", "-1.5e2", "--colour", "green", "-l") == {
        "text": "a b",
        "count": 3,
        "factor": -150.0,
        "colour": "green",
        "loud": True,
    }
    assert values(echo, "--word", "a", "--word=--b") == {"word": ["a", "--b"]}
    assert values(echo, "--no-newline") == {"newline": False}
    assert values(echo, "--newline") == {"newline": True}
    assert values(echo, "--text", "-") == {"text": "-"}
    assert values(echo, "--text=") == {"text": ""}
    assert values(echo, "--count", "-4") == {"count": -4}
    assert values(echo) == {}


def test_the_options_of_every_command(echo: Command) -> None:
    call = parse(echo, ["--json", "-q", "--verbose", "-h"])
    assert (call.json, call.quiet, call.verbose, call.help, call.values) == (True, True, True, True, {})


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["bare"], "takes no bare words, but got 'bare'"),
        (["--"], "takes no bare words"),
        (["--txt", "x"], "has no option '--txt', did you mean --text?"),
        (["-x"], "has no option '-x'"),
        (["--tex=x"], "did you mean --text?"),
        (["--text"], "--text needs a value"),
        (["--text", "--loud"], "--text needs a value"),
        (["--count", "--loud"], "--count needs a value"),
        (["--loud=yes"], "--loud takes no value"),
        (["--count", "three"], "--count must be a whole number, not 'three'"),
        (["--count", "1_000"], "whole number"),
        (["--count", " 1"], "whole number"),
        (["--count", "\u0661"], "whole number"),
        (["--count", "1.5"], "whole number"),
        (["--count="], "whole number"),
        (["--factor", "nan"], "must be a number"),
        (["--factor", "inf"], "must be a number"),
        (["--colour", "blue"], "--colour must be one of red, green, not 'blue'"),
        (["--agent", "../x"], "agent id"),
        (["--text", "a", "--text", "b"], "given twice"),
        (["--text", "\udcff"], "not valid UTF-8"),
        (["--text\x1b[31m"], "no option"),
    ],
)
def test_wrong_words_are_named(echo: Command, words: list[str], part: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(echo, words)
    assert part in caught.value.message
    assert "\x1b" not in caught.value.message
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", sorted(registry.MODULES))
def test_an_empty_path_means_no_place_by_chance(name: str) -> None:
    command = registry.find(name)
    assert command is not None
    for option in (option for option in command.options if option.arg.metavar in ("DIR", "FILE")):
        with pytest.raises(UsageError, match=f"^{option.flag} is empty"):
            parse(command, [option.flag, ""])


def test_what_is_missing_is_named(echo: Command) -> None:
    with pytest.raises(UsageError, match="needs --text"):
        parse(echo, ["--loud"]).check()
    assert isinstance(parse(echo, ["--text", "x"]), Call)


@given(
    words=st.lists(st.text() | st.sampled_from(["--text", "--count", "--word", "-l", "--json", "--factor=1"]))
)
def test_any_words_are_parsed_or_refused(words: list[str]) -> None:
    echo = registry._registered["sample.echo"]
    try:
        call = parse(echo, words)
    except UsageError:
        return
    assert set(call.values) <= {option.name for option in echo.options}
