"""Text for people: nothing that a terminal would act on gets through, and cuts and units read well."""

from __future__ import annotations

import time
import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hpm_tools import text

CONTROLS = [chr(number) for number in (*range(32), *range(0x7F, 0xA0))]
BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e"

hostile = st.text(
    alphabet=st.one_of(
        st.sampled_from(
            ["\x1b", "\x9b", "\x9d", "\x90", "\x07", "\x9c", "\\", "[", "]", "P", "_", "^", "m", ";", "0"]
        ),
        st.sampled_from([*BIDI, *ZERO_WIDTH, "\r", "\n", "\t", "\ud800", "é", "漢"]),
        st.characters(),
    )
)


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("plain äöü 漢字 🦀", "plain äöü 漢字 🦀"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b[38;2;1;2;3mx\x1b[?25l", "x"),
        ("\x1b]52;c;aGVsbG8=\x07clipboard", "clipboard"),
        ("\x1b]0;title\x1b\\x", "x"),
        ("\x9d8;;http://evil\x9clink", "link"),
        ("\x1bPq#0\x1b\\x\x1b_Gf\x1b\\y\x1b^p\x1b\\z\x1bXs\x1b\\", "xyz"),
        ("\x1b(0\x1bc\x1b7x", "x"),
        ("\x1b]unterminated", "unterminated"),
        ("\x1b\x1b[31m[2J", "[2J"),
        ("over\rwrite\x08\x7f", "overwrite"),
        ("user\u202enimda", "usernimda"),
        ("pay\u200bpal\ufeff", "paypal"),
        ("bad \ud800\udcff bytes", "bad \ufffd\ufffd bytes"),
    ],
)
def test_foreign_text_is_shown_without_its_tricks(foreign: str, shown: str) -> None:
    assert text.for_terminal(foreign) == shown


@pytest.mark.fault("characters-hostile")
@given(hostile)
@example("".join(CONTROLS))
@example("\x1b[" * 50)
def test_no_control_bidirectional_or_invisible_character_reaches_the_terminal(foreign: str) -> None:
    shown = text.for_terminal(foreign)
    assert set(shown).isdisjoint(set(CONTROLS) - {"\n", "\t"})
    assert set(shown).isdisjoint(BIDI + ZERO_WIDTH)
    assert not any(
        unicodedata.category(character) in ("Cc", "Cs") for character in shown if character not in "\n\t"
    )
    assert text.for_terminal(shown) == shown
    shown.encode()


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_ordinary_text_is_left_as_it_is(foreign: str) -> None:
    visible = "".join(character for character in foreign if text.for_terminal(character))
    assert text.for_terminal(visible) == visible


@pytest.mark.parametrize("piece", ["\x1b]", "\x9d", "\x1b[", "\x1b[1;", "\x1bP", "\x1b(", "a\x1b]b"])
def test_megabytes_of_half_sequences_are_cleaned_in_linear_time(piece: str) -> None:
    begun = time.process_time()
    text.for_terminal(piece * (4_000_000 // len(piece)))
    assert time.process_time() - begun < 10


@given(hostile, st.integers(0, 60))
def test_a_line_is_one_line_of_at_most_its_width(foreign: str, width: int) -> None:
    line = text.one_line(foreign, width)
    assert len(line.splitlines()) <= 1
    assert text.columns(line) <= width
    assert line == line.strip()


@pytest.mark.parametrize(
    ("long", "width", "cut"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "abcd…"),
        ("漢字漢字", 5, "漢字…"),
        ("abc", 1, "…"),
        ("abc", 0, ""),
    ],
)
def test_cuts_are_shown_and_counted_in_columns(long: str, width: int, cut: str) -> None:
    assert text.shorten(long, width) == cut


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-3, "0.0 s"),
        (0.04, "0.0 s"),
        (3.21, "3.2 s"),
        (9.97, "10 s"),
        (59.4, "59 s"),
        (59.6, "1m 00s"),
        (302, "5m 02s"),
        (3599.7, "1h 00m"),
        (3720, "1h 02m"),
        (86399, "23h 59m"),
        (3 * 86400 + 4 * 3600, "3d 04h"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    assert text.duration(seconds) == shown


def test_ages_of_times_in_every_form_a_record_may_hold() -> None:
    moment = time.time() - 7200.4
    aware = datetime.fromtimestamp(moment, UTC)
    for form in (moment, aware, aware.replace(tzinfo=None), aware.isoformat(), aware.isoformat()[:-6] + "Z"):
        assert text.age(form) == "2h 00m"
    assert text.age(None) == "?"
    assert text.age("yesterday") == "?"
    assert text.age(time.time() + 1000) == "0.0 s"


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (20 << 20, "20 MiB"),
        ((1 << 30) - 1, "1.0 GiB"),
        (5 << 50, "5120 TiB"),
    ],
)
def test_sizes(count: int, shown: str) -> None:
    assert text.size(count) == shown


def test_a_table_is_aligned_and_clean() -> None:
    rows = [(1, "short", None), (22, "漢字 \x1b[31mred\nline", "x")]
    assert text.table(rows, ["id", "title", "branch"]).split("\n") == [
        "id  title          branch",
        "1   short          -",
        "22  漢字 red line  x",
    ]


@given(st.lists(st.tuples(hostile, hostile, st.integers()), max_size=5), st.integers(40, 120))
def test_a_table_keeps_its_width_whatever_is_in_it(rows: list[tuple[str, str, int]], width: int) -> None:
    lines = text.table(rows, ["one", "two", "three"], width).split("\n")
    assert len(lines) == len(rows) + 1
    assert all(text.columns(line) <= width for line in lines)


def test_a_table_without_width_cuts_nothing() -> None:
    assert text.table([["x" * 500]], ["h"], None).endswith("x" * 500)
    assert text.table([], ["a", "b"]) == "a  b"


def test_what_may_give_way_is_cut_before_ids_are() -> None:
    rows = [("an_agent_with_a_long_id_001", "t" * 40, "/home/somebody/project/.worktrees/task-12")]
    lines = text.table(rows, ["AGENT", "TITLE", "PLACE"], 60, free=["TITLE", "PLACE"]).split("\n")
    assert lines[1] == "an_agent_with_a_long_id_001  ttttttttttttt…  …ktrees/task-12"


@given(hostile, st.integers(20, 120), st.integers(0, 9))
def test_folding_changes_blanks_alone(line: str, width: int, indent: int) -> None:
    given_line = text.one_line(line)
    folded = text.fold(given_line, width, indent)
    assert "".join(folded.split()) == "".join(given_line.split())
    for part in folded.split("\n"):
        assert text.columns(part) <= width or len(part[indent:].split()) <= 1


def test_folded_lines_stand_under_the_first() -> None:
    assert text.fold("warn  the disk is almost full", 20, 6) == "warn  the disk is\n      almost full"
    assert text.fold("a /path/that/is/longer/than/the/line", 10) == "a\n/path/that/is/longer/than/the/line"
    assert text.fold("x " * 50, None) == "x " * 50


def test_a_huge_cell_does_not_cost_minutes() -> None:
    begun = time.process_time()
    assert text.columns(text.table([["x" * 2_000_000, "y"]], ["a", "b"]).split("\n")[1]) <= 80
    assert time.process_time() - begun < 10
