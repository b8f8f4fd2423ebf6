"""Leaves out of role instructions what the runner does itself.

Role files written for Headless PM tell the agent to register, to poll the board, to lock tasks, to report
statuses and never to stop. An agent that obeys works against its runner: it takes tasks nobody guards and
never ends. Whole sections about that are dropped, and elsewhere single sentences and code blocks.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpm_tools.executor.markdown import blocks_of, item_marker, readable, sentences_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hpm_tools.executor.markdown import Block


def _any_of(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)


# Every gap is bounded and every leading run possessive: an agent can write these files, and a pattern that
# takes a minute on a hostile line would hold up the runner.
TITLES = _any_of(
    r"\b(?:learn|us(?:e|ing)|about)\b.{0,40}\bheadless pm\b",
    r"\bheadless pm (?:client|system|api|server|board|commands?|cli|tool)\b",
    r"\bpm (?:client|api|board|server|commands?)\b",
    r"\bgetting started with mcp\b|\bmcp (?:tools|commands)\b",
    r"\bapi ?(?:keys?|tokens?)\b",
    r"\btask ?(?:work ?flow|loop|management|pick ?up|selection|readiness|lifecycle|polling|queue|locking)\b",
    r"\b(?:picking|getting|fetching|taking) (?:up )?tasks\b",
    r"\b(?:work|main) ?loop\b",
    r"\bstatus (?:progression|flow|workflow|rules|updates?|transitions?|reporting)\b|\bprogress report(?:s|ing)?\b",
    r"\bcontinuous(?:ly)? (?:operations?|work(?:ing|flow)?|modes?|loops?|monitoring|polling|running|execution|task)\b",
    r"\b(?:never|do not|don t) (?:stop|idle|go idle|end)\b",
    r"\bkeep (?:working|running|polling)\b",
    r"\bpoll(?:s|ing)?\b|\bheart ?beats?\b",
    r"^(?:\d+ )?(?:how to )?register(?:ing)?\b|^(?:\d+ )?registration\b|\bagent registration\b",
)
"""Sections with such a title (lower case, punctuation as spaces) are the runner's business."""

_TAKE = "get|gets|fetch|check|query|ask|look|poll|request|pick|pickup|take|grab|find|claim|lock|select|provides?|waits?|return"
_FOR = (
    r"for|the|an?|your|its|you|me|up|to|on|from|board|api|server|system|pm|\d+|minutes|seconds|automatically"
)
_ANOTHER = "next|new|another|available|more|other|further|any|junior|senior|waiting|development"
_SUCH = "junior|senior|principal|level|available|real|waiting|development|pending|created|major|minor|qa"
SENTENCES = _any_of(
    # the client, its files, the board's address and key
    r"\bheadless_?pm[_/-](?:client|team_roles/\.env|\.env)|\bpm[ _]client\b|\bclaude_venv\b",
    r"(?:localhost|127\.0\.0\.1):6969|/api/v1/(?:tasks|register|agents|changes|mentions)|\bX-API-Key\b",
    r"\b(?:HEADLESS_PM_API_KEY|API_KEY_HEADLESS_PM|HEADLESS_PM_API_URL)\b",
    r"\bapi[ _-]?keys?\b.{0,80}\.env\b|\.env\b.{0,80}\bapi[ _-]?keys?\b",
    r"\bshared_instructions\.md\b|\bCLAUDE_CODE_IMPORTANT\.md\b",
    # the board's statuses
    r"\b(?:dev_done|qa_done|under_work|documentation_done)\b",
    r"[`'\"](?:created|pending)[`'\"] status\b|\bback to [`'\"]?created\b",
    r"\bto [`'\"]?(?:testing|committed|created|pending)[`'\"]? (?:when|if|status|once|after|so)\b",
    r"\b(?:update|set|change|move|mark|report|put)\w*\b[^.]{0,40}\btask(?:'s)? status(?:es)?\b",
    r"\btask status (?:update )?api\b|\bupdate (?:the )?status\b|\bstatus automatically\b",
    # taking tasks
    r"\btasks? (?:next|lock|unlock|status) (?:--|\[|<|\d)",
    rf"\b(?:{_TAKE})(?:ing)?\b(?:\W+(?:{_FOR})\b){{0,6}}?\W+(?:{_ANOTHER})\b(?:[\W_]+(?:{_SUCH})\b){{0,3}}?"
    r"[\W_]+(?:tasks?|work items?)\b",
    r"\bpick(?:ing|s)?[ -]?(?:up )?tasks?\b|\bcheck(?:ing)? for (?:\w+ ){0,2}tasks?\b",
    r"\b(?:lock|unlock|claim) (?:(?:the|a|an|your|each|every|this|new) )?(?:\w+ )?tasks?\b",
    r"\bnext task\b.{0,80}\b(?:immediately|automatically|loop|again)\b",
    r"\b(?:immediately|automatically)\b.{0,80}\bnext task\b|\bfrom one task to the next\b",
    # never stopping
    r"\b(?:never|do not|don't) (?:ever )?(?:end|stop|exit|terminate|quit)\b[^.]{0,60}"
    r"\b(?:session|working|loop|running|operation|polling)\b",
    r"\b(?:never|do not|don't) (?:ever )?(?:close|leave) (?:your|the|this) session\b",
    r"\b(?:never|don't|do not) go idle\b|\bkeep (?:polling|looping|running|asking)\b",
    r"\bcontinuous(?:ly)? (?:operation|workflow|work|loop|poll\w*|monitor\w*)\b|\b(?:loop pattern|work loop)\b",
    # polling and registering
    r"^[\W_]*+(?:\w+ ){0,4}?poll(?:ing)?\b[^.]{0,80}\b(?:tasks?|board|api|changes|server|work|pm|seconds|minutes)\b",
    r"\bpoll(?:ing)? (?:the |for )(?:\w+ ){0,2}?(?:board|pm|tasks?|changes|work)\b",
    r"\bregister (?:yourself|me\b|your(?: own)? agent|any services|as (?:an? )?agent|on the board)",
    r"\bregister with (?:the )?(?:board|headless|pm|server|api)|\bregister\w*\b.{0,30}\b(?:board|headless)\b",
    r"\b(?:check|watch|respond|look)\w*\b[^.]{0,20}\b@?mentions\b|\bsend\w* (?:a )?heart ?beats?\b",
)
"""Sentences and code that drive the board, wherever they stand."""


