"""A scripted Anthropic Messages API on loopback, for the real Claude CLI to talk to.

    python tests/support/messages_endpoint.py --script scenario.json --port 0 --log requests.jsonl

prints its URL as the first line of stdout and serves until it is ended. From Python::

    with MessagesEndpoint({"rules": [{"steps": [{"write": {"path": "a.txt", "content": "a"}}]}]}) as endpoint:
        run_claude(env={"ANTHROPIC_BASE_URL": endpoint.url, "ANTHROPIC_API_KEY": "dummy"})

The scenario is JSON. The first of its ``rules`` whose ``match`` (a regular expression; absent: always) is
found in any of the conversation's prompts, and whose ``prompt`` (1: the first prompt, 2: the first resume;
absent: any) is the number of the newest one, gives the ``steps`` of this turn of the conversation. Which
step is due is read from the conversation itself, so that any number of agents share one endpoint, which
may be restarted at any time. After the last step the agent says done. A step does one of

    {"write": {"path": "a.txt", "content": "…"}}    the Write tool, below the agent's directory
    {"bash": "git status"}                          the Bash tool
    {"commit": "message"}                           git add -A && git commit, by the Bash tool
    {"tool": "Read", "input": {…}}                  any tool;  {"tools": [step, …]}  several at once
    {"outcome": {"status": "done", "summary": "…"}} the structured outcome
    {"text": "…"}                                   words, which end the turn
    {"hang": true}                                  no answer until the client goes away; "started": first
                                                    the answer's beginning, then nothing
    {"drop": true}                                  the connection closed without an answer
    {"fail": {"status": 529, …}}                    an HTTP error

and may carry ``delay`` (seconds before the answer), ``drip`` (seconds between its events), ``usage``
(token counts) and, beside something else to do, ``fail``: an error that comes first. ``fail`` takes
``status``, ``type``, ``message``, ``headers``, ``times`` (how often; absent: always) or ``limit``
(a usage limit of a subscription: ``{"kind": "five_hour", "resets_in": 3}``, refusing until then; then
``status`` is 429). In texts ``${cwd}`` is the agent's directory and ``${1}`` a group of ``match``.

``"obey": {"command": "curl …", "times": 2}`` makes the agent obey instructions to poll the board which it
finds in its prompt: it runs the command first. Sentences that forbid it are no instructions.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import select
import signal
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import FrameType

Json = dict[str, Any]

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
POLLING = re.compile(
    r"headless_pm_client|tasks/next|\bpoll(s|ing)?\b|register (yourself )?with", re.IGNORECASE
)
FORBIDDING = re.compile(r"\b(never|not|no|don't|nothing|without|instead of)\b", re.IGNORECASE)
STEP_OF_ID = re.compile(r"^toolu_(poll|step)_(\d+)_")
WORKING_DIRECTORY = re.compile(r"(?:Primary w|W)orking directory: ([^\n\"]+)")
NOT_A_PROMPT = ("<system-reminder>", "[structured-output-enforce]", "[Request interrupted")


class Conversation:
    """What a request tells about the turn it belongs to; nothing is remembered between requests."""

    def __init__(self, body: Json) -> None:
        self.tools = [str(tool.get("name", "")) for tool in body.get("tools") or []]
        self.model = str(body.get("model", ""))
        self.prompts: list[str] = []
        self.steps_taken = 0
        self.polls_taken = 0
        self.outcome_given = False
        texts = [json.dumps(body.get("system") or "")]
        for message in body.get("messages") or []:
            blocks = message.get("content") or []
            blocks = [{"type": "text", "text": blocks}] if isinstance(blocks, str) else blocks
            texts += [block["text"] for block in blocks if block.get("type") == "text"]
            if message.get("role") == "user":
                self._prompt(blocks)
            elif message.get("role") == "assistant":
                self._acts(blocks)
        found = WORKING_DIRECTORY.search("\n".join(texts).replace("\\n", "\n"))
        self.cwd = found.group(1).strip() if found else "."

    def _prompt(self, blocks: list[Json]) -> None:
        """A prompt resuming a session may stand in one message with the last tool's result."""
        said = [block["text"] for block in blocks if block.get("type") == "text"]
        said = [text for text in said if not text.lstrip().startswith(NOT_A_PROMPT)]
        if said:
            self.prompts.append("\n".join(said))
            self.steps_taken = self.polls_taken = 0
            self.outcome_given = False

    def _acts(self, blocks: list[Json]) -> None:
        if all(block.get("type") == "text" for block in blocks):
            self.steps_taken += 1
        for block in blocks:
            found = STEP_OF_ID.match(str(block.get("id", "")))
            if found and found.group(1) == "step":
                self.steps_taken = max(self.steps_taken, int(found.group(2)) + 1)
            elif found:
                self.polls_taken = max(self.polls_taken, int(found.group(2)) + 1)
            self.outcome_given |= block.get("name") == "StructuredOutput"


