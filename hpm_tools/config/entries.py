"""A setting that is a list of mappings, each of them settings of its own: `sessions`."""

from __future__ import annotations

from hpm_tools.config.files import did_you_mean
from hpm_tools.config.values import WrongValueError, convert, show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from hpm_tools.config.settings import Setting, Settings

UNTRUSTED = object()
"""Stands in a list in place of an entry that does not count, so that the others keep their numbers."""


class WrongEntriesError(WrongValueError):
    """All that is wrong with a list: each of ``problems`` names its entry, as in `sessions[2]: …`."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def convert_entries(setting: Setting, raw: Any, *, base: str) -> tuple[Settings, ...]:
    """Each mapping of the list ``raw`` as a ``setting.entry``; WrongEntriesError with everything that is wrong.

    ``base`` is the directory that relative paths are seen from.
    """
    kind = entry_of(setting)
    if not isinstance(raw, (list, tuple)):
        what = "has no value" if raw is None else f"must be a list of mappings, not {show(raw)}"
        raise WrongEntriesError([f"{setting.name} {what}"])
    problems: list[str] = []
    entries: list[Settings] = []
    first_with: dict[tuple[str, object], int] = {}
    for index, entry in enumerate(raw):
        if entry is UNTRUSTED:
            continue
        values: dict[str, Any] = {}
        wrong = list(_read(kind, entry, values, base))
        for name, value in values.items():
            first = first_with.setdefault((name, value), index) if kind._fields[name].unique else index
            if first != index:
                wrong.append(f"{setting.name}[{first}] has this {name}, too")
        problems += [f"{label(setting, entry, index)}: {reason}" for reason in wrong]
        entries.append(kind(**values))
    if problems:
        raise WrongEntriesError(problems)
    return tuple(entries)


def _read(kind: type[Settings], entry: Any, values: dict[str, Any], base: str) -> Iterator[str]:
    """Put the valid values of one entry into ``values``, and yield what is wrong with it."""
    if not isinstance(entry, dict):
        yield f"must be a mapping, such as {{agent_id: dev_001, role: backend_dev}}, not {show(entry)}"
        return
    for key, raw in entry.items():
        field = kind._fields.get(key) if isinstance(key, str) else None
        if field is None:
            hint = did_you_mean(str(key), kind._fields) or f"; the keys are {', '.join(kind._fields)}"
            yield f"unknown key {show(key)}{hint}"
            continue
        try:
            value = convert(field, raw, text=False, base=base)
        except ValueError as error:
            yield f"{key} {error}"
        else:
            values.update({key: value} if value is not None else {})
    for name, field in kind._fields.items():
        if field.required and name not in entry:
            yield f"{name} is missing"


def without_untrusted(setting: Setting, raw: Any) -> tuple[Any, dict[str, str]]:
    """``raw`` without the entries that set more than free settings, which need trust.

    For each of those the second value has what it is called (`sessions[2] (qa_001)`) → what it sets beyond that.
    """
    left: dict[str, str] = {}
    if not isinstance(raw, (list, tuple)):
        return raw, left
    kept: list[Any] = []
    for index, entry in enumerate(raw):
        fields = entry_of(setting)._fields
        bound = (
            [key for key in fields if key in entry and not fields[key].free]
            if isinstance(entry, dict)
            else []
        )
        if bound:
            left[label(setting, entry, index)] = ", ".join(bound)
        kept.append(UNTRUSTED if bound else entry)
    return kept, left


def label(setting: Setting, entry: object, index: int) -> str:
    """What an entry is called in a message: `sessions[2] (qa_001)`, or without a name that is no valid one."""
    name = ""
    for key, field in entry_of(setting)._fields.items():
        if field.unique and isinstance(entry, dict):
            try:
                name = f" ({convert(field, entry.get(key), text=False, base='')})"
            except ValueError:
                continue
    return f"{setting.name}[{index}]{name}"


def entry_of(setting: Setting) -> type[Settings]:
    if setting.entry is None:
        raise TypeError(f"{setting.name} is no list of mappings")
    return setting.entry