@dataclass(frozen=True, slots=True)
class Filtered:
    """What remains, and the titles of the sections and the beginnings of the sentences that were left out."""

    text: str
    left_out: tuple[str, ...]


def filter_role(text: str) -> Filtered:
    """Drop from Markdown what concerns the board; the rest stays as it was written, in order."""
    blocks = blocks_of(readable(text).splitlines())
    document_title = _document_title(blocks)
    left_out: list[str] = []
    kept: list[str] = []
    dropping = 0
    for number, block in enumerate(blocks):
        if block.level:
            if block.level <= dropping:
                dropping = 0
            if not dropping and number != document_title and TITLES.search(_plain(block.title)):
                dropping = block.level
                left_out.append(_shown(block.title))
        if not dropping:
            kept.extend(block.lines if block.level else _without_board(block, left_out))
    return Filtered(_squeezed(kept), tuple(dict.fromkeys(left_out)))


def _document_title(blocks: Sequence[Block]) -> int | None:
    """The index of a heading that stands over the whole document: dropping it would drop everything."""
    headings = [(number, block.level) for number, block in enumerate(blocks) if block.level]
    if len(headings) < 2:
        return None
    number, level = headings[0]
    return number if all(other > level for _, other in headings[1:]) else None


def _without_board(block: Block, left_out: list[str]) -> Sequence[str]:
    """The block's lines without the sentences about the board; none if nothing else is left."""
    text = "\n".join(block.lines)
    found = SENTENCES.search(_joined(text))
    if not found:
        return block.lines
    if block.whole:
        left_out.append(_shown(next((line for line in block.lines if found[0] in line), block.lines[0])))
        return []
    marker = item_marker(block.lines[0])
    kept = []
    for sentence in sentences_of(text[len(marker) :]):
        if SENTENCES.search(_joined(sentence)):
            left_out.append(_shown(sentence))
        else:
            kept.append(sentence)
    rest = "".join(kept).rstrip()
    return (marker + rest).split("\n") if _plain(rest) else []


def _joined(text: str) -> str:
    """One line, without the emphasis that could split a phrase: ``get the **next**\\ntask``."""
    text = text.replace("\u2019", "'")
    unquoted = re.sub(r"^[ \t]*+>[ \t>]*|\\$", "", text, flags=re.MULTILINE)
    return " ".join(re.sub(r"\*+|(?<!\w)_+|_+(?!\w)", "", unquoted).split())


def _plain(title: str) -> str:
    """Lower-case words only: emoji, emphasis, numbering and punctuation never hide a title."""
    folded = unicodedata.normalize("NFKC", title[:200]).casefold()
    return " ".join(re.sub(r"[\W_]+", " ", folded).split())


def _shown(text: str) -> str:
    one_line = " ".join(text[:400].split()).strip("*_#`-> ")
    return one_line if len(one_line) <= 80 else one_line[:79] + "…"


def _squeezed(lines: Iterable[str]) -> str:
    """The lines as text, with at most one blank line in a row where something was taken out."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"
