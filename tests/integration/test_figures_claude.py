"""A night of the real CLI with mixed outcomes: every place that shows a figure says what really happened."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hpm_tools.commands import figures_text
from hpm_tools.dashboard import wording
from hpm_tools.executor.cost import LAST_PER_INVOCATION
from hpm_tools.text import duration
from tests.support.dashboards import dashboard, figures_of, results_of
from tests.support.fixtures_desk import COMMIT, WRITE
from tests.support.schemas import checked, checked_lines

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fixtures_desk import ClaudeDesk

PATIENCE = 1800.0
"""Seconds for each of the two shifts: a busy machine takes several times as long as a quiet one."""
MAKERS = {"dev_001": 6, "dev_002": 6, "dev_003": 5}
"""Agent → how many tasks it takes: together all that is made and all that qa has opened again."""
AGENTS = {*MAKERS, "qa_001"}
USAGE = {
    "input_tokens": 1000,
    "output_tokens": 700,
    "cache_read_input_tokens": 3000,
    "cache_creation_input_tokens": 400,
}
DEAR = {"usage": {"input_tokens": 9000, "output_tokens": 4321}}
BLOCKED = {"outcome": {"status": "blocked", "summary": "a key is missing"}}
IDLE = {"outcome": {"status": "done", "summary": "looked at it"}}
REJECTED = {"outcome": {"status": "rejected", "summary": "no test", "findings": ["no test"]}, **DEAR}
ACCEPTED = {"outcome": {"status": "done", "summary": "it holds"}}
OVERLOADED = {"fail": {"status": 529, "times": 3}}
QA_RULES = [
    {"match": "REJECTED", "steps": [{"bash": "git status"}, REJECTED]},
    {"steps": [{"bash": "git status"}, ACCEPTED]},
]
MAKER_RULES = [
    {"match": "OVERLOADED", "prompt": 1, "steps": [WRITE, OVERLOADED]},
    {"match": "OVERLOADED", "steps": [COMMIT]},
    {"match": "BLOCKED", "steps": [{"bash": "git status"}, BLOCKED]},
    {"match": "IDLE", "steps": [IDLE]},
    {"steps": [{**WRITE, **DEAR}, COMMIT]},
]
MADE = ["plain"] * 7 + ["OVERLOADED"] * 3 + ["BLOCKED"] * 3 + ["IDLE"] * 2
DONE_BEFORE = ("ACCEPTED", "REJECTED", "ELSEWHERE", "REJECTED", "ACCEPTED")
ENDINGS = {"given_back": 1, "parked": 5, "reported": 16}
RESULTS = {"done": 14, "rejected": 2, "parked": 5, "given_back": 1}
"""The outcomes of the same takes: of those reported two are rejections by qa."""


@dataclass(frozen=True)
class Shown:
    """The same day as each place shows it; the dashboard's page and Prometheus' text come from one dashboard."""

    figures: dict[str, Any]
    figures_text: str
    figures_prometheus: str
    report: dict[str, Any]
    report_text: str
    report_html: str
    page: str
    scraped: str


def counted(desk: ClaudeDesk) -> dict[str, int]:
    """The tokens of every answer that the endpoint gave, by its own count."""
    given = [
        USAGE | request["answer"].get("usage", {})
        for request in desk.endpoint.requests
        if request["path"].partition("?")[0].endswith("/messages") and "fail" not in request["answer"]
    ]
    return {name.removesuffix("_tokens"): sum(usage[name] for usage in given) for name in USAGE}


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
    """20 tasks were worked by 4 agents: qa's five first, then the makers' and what qa had opened again."""
    desk = claude_desk
    here = desk.git("rev-parse", "main")
    for title in DONE_BEFORE:
        task = desk.board.add_task(title=title, complexity="major", difficulty="senior")
        desk.board.put(task["id"], "pm1", "under_work")
        commit = "d" * 40 if title == "ELSEWHERE" else here
        desk.board.put(task["id"], "pm1", "dev_done", f"branch: main\ncommit: {commit}")
    for number, title in enumerate(MADE):
        difficulty = ("junior", "senior", "principal")[number % 3]
        desk.board.add_task(title=title, complexity="major", difficulty=difficulty)
    desk.endpoint.play({"rules": QA_RULES, "usage": USAGE})
    with desk.begin("--max-tasks", len(DONE_BEFORE), agent="qa_001", role="qa") as runner:
        assert runner.wait(PATIENCE) == 0, runner.output()
    desk.endpoint.play({"rules": MAKER_RULES, "usage": USAGE})
    with ExitStack() as stack:
        runners = [
            stack.enter_context(desk.begin("--max-tasks", share, agent=agent))
            for agent, share in MAKERS.items()
        ]
        for runner in runners:
            assert runner.wait(PATIENCE) == 0, runner.output()
    return desk


def show(desk: ClaudeDesk, path: Path) -> Shown:
    """Ask every place for the same day."""
    reported = desk.hpm("report", "--since", "24h", "--html", path)
    assert reported.returncode == 0, reported.stderr
    report = desk.hpm("report", "--since", "24h", "--json")
    checked("report", report.stdout)
    with dashboard(desk) as running:
        return Shown(
            figures=metrics(desk),
            figures_text=desk.hpm("metrics").stdout,
            figures_prometheus=desk.hpm("metrics", "--by", "agent", "--prometheus").stdout,
            report=json.loads(report.stdout),
            report_text=reported.stdout,
            report_html=path.read_text(encoding="utf-8"),
            page=running.open(),
            scraped=running.page("/metrics"),
        )


def samples(text: str) -> dict[tuple[str, ...], float]:
    """What Prometheus reads in ``text``, but for the window, whose end is the moment it was asked for."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name != "hpm_window_seconds"
    }