def asks_to_poll(text: str) -> bool:
    """Whether a sentence of the text tells its reader to poll the board, rather than not to."""
    sentences = re.split(r"(?<=[.!?:])\s+|\n\s*\n|\n\s*[-*#]", text)
    return any(POLLING.search(sentence) and not FORBIDDING.search(sentence) for sentence in sentences)


def filled(value: Any, groups: dict[str, str]) -> Any:
    """``value`` with ``${name}`` replaced in every text within."""
    if isinstance(value, str):
        return re.sub(r"\$\{(\w+)\}", lambda found: groups.get(found.group(1), found.group(0)), value)
    if isinstance(value, dict):
        return {key: filled(item, groups) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, groups) for item in value]
    return value


class Script:
    """Decides the next step of a conversation. The only memory are counts of errors given so far."""

    def __init__(self, scenario: Json) -> None:
        self.scenario = scenario
        self._lock = threading.Lock()
        self._failures: dict[tuple[int, int], int] = {}
        self._resets: dict[tuple[int, int], int] = {}

    def next(self, talk: Conversation) -> tuple[Json, str]:
        """The step due now, and the tool_use id prefix that will mark it as taken."""
        if not talk.tools:
            return {"text": "ok"}, "toolu_side_"
        obey = self.scenario.get("obey")
        if obey and talk.polls_taken < obey.get("times", 1) and any(map(asks_to_poll, talk.prompts)):
            return {"bash": obey["command"]}, f"toolu_poll_{talk.polls_taken}_"
        found = self._rule(talk)
        if found is None:
            refusal = {"status": 400, "message": "the scenario has no rule for this prompt"}
            return {"fail": refusal}, ""
        number, steps, groups = found
        if talk.steps_taken < len(steps):
            step = filled(steps[talk.steps_taken], {"cwd": talk.cwd, **groups})
            return self._failing((number, talk.steps_taken), step), f"toolu_step_{talk.steps_taken}_"
        if "StructuredOutput" in talk.tools and not talk.outcome_given:
            return {"outcome": {"status": "done", "summary": "done as scripted"}}, "toolu_end_"
        return {"text": "Done."}, "toolu_end_"

    def _rule(self, talk: Conversation) -> tuple[int, list[Json], dict[str, str]] | None:
        """The number, the steps and the groups of the match of the rule for this turn; None if there is none."""
        for number, rule in enumerate(self.scenario.get("rules", [])):
            found = re.search(rule.get("match", ""), "\n".join(talk.prompts))
            if found and rule.get("prompt", len(talk.prompts)) == len(talk.prompts):
                groups = {str(i): group or "" for i, group in enumerate(found.groups(), 1)}
                return number, rule.get("steps", []), groups
        return None

    def _failing(self, key: tuple[int, int], step: Json) -> Json:
        """The step without its ``fail`` once that has come often or long enough."""
        fail = step.get("fail")
        if fail is None:
            return step
        with self._lock:
            count = self._failures[key] = self._failures.get(key, 0) + 1
            if "limit" in fail:
                resets = self._resets.setdefault(key, int(time.time() + fail["limit"]["resets_in"]) + 1)
                active = time.time() < resets
                fail = limit_error(fail, resets)
            else:
                active = count <= fail.get("times", count)
        rest = {name: value for name, value in step.items() if name != "fail"}
        if active:
            return {**step, "fail": fail}
        return rest or {"text": "Done."}


