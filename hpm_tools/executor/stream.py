"""Reading the CLI's stream-json line by line, believing nothing about its shape (docs/claude-cli.md, The stream)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from hpm_tools.errors import BadData
from hpm_tools.executor import cost
from hpm_tools.executor.base import Denial, Outcome, Progress
from hpm_tools.executor.permissions import denied_by_policy
from hpm_tools.executor.tokens import Tokens, of_models, of_usage

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DENIALS = 100
MAX_TEXT = 64 * 1024
"""Characters kept of any one text; the log of the run keeps everything."""
TEST_OF_TIME = 1e11
"""A moment beyond this (the year 5138 in seconds) is given in milliseconds."""

ARGUMENTS = (
    "command",
    "file_path",
    "notebook_path",
    "path",
    "pattern",
    "query",
    "url",
    "skill",
    "description",
)
"""The inputs of a tool that say best what it is about, the best first."""

Json = dict[str, Any]


class StreamReader:
    """Feeds on the lines of one invocation and knows what they said so far. Never raises.

    ``clean`` takes the secrets out of a text before it is shortened, after which they could not be found.
    """

    def __init__(self, cwd: str = "", clean: Callable[[str], str] = str) -> None:
        self.cwd = cwd
        self.clean = clean
        self.started = False
        self.finished = False
        self.session_id = ""
        self.version = ""
        self.model = ""
        self.result: Json = {}
        self.outcome: Outcome | None = None
        self.errors: list[str] = []
        self.denials: dict[str, Denial] = {}
        self.turns = 0
        self.tool_uses = 0
        self.strange_lines = 0
        self.api_error = ""
        self.api_error_status: int | None = None
        self.limit_kind = ""
        self.resets_at: float | None = None
        self.since_last: float | None = None
        self.progress: Progress | None = None
        self._message_id = ""
        self._prices: dict[str, float] = {}
        self._tokens: dict[str, Tokens] = {}
        self._used: Tokens | None = None

    @property
    def estimate(self) -> float | None:
        """The price in US dollars of the messages seen so far; None before the first."""
        return sum(self._prices.values()) if self._prices else None

    def feed(self, line: bytes) -> bool:
        """Take one line; True if it is the final result, after which the CLI has nothing to do."""
        event = _decoded(line)
        read = self._readers.get(_text(event, "type")) if isinstance(event, dict) else None
        if read is None:
            self.strange_lines += bool(line.strip()) and not isinstance(event, dict)
            return False
        self.started = True
        read(self, event)
        return event["type"] == "result" and self.finished

    def _system(self, event: Json) -> None:
        subtype = _text(event, "subtype")
        if subtype == "init":
            self.session_id = _text(event, "session_id")
            self.version = _text(event, "claude_code_version")
            self.model = _text(event, "model")
        elif subtype == "api_retry":
            self.api_error = _text(event, "error")
            self.api_error_status = _status(event.get("error_status"))
            self._show(f"waiting to retry: {self.api_error or 'the service failed'}")
        elif subtype == "permission_denied":
            self._deny(_text(event, "tool_use_id"), _text(event, "tool_name"), _text(event, "message"))

    def _assistant(self, event: Json) -> None:
        message = _dict(event, "message")
        self.api_error = _text(event, "error")
        if not self.api_error:
            self.api_error_status = None
        self._count(event, message)
        for block in _dicts(message, "content"):
            kind = _text(block, "type")
            if kind == "tool_use":
                self.tool_uses += 1
                given = _dict(block, "input")
                self._show(f"{_text(block, 'name')} {self._about(given)}".strip())
            elif kind == "text" and (words := _text(block, "text").strip()):
                self._show(self.clean(words.splitlines()[0]))

    def _count(self, event: Json, message: Json) -> None:
        identity = _text(message, "id")
        model = _text(message, "model")
        if model == "<synthetic>":
            return
        if not event.get("parent_tool_use_id") and identity != self._message_id:
            self._message_id = identity
            self.turns += 1
        written = sum(len(msgspec.json.encode(block)) for block in _dicts(message, "content"))
        priced = cost.price(model or self.model, _dict(message, "usage"), written)
        self._prices[identity] = max(priced, self._prices.get(identity, 0.0))
        self._tokens[identity] = of_usage(_dict(message, "usage"))

    def _rate_limit(self, event: Json) -> None:
        info = _dict(event, "rate_limit_info")
        rejected = _text(info, "status") == "rejected" and info.get("isUsingOverage") is not True
        self.limit_kind = (_text(info, "rateLimitType") or "unknown") if rejected else ""
        self.resets_at = _moment(info.get("resetsAt")) if rejected else None

    def _result(self, event: Json) -> None:
        self.finished = not event.get("queued_turn_count")
        self.result = event
        self.turns = max(self.turns, _int(event.get("num_turns")))
        self.errors = _texts(event, "errors")
        self.api_error = _text(event, "api_error") or self.api_error
        self.api_error_status = _status(event.get("api_error_status")) or self.api_error_status
        since_last = cost.sum_of_models(event.get("model_usage_since_last_result"))
        if since_last is not None:
            self.since_last = (self.since_last or 0.0) + since_last
        used = of_models(event.get("model_usage_since_last_result")) or of_usage(_dict(event, "usage"))
        self._used = used if self._used is None else self._used + used
        for item in _dicts(event, "permission_denials"):
            given = _dict(item, "tool_input")
            self._deny(_text(item, "tool_use_id"), _text(item, "tool_name"), self._about(given), given)
        if event.get("structured_output") is not None:
            try:
                self.outcome = Outcome.parse(event["structured_output"])
            except BadData as error:
                self.errors.append(error.message)

    def _deny(self, identity: str, tool: str, what: str, given: Json | None = None) -> None:
        if len(self.denials) < MAX_DENIALS or identity in self.denials:
            by_policy = denied_by_policy(tool, given if given is not None else {"message": what})
            self.denials[identity] = Denial(tool, what, by_policy)
            self._show(f"refused: {tool} {what}".strip())

    def _about(self, given: Json) -> str:
        return short_argument(given, self.cwd, self.clean)

    def _show(self, text: str) -> None:
        self.progress = Progress(text[:200], self.turns, self.estimate)

    def _ignore(self, event: Json) -> None:
        """A line whose content says no more than that the CLI is alive."""

    _readers: dict[str, Callable[[StreamReader, Json], None]] = {  # noqa: RUF012
        "system": _system,
        "assistant": _assistant,
        "user": _ignore,
        "rate_limit_event": _rate_limit,
        "result": _result,
    }

    @property
    def is_error(self) -> bool:
        return self.result.get("is_error") is not False

    @property
    def text(self) -> str:
        """The agent's last words; empty where they only repeat the structured outcome."""
        return "" if self.outcome else _text(self.result, "result")

    def result_field(self, name: str) -> str:
        return _text(self.result, name)

    @property
    def total_cost(self) -> float | None:
        return cost.dollars(self.result.get("total_cost_usd"))

    @property
    def tokens(self) -> Tokens | None:
        """What this invocation used; of one that was ended from outside what its messages said so far."""
        if self._used is not None:
            return self._used
        return sum(self._tokens.values(), Tokens()) if self._tokens else None


