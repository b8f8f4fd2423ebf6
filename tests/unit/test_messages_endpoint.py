"""The scripted Messages endpoint: a test that stands on it stands on this."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from hpm_tools.executor.prompt import build_prompt
from tests.support import messages_endpoint
from tests.support.messages_endpoint import Conversation, MessagesEndpoint, Script, asks_to_poll


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": text}]}


def asked(*messages: dict[str, Any], tools: tuple[str, ...] = ("Bash", "StructuredOutput")) -> dict[str, Any]:
    system = {"role": "system", "content": "# Environment\n - Primary working directory: /repo\n"}
    return {"model": "m", "tools": [{"name": name} for name in tools], "messages": [*messages, system]}


def answered(script: Script, talk: list[dict[str, Any]]) -> dict[str, Any]:
    """Play one turn: the script's step, then the tool's result, as the CLI would send them."""
    step, prefix = script.next(Conversation(asked(*talk)))
    blocks = messages_endpoint.blocks_of(step, Conversation(asked(*talk)), prefix)
    talk.append({"role": "assistant", "content": blocks})
    talk.append({"role": "user", "content": [{"type": "tool_result", "content": "ok"}]})
    return step


def test_steps_follow_each_other_and_a_new_prompt_begins_again() -> None:
    rules = [
        {"match": "task (\\d+)", "prompt": 2, "steps": [{"bash": "resumed ${1}"}]},
        {
            "match": "task (\\d+)",
            "steps": [{"bash": "one"}, {"write": {"path": "${cwd}/${1}.txt", "content": "x"}}],
        },
    ]
    script = Script({"rules": rules})
    talk = [user("<system-reminder>task 9</system-reminder>"), user("task 7")]
    assert answered(script, talk) == {"bash": "one"}
    assert answered(script, talk) == {"write": {"path": "/repo/7.txt", "content": "x"}}
    assert answered(script, talk)["outcome"]["status"] == "done"
    assert script.next(Conversation(asked(*talk)))[0] == {"text": "Done."}
    talk.append(user("Go on."))
    assert answered(Script({"rules": rules}), talk) == {"bash": "resumed 7"}


def test_a_prompt_no_rule_is_for() -> None:
    step, _ = Script({"rules": [{"match": "x"}]}).next(Conversation(asked(user("y"))))
    assert step["fail"]["status"] == 400


def test_failures_that_pass() -> None:
    script = Script({"rules": [{"steps": [{"fail": {"status": 529, "times": 2}, "bash": "ls"}]}]})
    steps = [script.next(Conversation(asked(user("x"))))[0] for _ in range(3)]
    assert ["fail" in step for step in steps] == [True, True, False]
    limit = Script({"rules": [{"steps": [{"fail": {"limit": {"resets_in": 3600}}}]}]})
    fail = limit.next(Conversation(asked(user("x"))))[0]["fail"]
    assert (fail["status"], fail["headers"]["anthropic-ratelimit-unified-status"]) == (429, "rejected")


ORDERS = [
    "Use ./headless_pm_client.py tasks next to get work.",
    "## Workflow\n- Poll the board every minute\n- Work",
    "GET /api/v1/tasks/next?role=qa and lock what you get.",
    "Register with the PM first.",
]
PROHIBITIONS = [
    "Never poll the board.",
    "Do not use headless_pm_client.py.",
    "The runner polls; you must not poll.",
]


@pytest.mark.parametrize("text", ORDERS)
def test_orders_to_poll_are_seen(text: str) -> None:
    assert asks_to_poll("You are a developer.\n\n" + text)


@pytest.mark.parametrize("text", [*PROHIBITIONS, build_prompt({"id": 1, "title": "t"}, role="backend_dev")])
def test_prohibitions_are_no_orders(text: str) -> None:
    assert not asks_to_poll(text)


def test_polling_comes_before_the_work() -> None:
    scenario = {"obey": {"command": "curl board", "times": 2}, "rules": [{"steps": [{"bash": "work"}]}]}
    talk = [user(ORDERS[0])]
    script = Script(scenario)
    assert [answered(script, talk)["bash"] for _ in range(3)] == ["curl board", "curl board", "work"]


def post(url: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def test_everything_else_is_answered_too() -> None:
    with MessagesEndpoint(
        {"rules": [{"steps": [{"fail": {"status": 529, "times": 1}, "text": "hi"}]}]}
    ) as endpoint:
        assert post(endpoint.url + "/v1/messages/count_tokens", asked(user("x")))["input_tokens"] > 0
        assert post(endpoint.url + "/v1/messages", asked(tools=()))["content"][0]["text"] == "ok"
        with urllib.request.urlopen(urllib.request.Request(endpoint.url, method="HEAD")) as answer:
            assert answer.status == 200
        with pytest.raises(urllib.error.HTTPError) as refused:
            post(endpoint.url + "/v1/messages", asked(user("x")))
        assert refused.value.code == 529
        refused.value.close()
        assert post(endpoint.url + "/v1/messages", asked(user("x")))["content"][0]["text"] == "hi"
        assert len(endpoint.turns) == 3


def test_from_the_shell(tmp_path: Path) -> None:
    script, log = tmp_path / "scenario.json", tmp_path / "log.jsonl"
    script.write_text(json.dumps({"rules": [{"steps": [{"text": "hi"}]}]}))
    command = [
        sys.executable,
        str(Path(messages_endpoint.__file__)),
        "--script",
        str(script),
        "--log",
        str(log),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            assert post(url + "/v1/messages", asked(user("x")))["content"][0]["text"] == "hi"
        finally:
            server.terminate()
    assert server.returncode == 0
    assert [json.loads(line)["body"]["model"] for line in log.read_text().splitlines()] == ["m"]
