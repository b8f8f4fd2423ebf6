from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpm_tools.state import quickjson

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
ways = pytest.mark.parametrize("way", [quickjson._from_c, quickjson._from_python])


def test_the_c_parts_are_what_runs_here() -> None:
    assert quickjson._encode.__qualname__.startswith("_from_c")


@settings(deadline=None)
@given(values)
def test_it_writes_and_reads_what_json_does(value: Any) -> None:
    for decode, encode in (quickjson._from_c(), quickjson._from_python()):
        text = encode(value)
        assert text == json.dumps(value)
        assert decode(f" \r\n\t{text}\n") == value
    assert json.loads(quickjson.line(value)) == value


@settings(deadline=None)
@given(st.dictionaries(st.text(), values))
def test_an_object_is_written_one_field_a_line_and_in_ascii(fields: dict[str, Any]) -> None:
    data = quickjson.dumps(fields)
    assert json.loads(data) == fields == quickjson.loads(data)
    assert data.count(b"\n") == (len(fields) + 2 if fields else 1)
    assert data.isascii()


@settings(deadline=None)
@given(st.text() | st.binary() | values.map(json.dumps).map(lambda text: text[:-1]))
def test_what_json_refuses_is_refused(data: str | bytes) -> None:
    try:
        expected = json.loads(data if isinstance(data, str) else data.decode())
    except ValueError:
        with pytest.raises(ValueError):
            quickjson.loads(data)
    else:
        assert quickjson.loads(data) == expected


@ways
@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "nul",
        "NaN",
        "-Infinity",
        "[1e999]",
        "{} {}",
        "1 2",
        "[1,]",
        '{"a":1,}',
        "'a'",
        '"\n"',
        "\ufeff1",
        "1" * 5000,
    ],
)
def test_what_is_no_strict_json_is_a_value_error(way: Any, text: str) -> None:
    with pytest.raises(ValueError):
        way()[0](text)


@pytest.mark.parametrize("data", [b"[" * 500_000, b'{"a":' * 200_000, b"\xff", "[" * 500_000])
def test_deep_nesting_and_bad_bytes_are_value_errors(data: bytes | str) -> None:
    with pytest.raises(ValueError):
        quickjson.loads(data)


def test_what_json_cannot_carry_is_a_value_error() -> None:
    inside_itself: list[Any] = []
    inside_itself.append(inside_itself)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (
        float("nan"),
        float("inf"),
        object(),
        b"x",
        {(1, 2): 3},
        inside_itself,
        deep,
        [{"a": {1, 2}}],
    ):
        with pytest.raises(ValueError):
            quickjson.line(value)
        with pytest.raises(ValueError):
            quickjson.dumps({"x": value})
    assert quickjson.line([1]) == b"[1]\n", "an error leaves nothing behind"


@pytest.mark.parametrize("text", ["{", '{"a"', '"', '{"a" 1}', "[1,]"])
def test_torn_text_is_a_value_error_where_json_was_never_imported(text: str) -> None:
    program = (
        "import sys; from hpm_tools.state import quickjson; assert 'json' not in sys.modules\n"
        "try: quickjson.loads(sys.argv[1])\n"
        "except ValueError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program, text], capture_output=True, text=True, check=True)
    assert done.stdout.strip()
