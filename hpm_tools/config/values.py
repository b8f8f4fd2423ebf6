"""Turning what a file, a variable or a flag says into the value of a setting."""

from __future__ import annotations

from hpm_tools.errors import HpmError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hpm_tools.config.settings import Setting


class WrongValueError(ValueError):
    """The reason a value is refused, worded to follow the setting's name."""


TRUE = ("1", "true", "yes", "on")
FALSE = ("0", "false", "no", "off")
AUTO = "auto"


def convert(field: Setting, raw: Any, *, text: bool, base: str) -> Any:
    """The value of ``raw`` for ``field``; WrongValueError saying what it must be.

    ``text`` is set for environment variables, where everything is a string: lists and mappings are JSON
    there. ``base`` is the directory that a relative path is seen from.
    """
    if field.entry is not None:
        from hpm_tools.config.entries import convert_entries  # few configurations have any

        return convert_entries(field, raw, base=base)
    try:
        value = _typed(field, _parse(field, raw) if text else raw)
    except WrongValueError as error:
        if not field.secret:
            raise
        raise WrongValueError(str(error).partition(", not ")[0].partition(", but ")[0]) from None
    if value is None:
        return None
    if field.choices and value not in field.choices:
        raise WrongValueError(f"must be one of {', '.join(field.choices)}, not {show(value)}")
    if field.path:
        value = _absolute(value, base)
    if field.check is not None:
        try:
            value = field.check(value)
        except HpmError as error:
            raise WrongValueError(error.message) from error
    return value


def show(value: object) -> str:
    """``value`` in an error message: bounded, and never a container, which may be recursive or huge."""
    if isinstance(value, (str, int, float, bool)) or value is None:
        try:
            shown = repr(value)
        except ValueError:  # Python prints no number of more than 4300 digits
            return "a huge number"
        return shown if len(shown) <= 60 else shown[:59] + "…"
    return {"list": "a list", "dict": "a mapping", "tuple": "a list"}.get(
        type(value).__name__, type(value).__name__
    )


def _parse(field: Setting, raw: str) -> Any:
    kind = field.kind.removesuffix(" | None")
    word = raw.strip()
    if kind == "bool":
        if word.lower() in TRUE or word.lower() in FALSE:
            return word.lower() in TRUE
        raise WrongValueError(f"must be true or false, not {show(raw)}")
    if kind == "bool | str":
        return True if word.lower() in TRUE else False if word.lower() in FALSE else word
    if kind in ("int", "float"):
        try:
            return int(word) if kind == "int" else float(word)
        except ValueError:
            what = "a whole number" if kind == "int" else "a number"
            raise WrongValueError(f"must be {what}, not {show(raw)}") from None
    if kind == "str":
        return raw
    return _json(field, word)


def _json(field: Setting, word: str) -> Any:
    import json

    try:
        return json.loads(word)
    except ValueError:
        example = '{"senior": "opus"}' if field.keys else '["one", "two"]'
        raise WrongValueError(
            f"must be JSON in the environment, such as {example}, not {show(word)}"
        ) from None


def _typed(field: Setting, value: Any) -> Any:
    kind = field.kind
    if value is None or value == "":
        if kind.endswith(" | None"):
            return None
        if value is None:
            raise WrongValueError("has no value")
    kind = kind.removesuffix(" | None")
    if kind == "str":
        return _string(value)
    if kind == "bool":
        if not isinstance(value, bool):
            raise WrongValueError(f"must be true or false, not {show(value)}")
        return value
    if kind == "bool | str":
        if not isinstance(value, bool) and value != AUTO:
            raise WrongValueError(f"must be auto, true or false, not {show(value)}")
        return value
    if kind in ("int", "float"):
        return _number(field, kind, value)
    if kind == "tuple[str, ...]":
        return _list(value)
    return _mapping(field, value)


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise WrongValueError(f"must be text, not {show(value)} (quote it if it is meant as text)")
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise WrongValueError("must not hold control characters")
    return str.__str__(value)  # of an Enum its value: str() of that would be its name


def _number(field: Setting, kind: str, value: object) -> int | float:
    wanted = (int,) if kind == "int" else (int, float)
    if isinstance(value, bool) or not isinstance(value, wanted):
        raise WrongValueError(
            f"must be {'a whole number' if kind == 'int' else 'a number'}, not {show(value)}"
        )
    low = field.low if field.low is not None else float("-inf")
    high = field.high if field.high is not None else float("inf")
    if not low <= value <= high:
        raise WrongValueError(f"must be between {low:g} and {high:g}, not {show(value)}")
    return int(value) if kind == "int" else float(value)


def _list(value: object) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise WrongValueError(f"must be a list of texts, not {show(value)}")
    for item in value:
        if not isinstance(item, str) or not item:
            raise WrongValueError(f"must be a list of texts, but holds {show(item)}")
        _string(item)
    return tuple(value)


def _mapping(field: Setting, value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise WrongValueError(f"must be a mapping with the keys {', '.join(field.keys)}, not {show(value)}")
    for key, item in value.items():
        if key not in field.keys:
            raise WrongValueError(f"has the unknown key {show(key)}; its keys are {', '.join(field.keys)}")
        if not isinstance(item, str) or not item:
            raise WrongValueError(f"must have text for {key}, not {show(item)}")
        _string(item)
    return dict(value)


def _absolute(value: str, base: str) -> str:
    import os

    path = os.path.expanduser(value)
    return os.path.normpath(os.path.join(base, path))