def short_argument(given: Json, cwd: str = "", clean: Callable[[str], str] = str) -> str:
    """What a tool call is about, in one short line: its command, its file, or its first text."""
    texts = [given[name] for name in ARGUMENTS if isinstance(given.get(name), str)]
    texts += [value for value in given.values() if isinstance(value, str)]
    line = " ".join(clean(texts[0][:MAX_TEXT]).split()) if texts else ""
    if cwd and line.startswith(cwd.rstrip("/") + "/"):
        line = line[len(cwd.rstrip("/")) + 1 :]
    return line if len(line) <= 160 else line[:159] + "…"


def _decoded(line: bytes) -> Any:
    """The JSON value in ``line``; None if there is none.

    JavaScript writes text that was cut inside a character (an emoji, say) as a lone surrogate, which strict
    JSON refuses; the final result must not be lost for it.
    """
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        lenient = json.loads(line.decode("utf-8", "replace"), strict=False)
        return msgspec.json.decode(json.dumps(lenient, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


def _text(data: Json, name: str) -> str:
    value = data.get(name)
    return value[:MAX_TEXT] if isinstance(value, str) else ""


def _dict(data: Json, name: str) -> Json:
    value = data.get(name)
    return value if isinstance(value, dict) else {}


def _dicts(data: Json, name: str) -> list[Json]:
    value = data.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _texts(data: Json, name: str) -> list[str]:
    value = data.get(name)
    items = value if isinstance(value, list) else []
    return [item[:MAX_TEXT] for item in items if isinstance(item, str)]


def _int(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1e9 else 0


def _status(value: object) -> int | None:
    number = _int(value)
    return number if 100 <= number <= 999 else None


def _moment(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e15:
        return None
    return float(value) / 1000 if value > TEST_OF_TIME else float(value)
