"""Several agents with the real CLI and mixed outcomes: every figure is what the endpoint and the run logs say."""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hpm_tools.executor.cost import LAST_PER_INVOCATION
from tests.support.fixtures_desk import COMMIT, WRITE
from tests.support.schemas import checked, checked_lines

if TYPE_CHECKING:
    from tests.support.fixtures_desk import ClaudeDesk

AGENTS = ("dev_001", "dev_002", "dev_003")
USAGE = {
    "input_tokens": 1000,
    "output_tokens": 700,
    "cache_read_input_tokens": 3000,
    "cache_creation_input_tokens": 400,
}
BLOCKED = {"outcome": {"status": "blocked", "summary": "a key is missing"}}
RULES = [
    {"match": "OVERLOADED", "prompt": 1, "steps": [WRITE, {"fail": {"status": 529, "times": 2}}]},
    {"match": "OVERLOADED", "steps": [COMMIT]},
    {"match": "BLOCKED", "steps": [{"bash": "git status"}, BLOCKED]},
    {"steps": [WRITE, COMMIT]},
]
TITLES = ("OVERLOADED", "BLOCKED", "plain", "BLOCKED", "plain", "OVERLOADED")


def counted(desk: ClaudeDesk) -> dict[str, int]:
    """The tokens of every answer that the endpoint gave, by its own count."""
    given = [
        request
        for request in desk.endpoint.requests
        if request["path"].partition("?")[0].endswith("/messages") and "fail" not in request["answer"]
    ]
    return {name.removesuffix("_tokens"): count * len(given) for name, count in USAGE.items()}


def dollars(desk: ClaudeDesk) -> float:
    """The sum of what the CLI said that its sessions cost, recomputed from the run logs."""
    totals: dict[str, list[float]] = defaultdict(list)
    version = ""
    for path in (desk.state / "runs").iterdir():
        for line in path.read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            version = event.get("claude_code_version", version)
            if event.get("type") == "result":
                totals[event["session_id"]].append(event["total_cost_usd"])
    cumulative = tuple(map(int, version.split("."))) > LAST_PER_INVOCATION
    return sum(session[-1] if cumulative else sum(session) for session in totals.values())


def metrics(desk: ClaudeDesk, *more: str) -> dict[str, Any]:
    done = desk.hpm("metrics", "--json", *more)
    assert done.returncode == 0, done.stderr
    checked("metrics", done.stdout)
    return dict(json.loads(done.stdout))


@pytest.fixture
def worked(claude_desk: ClaudeDesk) -> ClaudeDesk:
    desk = claude_desk
    desk.endpoint.play({"rules": RULES, "usage": USAGE})
    for number, title in enumerate(TITLES):
        difficulty = ("junior", "senior", "principal")[number % 3]
        desk.board.add_task(title=title, complexity="major", difficulty=difficulty)
    with ExitStack() as stack:
        runners = [stack.enter_context(desk.begin("--max-tasks", 2, agent=agent)) for agent in AGENTS]
        assert [runner.wait() for runner in runners] == [0] * len(AGENTS), runners[0].output()
    return desk


def test_figures_are_what_the_endpoint_and_the_run_logs_say(worked: ClaudeDesk) -> None:
    desk = worked
    for suffix in ("-wal", "-shm"):
        assert not (desk.state / f"events.sqlite{suffix}").exists()
    found = metrics(desk, "--by", "model")
    work = found["work"]
    assert work["endings"] == {"parked": 2, "reported": 4}
    assert work["verdicts"] == {"blocked": 2, "done": 4}
    assert work["success_rate"] == pytest.approx(4 / 6)
    assert work["attempts"]["total"] == work["agent_runs"] == len(desk.agents) == 8
    tokens = work["tokens"]
    assert {
        "input": tokens["input"],
        "output": tokens["output"],
        "cache_read_input": tokens["cache_read"],
        "cache_creation_input": tokens["cache_write"],
    } == counted(desk)
    assert work["usd"] == pytest.approx(dollars(desk))
    assert work["usd_per_finished"] == pytest.approx(dollars(desk) / 4)
    assert sum(group["usd"] for group in found["groups"].values()) == pytest.approx(work["usd"])
    assert found["groups"].keys() == {"sonnet", "opus"}
    assert found["hooks"]["pre_task"]["ok"] == found["steps"]["pre_hook"]["count"] == 6
    assert found["steps"]["working"]["count"] == 6
    assert found["board"]["calls"] > 0
    assert (found["locks"]["count"], found["events_lost"]) == (0, 0)

    text = desk.hpm("metrics", "--prometheus").stdout
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["hpm_takes", "reported"] == 4
    assert samples["hpm_tokens", "output"] == tokens["output"]
    assert samples["hpm_cost_usd",] == pytest.approx(work["usd"])

    events = checked_lines("events", desk.hpm("events", "--json").stdout)
    assert {event["agent"] for event in events} == set(AGENTS)
    assert [event["id"] for event in events] == sorted({event["id"] for event in events})
    overloaded = [
        event for event in events if event["event"] == "agent_ended" and event["verdict"] == "overloaded"
    ]
    assert len(overloaded) == 2

    explained = desk.hpm("claude.model", "--difficulty", "senior", "--explain", "--json")
    checked("claude.model", explained.stdout)
    evidence = {(row["difficulty"], row["model"]): row for row in json.loads(explained.stdout)["evidence"]}
    assert evidence["senior", "sonnet"]["parked"] + evidence["senior", "sonnet"]["finished"] == 2
    assert evidence["junior", "sonnet"]["finished"] == 1
    assert evidence["junior", "sonnet"]["median_usd"] > 0