@pytest.mark.extended
@pytest.mark.timeout(4200)
def test_all_places_say_what_the_endpoint_and_the_run_logs_say(worked: ClaudeDesk, tmp_path: Path) -> None:
    desk = worked
    for suffix in ("-wal", "-shm"):
        assert not (desk.state / f"events.sqlite{suffix}").exists()
    shown = show(desk, tmp_path / "report.html")
    figures_are_what_happened(desk, shown.figures)
    places_agree(shown)
    breakdowns_add_up(desk, shown.figures["work"])
    events_are_whole(desk)


def figures_are_what_happened(desk: ClaudeDesk, found: dict[str, Any]) -> None:
    work = found["work"]
    assert work["endings"] == ENDINGS
    assert work["ended"] == sum(ENDINGS.values())
    assert work["success_rate"] == pytest.approx(16 / 21)
    assert work["attempts"]["total"] == work["agent_runs"] == len(desk.agents)
    tokens = work["tokens"]
    assert {
        "input": tokens["input"],
        "output": tokens["output"],
        "cache_read_input": tokens["cache_read"],
        "cache_creation_input": tokens["cache_write"],
    } == counted(desk)
    assert work["usd"] == pytest.approx(dollars(desk))
    assert work["usd_per_finished"] == pytest.approx(dollars(desk) / 16)
    assert found["hooks"]["pre_task"]["ok"] == found["steps"]["pre_hook"]["count"]
    assert found["board"]["calls"] > 0
    assert (found["locks"]["count"], found["events_lost"]) == (0, 0)


def places_agree(shown: Shown) -> None:
    work = shown.figures["work"]
    scraped = samples(shown.scraped)
    assert scraped == pytest.approx(samples(shown.figures_prometheus))
    for family, counts in (("takes", "endings"), ("verdicts", "verdicts"), ("tokens", "tokens")):
        found = {name[1]: value for name, value in scraped.items() if name[0] == f"hpm_{family}"}
        assert found == work[counts]
    assert scraped["hpm_agent_runs",] == work["agent_runs"]
    assert scraped["hpm_cost_usd",] == pytest.approx(work["usd"])

    headline = figures_of(shown.page)
    assert headline == {
        "Finished": f"{work['finished']} of {work['ended']}",
        "Success": wording.percent(work["success_rate"]),
        "Spent": wording.usd(work["usd"]),
        "Per task finished": wording.usd(work["usd_per_finished"]),
        "Median time": duration(work["seconds"]["median"]),
        "At work": "0",
    }
    assert headline == figures_of(shown.report_html)
    told = ", ".join(f"{name.lower()} {value}" for name, value in headline.items())
    assert shown.report_text.splitlines()[0].endswith(f": {told}")
    assert f" {work['ended']} ended: 1 given back, 5 parked, 16 reported\n" in shown.figures_text
    assert f" {figures_text.dollars(work['usd'])} USD, " in shown.figures_text
    assert f" {work['tokens']['input']:,} in, {work['tokens']['output']:,} out, " in shown.figures_text

    report = shown.report
    assert report["finished"] == work["finished"]
    assert report["cost_usd"] == pytest.approx(work["usd"])
    assert sum(it["cost_usd"] or 0.0 for it in report["ended"]) == pytest.approx(work["usd"])
    assert Counter(it["result"] for it in report["ended"]) == RESULTS
    results = {wording.words(result): count for result, count in RESULTS.items()}
    rows = re.findall(rf"^({'|'.join(results)}) +\w+_\d+ ", shown.report_text, re.MULTILINE)
    assert Counter(rows) == results
    assert results_of(shown.page) == results
    assert results_of(shown.report_html) == results
    for chart in (f"Tasks ended: {work['ended']}", f"Cost: {wording.usd(work['usd'])}"):
        assert chart in shown.page
        assert chart in shown.report_html


def breakdowns_add_up(desk: ClaudeDesk, work: dict[str, Any]) -> None:
    models = metrics(desk, "--by", "model")["groups"]
    assert {"sonnet", "opus"} <= models.keys()
    agents = metrics(desk, "--by", "agent")["groups"]
    assert {agent: group["ended"] for agent, group in agents.items()} == {**MAKERS, "qa_001": 5}
    for groups in (models, agents):
        for name in ("ended", "finished", "agent_runs", "usd"):
            assert sum(group[name] for group in groups.values()) == pytest.approx(work[name])
    explained = desk.hpm("claude.model", "--difficulty", "senior", "--explain", "--json")
    checked("claude.model", explained.stdout)
    evidence = json.loads(explained.stdout)["evidence"]
    assert sum(row["finished"] for row in evidence) == work["finished"]
    assert sum(row["parked"] for row in evidence) == work["endings"]["parked"]
    assert all(row["median_usd"] > 0 for row in evidence if row["finished"])


def events_are_whole(desk: ClaudeDesk) -> None:
    events = checked_lines("events", desk.hpm("events", "--json").stdout)
    assert {event["agent"] for event in events} == AGENTS
    assert [event["id"] for event in events] == sorted({event["id"] for event in events})
    verdicts = Counter(event["verdict"] for event in events if event["event"] == "agent_ended")
    assert verdicts["overloaded"] == MADE.count("OVERLOADED")
    assert verdicts["rejected"] == DONE_BEFORE.count("REJECTED")