def limit_error(fail: Json, resets: int) -> Json:
    """A subscription's usage limit, as the headers that the CLI reads."""
    kind = fail["limit"].get("kind", "five_hour")
    prefix = "anthropic-ratelimit-unified"
    claim = {"five_hour": "5h", "seven_day": "7d"}.get(kind, kind)
    headers = {
        f"{prefix}-status": "rejected",
        f"{prefix}-reset": str(resets),
        f"{prefix}-representative-claim": kind,
        f"{prefix}-{claim}-status": "rejected",
        f"{prefix}-{claim}-reset": str(resets),
        "retry-after": str(max(1, resets - int(time.time()))),
    }
    message = "This request would exceed your account's rate limit."
    return {"status": 429, "message": message, **fail, "headers": {**headers, **fail.get("headers", {})}}


def blocks_of(step: Json, talk: Conversation, prefix: str) -> list[Json]:
    """The content blocks of the assistant's message that carries out a step."""
    if "tools" in step:
        return [block for item in step["tools"] for block in blocks_of(item, talk, prefix)]
    if "write" in step:
        path = step["write"]["path"]
        path = path if path.startswith("/") else f"{talk.cwd}/{path}"
        tool = "Write"
        given: Json = {"file_path": path, "content": step["write"]["content"]}
    elif "bash" in step:
        tool, given = "Bash", {"command": step["bash"], "description": "a scripted command"}
    elif "commit" in step:
        message = step["commit"].replace("'", "")
        command = f"git add -A && git commit -q -m '{message}'"
        tool, given = "Bash", {"command": command, "description": "commit the work"}
    elif "outcome" in step:
        tool, given = "StructuredOutput", step["outcome"]
    elif "tool" in step:
        tool, given = step["tool"], step.get("input", {})
    else:
        return [{"type": "text", "text": step.get("text", "Done.")}]
    return [{"type": "tool_use", "id": prefix + uuid.uuid4().hex[:12], "name": tool, "input": given}]


