"""JSON by the C parts of the standard library's ``json``, without its Python parts.

Those load ``re`` and ``enum``, which cost three quarters of a bare interpreter's start: most of what
``hpm lock --local`` would spend. Where the C parts are missing or differ, ``json`` itself does the work.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

_SPACE = " \t\n\r"


def _constant(name: str) -> None:
    raise ValueError(f"{name} is not allowed")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def _refuse(value: object) -> None:
    raise TypeError(f"a {type(value).__name__} is no JSON value")


class _Rules:
    """What the scanner asks of the decoder that it works for."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = staticmethod(_finite)
    parse_int = int
    parse_constant = staticmethod(_constant)


def _from_c() -> tuple[Callable[[str], Any], Callable[[Any], str]]:
    from _json import encode_basestring_ascii, make_encoder, make_scanner

    scan = make_scanner(_Rules)  # type: ignore[arg-type]  # it only reads the attributes

    def decode(text: str) -> Any:
        text = text.strip(_SPACE)
        try:
            value, end = scan(text, 0)
        except StopIteration:
            raise ValueError("a JSON value is missing") from None
        except SystemError:
            # The scanner raises json's own error, and nothing at all as long as nobody has imported json.
            return _from_python()[0](text)
        if end != len(text):
            raise ValueError(f"more text follows the JSON value at character {end}")
        return value

    def encode(value: Any) -> str:
        # A new one each time: the markers, by which it finds a value inside itself, are left dirty by an error.
        encoder = make_encoder({}, _refuse, encode_basestring_ascii, None, ": ", ", ", False, False, False)
        return "".join(encoder(value, 0))

    if decode(encode({"a": [1, "b", None]})) != {"a": [1, "b", None]}:
        raise TypeError("these C parts work otherwise")
    return decode, encode


def _from_python() -> tuple[Callable[[str], Any], Callable[[Any], str]]:
    import json

    decoder = json.JSONDecoder(parse_float=_finite, parse_constant=_constant)
    return decoder.decode, json.JSONEncoder(allow_nan=False).encode


def _best() -> tuple[Callable[[str], Any], Callable[[Any], str]]:
    try:
        return _from_c()
    except (ImportError, TypeError, AttributeError):
        return _from_python()


_decode, _encode = _best()


def loads(data: bytes | str) -> Any:
    """The value in ``data``. Raises ValueError, also for NaN, infinities and deep nesting."""
    try:
        return _decode(data if isinstance(data, str) else data.decode("utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def line(value: Any) -> bytes:
    """``value`` as one line of ASCII, so that nothing in it moves a terminal's cursor. Raises ValueError."""
    try:
        return _encode(value).encode("ascii") + b"\n"
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def dumps(fields: Mapping[str, Any]) -> bytes:
    """An object as ASCII, one field a line. Raises ValueError for what JSON cannot carry."""
    if not fields:
        return b"{}\n"
    rows = [b"  " + line(str(name))[:-1] + b": " + line(value)[:-1] for name, value in fields.items()]
    return b"{\n" + b",\n".join(rows) + b"\n}\n"
