"""Which events are worth a message, and the message that several of them make together."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hpm_tools.local_time import when
from hpm_tools.text import for_terminal, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LONGEST_LINE = 400
LONGEST_TITLE = 80
MOST_LINES = 20

SEVERITY = {
    "parked": "warning",
    "prompt": "warning",
    "auth_failure": "failure",
    "limit_reached": "warning",
    "limit_over": "success",
    "budget_reached": "warning",
    "runner_stopped": "info",
    "health_failed": "failure",
    "pickup_paused": "failure",
}
"""The kinds of notices (names.NOTICES), each with how apprise calls its weight."""
ORDER = ("info", "success", "warning", "failure")

WORDS = {
    "parked": "parked",
    "prompt": "needs an answer",
    "auth_failure": "login refused",
    "limit_reached": "usage limit reached",
    "limit_over": "usage limit over",
    "budget_reached": "day's budget reached",
    "runner_stopped": "runner stopped",
    "health_failed": "health check failed",
    "pickup_paused": "no task is taken",
}

OF_THE_HOST = frozenset(
    {"auth_failure", "limit_reached", "limit_over", "budget_reached", "health_failed", "pickup_paused"}
)
"""What several runners find out at about the same time, in the same words: told once."""

OF_ONE_TASK = re.compile(r"^task \d+: ")

ENDS = {"health_restored": "health_failed", "limit_over": "limit_reached", "pickup_resumed": "pickup_paused"}
"""Events after which another of the kind that they end is news again."""

# What services take for a mention, a link or markup becomes what merely looks like it: a task's text is data.
_HARMLESS = str.maketrans(
    {"@": "\uff20", "<": "\u2039", ">": "\u203a", "`": "'", "*": "\u2217", "[": "(", "]": ")"}
)
# Chat services make links of https://host, but of evil.example, README.md and 10.0.0.1 just as well.
_COLON = re.compile(r":(?=[/\\]{2})|(?i:(?<=\bmailto)|(?<=\btel)|(?<=\bsms)|(?<=\bmagnet)):(?=\S)")
_DOT = re.compile(r"(?<=\S)[.\u3002\uff0e\uff61](?=[^\W\d_])")
_NUMERIC = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")
_LIKE_COLON, _LIKE_DOT = "\u2236", "\u2024"


LATEST = 1e11
"""Beyond any Unix time that is written: the year 5138. localtime(3) fails for much later ones."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that somebody wants to know. ``at`` is Unix time, ``where`` the host and the board."""

    kind: str
    at: float
    agent: str
    where: str
    text: str

    @property
    def key(self) -> str | None:
        """What is the same for all runners that tell the same; None for what is always news."""
        return f"{self.kind}|{self.text}" if self.kind in OF_THE_HOST else None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: object) -> Notice | None:
        """None for what is none."""
        if not isinstance(data, dict):
            return None
        at = data.get("at")
        texts = {name: data.get(name) for name in ("kind", "agent", "where", "text")}
        known = {name: text for name, text in texts.items() if isinstance(text, str)}
        if len(known) < len(texts) or known["kind"] not in SEVERITY:
            return None
        if not isinstance(at, int | float) or isinstance(at, bool) or not 0 <= at < LATEST:
            return None
        return cls(at=float(at), **known)


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent. ``severity`` is info, success, warning or failure."""

    title: str
    body: str
    severity: str


def kind_of(event: str, data: Mapping[str, Any]) -> str | None:
    """The kind of notice that an event makes, or None."""
    if event == "agent_ended":
        return "auth_failure" if data.get("verdict") == "auth" else None
    if event == "pickup_paused" and (data.get("tries") or data.get("kind") == "auth"):
        return None  # told when it began, or as auth_failure
    return _KINDS.get(event)


_KINDS = {
    "parked": "parked",
    "prompt_opened": "prompt",
    "limit_wait": "limit_reached",
    "limit_over": "limit_over",
    "budget_reached": "budget_reached",
    "stopped": "runner_stopped",
    "health_failed": "health_failed",
    "pickup_paused": "pickup_paused",
}


def words_of(kind: str, text: str, data: Mapping[str, Any]) -> str:
    """The notice's text: the event's own, with a parked task's title, without the task where it is the host's."""
    if kind == "parked" and data.get("title"):
        title = one_line(str(data["title"]), LONGEST_TITLE)
        return _with_end(text.replace(" parked: ", f" parked ({title}): ", 1), str(data.get("where") or ""))
    if kind == "limit_reached" and isinstance(data.get("until"), int | float):
        return f"the usage limit holds until {when(data['until'])}; tasks and sessions are kept"
    if kind == "pickup_paused" and data.get("kind") == "away":
        return f"no task is taken: {data.get('reason')}; it is looked for until it is back"
    if kind == "pickup_paused":
        return f"no task is taken: {data.get('reason')}; single ones are tried, and the first that succeeds ends this"
    return OF_ONE_TASK.sub("", text) if kind in OF_THE_HOST else text


def _with_end(text: str, end: str) -> str:
    """``text``, which ends with ``end``, as short as a line is: what is cut is what stands before that."""
    if not end or not text.endswith(end):
        return text
    room = max(0, LONGEST_LINE - len(end) - 2)
    return one_line(text.removesuffix(end).rstrip("; "), room) + "; " + end


def compose(notices: Sequence[Notice], left_out: int = 0) -> Message:
    """One message that tells all of ``notices``, oldest first; ``left_out`` were given up before."""
    several = len(notices) > 1
    counts = Counter(notice.kind for notice in notices)
    heads = [f"{count} x {WORDS[kind]}" if several else WORDS[kind] for kind, count in counts.items()]
    agents = sorted({notice.agent for notice in notices})
    who = agents[0] if len(agents) == 1 else f"{len(agents)} agents"
    lines = [_line(notice) for notice in notices[:MOST_LINES]]
    if len(notices) > MOST_LINES:
        lines.append(f"… and {len(notices) - MOST_LINES} more: hpm events shows them")
    if left_out:
        lines.append(f"({left_out} earlier ones could not be sent)")
    lines.append("— " + ", ".join(sorted({harmless(notice.where) for notice in notices})))
    weight = max((SEVERITY[notice.kind] for notice in notices), key=ORDER.index)
    return Message(f"hpm {harmless(who)}: {', '.join(heads)}", "\n".join(lines), weight)


def _line(notice: Notice) -> str:
    text = one_line(harmless(notice.text), LONGEST_LINE)
    return f"{when(notice.at)} {harmless(notice.agent)}: {text}"


def harmless(text: str) -> str:
    """``text`` in which no service finds a mention, a link or markup, and a terminal nothing to act on."""
    # First: a character that is taken out later would join what it kept apart.
    text = for_terminal(text).translate(_HARMLESS)
    text = _DOT.sub(_LIKE_DOT, _COLON.sub(_LIKE_COLON, text))
    return _NUMERIC.sub(lambda found: found[0].replace(".", _LIKE_DOT), text)
