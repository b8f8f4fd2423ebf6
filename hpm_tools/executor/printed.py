"""The outcome that a program printed instead of writing it: the last JSON object of its output that is one.

Agents' programs either print text, with the object anywhere in it (on one line, over several, in a code fence), or
one JSON object per line (events), where the agent's words are a text inside the last of them.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from hpm_tools.errors import BadData
from hpm_tools.executor.base import OUTCOME_SCHEMA, OUTCOME_STATUSES, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Found = tuple[dict[str, Any], str]
    """An outcome, and what stands before it in its text."""

READ = 512 << 10
"""Bytes of the end of the output that are looked through."""
LONGEST_OBJECT = 64 << 10
MOST_MENTIONS = 40
MOST_BRACES = 40
DEEPEST = 8
"""Bounds of the search: without them an output of nothing but braces would be read once for each."""
KEYS = frozenset(OUTCOME_SCHEMA["properties"]) | {"cost_usd"}
CONTEXT = 400
"""Characters before an outcome that are looked at to tell a quotation of the prompt."""
SAME = 24
"""Letters and digits before it that make it one. Only these, for programs quote with marks and line breaks of their own."""

_MENTION = re.compile(rf'"status"\s*:\s*"(?:{"|".join(OUTCOME_STATUSES)})"')
_ENDS_ITS_LINE = re.compile(r"""[\s`'"*_.)\]}]*(?:</[\w-]+>[\s`'"*_.]*)?(?:\n|\Z)""")
"""What may follow an object that a message ends with, or that stands on a line of its own: marks that close something."""
_TOOLS_ANSWER = re.compile(
    r"tool.*(?:result|output|response|execution|end)|command.*|tool|user|system|developer"
)
"""``type`` or ``role`` of what an agent was told: claude's user/tool_result, codex's command_execution, opencode's tool."""
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_decode = json.JSONDecoder().raw_decode


def last_outcome(output: bytes, prompts: Iterable[str] = ()) -> dict[str, Any] | None:
    """The last object at the end of ``output`` that has the shape of an outcome; None if there is none.

    What it quotes of ``prompts`` is not the agent's: programs print what they were asked. A quotation has the same
    words before it: the object alone may be the agent's as well, which says again what the task's notes hold of its
    last attempt.
    """
    echoed = [(found, _words(before)) for prompt in prompts for found, before in _in_text(prompt, 0)]
    text = _COLOUR.sub("", output[-READ:].decode("utf-8", "replace"))
    for outcome, before in _in_text(text, 0):
        words = _words(before)
        if not any(outcome == quoted and words.endswith(start) for quoted, start in echoed):
            return outcome
    return None


def _words(before: str) -> str:
    return "".join(filter(str.isalnum, before))[-SAME:]


def _in_text(text: str, depth: int) -> Iterator[Found]:
    """The outcomes in ``text``, the last one first."""
    if depth > DEEPEST or not text:
        return
    every = text.split("\n")
    lines: list[str] = []
    pieces: list[str] = []
    for index, line in reversed(list(enumerate(every))):
        event = _event(line)
        piece = _piece(event)
        if lines and event is not None:
            yield from _in_plain_text("\n".join(reversed(lines)), _last_of(every, index + 1))
            lines = []
        if pieces and piece is None:
            yield from _in_text("".join(reversed(pieces)), depth + 1)
            pieces = []
        if event is None:
            lines.append(line)
        elif piece is not None:
            pieces.append(piece)
        else:
            for found, within in _in_value(event, depth):
                yield found, within or _last_of(every, index)
    yield from _in_plain_text("\n".join(reversed(lines)))
    yield from _in_text("".join(reversed(pieces)), depth + 1)


def _last_of(lines: list[str], count: int) -> str:
    """The end of the first ``count`` lines."""
    return "\n".join(line[-CONTEXT:] for line in lines[max(0, count - 8) : count])[-CONTEXT:]


def _event(line: str) -> dict[str, Any] | None:
    """The object that ``line`` is, if it is one and no more."""
    line = line.strip()
    if not (line.startswith("{") and line.endswith("}")):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _piece(event: dict[str, Any] | None) -> str | None:
    """What ``event`` adds to a message that comes in pieces, as gemini's do (0.61, stream-json)."""
    if event is None or event.get("delta") is not True:
        return None
    content = event.get("content")
    return content if isinstance(content, str) else None


def _in_value(value: object, depth: int) -> Iterator[Found]:
    if depth > DEEPEST:
        return
    if isinstance(value, str):
        yield from _in_text(value, depth + 1)
    elif isinstance(value, dict):
        if _is_outcome(value):
            yield value, ""
            return
        if _is_tools_answer(value):
            return
        for inner in reversed(value.values()):
            yield from _in_value(inner, depth + 1)
    elif isinstance(value, list):
        for inner in reversed(value):
            yield from _in_value(inner, depth + 1)


def _in_plain_text(text: str, before: str = "") -> Iterator[Found]:
    end = len(text)
    for mention in list(_MENTION.finditer(text))[-MOST_MENTIONS:][::-1]:
        if mention.start() >= end:
            continue  # within the object that was just found
        found = _around(text, mention.start())
        if found is None:
            continue
        end, after, outcome = found
        # "I was to print {…} but could not" quotes it. Whoever is blocked is believed all the same.
        if outcome["status"] != "done" or _ENDS_ITS_LINE.match(text, after):
            yield outcome, (before + text[max(0, end - CONTEXT) : end])[-CONTEXT:]


def _around(text: str, position: int) -> tuple[int, int, dict[str, Any]] | None:
    """The outcome that encloses ``position``, and where it begins and ends."""
    start = position
    for _ in range(MOST_BRACES):
        start = text.rfind("{", 0, start)
        if start < 0:
            return None
        try:
            found, length = _decode(text[start : start + LONGEST_OBJECT])
        except (ValueError, RecursionError):
            continue
        if start + length > position:
            return (start, start + length, found) if _is_outcome(found) else None
    return None


def _is_outcome(value: dict[str, Any]) -> bool:
    """Whether ``value`` is an outcome, and no event of a program that has a status of its own."""
    if value.get("status") not in OUTCOME_STATUSES or not ("summary" in value or value.keys() <= KEYS):
        return False
    if value["status"] == "done" and _is_placeholder(value.get("summary")):
        return False
    try:
        Outcome.parse(value)
    except BadData:
        return False
    return True


def _is_placeholder(summary: object) -> bool:
    """Whether ``summary`` is the "..." of an example."""
    return isinstance(summary, str) and bool(summary) and not any(map(str.isalnum, summary))


def _is_tools_answer(event: dict[str, Any]) -> bool:
    """Whether ``event`` is what a tool, or somebody else than the agent, said to it: a file that it read, for one."""
    kinds = (event.get("type"), event.get("role"))
    return any(isinstance(kind, str) and _TOOLS_ANSWER.fullmatch(kind.lower()) for kind in kinds)