def events_of(message: Json) -> Iterator[Json]:
    """The server-sent events that stream one assistant's message."""
    head = {**message, "content": [], "stop_reason": None}
    yield {"type": "message_start", "message": head}
    for index, block in enumerate(message["content"]):
        empty: Json = {**block, "input": {}}
        if block["type"] == "text":
            empty, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ending = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": ending, "usage": message["usage"]}
    yield {"type": "message_stop"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Requests are recorded by `MessagesEndpoint.record`, nothing goes to stderr."""

    def do_HEAD(self) -> None:
        self._json(200, {})

    def do_GET(self) -> None:
        self.server.endpoint.record(self, None, {"status": 200})
        self._json(200, {"data": [], "has_more": False} if "/models" in self.path else {})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        try:
            body = json.loads(raw or b"{}")
        except ValueError:
            body = {}
        endpoint, path = self.server.endpoint, self.path.partition("?")[0]
        if path.endswith("/count_tokens"):
            endpoint.record(self, body, {"status": 200})
            self._json(200, {"input_tokens": len(raw) // 4})
        elif path.endswith("/messages"):
            talk = Conversation(body)
            step, prefix = endpoint.script.next(talk)
            endpoint.record(self, body, step)
            with contextlib.suppress(ConnectionError):
                self._answer(body, talk, step, prefix)
        else:
            endpoint.record(self, body, {"status": 404})
            self._json(404, {"type": "error", "error": {"type": "not_found_error", "message": "not found"}})

    def _answer(self, body: Json, talk: Conversation, step: Json, prefix: str) -> None:
        if not self._wait(step.get("delay", 0)):
            return
        if "fail" in step:
            self._fail(step["fail"])
        elif step.get("drop"):
            self.close_connection = True
        elif step.get("hang"):
            if step["hang"] == "started":
                self._stream(list(events_of(self._message(step, talk, prefix)))[:1], 0)
            self._wait(float("inf"))
            self.close_connection = True
        elif body.get("stream"):
            self._stream(events_of(self._message(step, talk, prefix)), step.get("drip", 0))
        else:
            self._json(200, self._message(step, talk, prefix))

    def _message(self, step: Json, talk: Conversation, prefix: str) -> Json:
        content = blocks_of(step, talk, prefix)
        usage = {"input_tokens": 100, "output_tokens": 50}
        usage |= {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
        usage |= self.server.endpoint.script.scenario.get("usage", {}) | step.get("usage", {})
        ends = all(block["type"] == "text" for block in content)
        return {
            "id": "msg_" + uuid.uuid4().hex[:20],
            "type": "message",
            "role": "assistant",
            "model": talk.model,
            "content": content,
            "stop_reason": "end_turn" if ends else "tool_use",
            "stop_sequence": None,
            "usage": usage,
        }

    def _stream(self, events: Any, drip: float) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        for event in events:
            self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
            self.wfile.flush()
            if not self._wait(drip):
                return

    def _fail(self, fail: Json) -> None:
        status = fail.get("status", 500)
        kind = fail.get("type", ERROR_TYPES.get(status, "api_error"))
        error = {"type": kind, "message": fail.get("message", kind.replace("_", " "))}
        self._json(status, {"type": "error", "error": error}, fail.get("headers", {}))

    def _json(self, status: int, data: Json, headers: dict[str, str] | None = None) -> None:
        raw = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.send_header("request-id", "req_" + uuid.uuid4().hex[:16])
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)

    def _wait(self, seconds: float) -> bool:
        """False if the client went away, or the endpoint is closed, before the time was over."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self.server.endpoint.closing.is_set():
                return False
            if select.select([self.connection], [], [], min(left, 0.1))[0]:
                return False
        return True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    endpoint: MessagesEndpoint

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class MessagesEndpoint:
    """The server, its script and its log: one JSON object per request, written before it is answered."""

    def __init__(self, scenario: Json, *, log: Path | str | None = None, port: int = 0) -> None:
        self.script = Script(scenario)
        self.closing = threading.Event()
        self.requests: list[Json] = []
        self._log = open(log, "a", encoding="utf-8") if log else None  # noqa: SIM115
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), Handler)
        self._server.endpoint = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def play(self, scenario: Json) -> None:
        """Take another scenario from now on; the requests so far stay recorded."""
        self.script = Script(scenario)

    @property
    def turns(self) -> list[Json]:
        """The requests of agents at work: messages with tools, as opposed to titles and token counts."""
        return [request for request in self.requests if (request["body"] or {}).get("tools")]

    def record(self, handler: Handler, body: Json | None, answer: Json) -> None:
        """Remember and log a request; of its tools only the names."""
        if body and body.get("tools"):
            body = {**body, "tools": [str(tool.get("name", "")) for tool in body["tools"]]}
        entry = {"time": time.time(), "method": handler.command, "path": handler.path}
        entry |= {"login": "token" if handler.headers.get("authorization") else "key"}
        entry |= {"body": body, "answer": answer}
        with self._lock:
            self.requests.append(entry)
            if self._log:
                self._log.write(json.dumps(entry) + "\n")
                self._log.flush()

    def serve(self) -> None:
        self._server.serve_forever(poll_interval=0.05)

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        if self._log:
            self._log.close()

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve, name="messages-endpoint", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="A scripted Anthropic Messages API on loopback.")
    parser.add_argument("--script", required=True, help="the scenario, a JSON file")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--log", help="append every request to this file, one JSON object per line")
    options = parser.parse_args()
    with open(options.script, encoding="utf-8") as file:
        endpoint = MessagesEndpoint(json.load(file), log=options.log, port=options.port)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        threading.Thread(target=endpoint.close).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(endpoint.url, flush=True)
    endpoint.serve()


if __name__ == "__main__":
    main()
