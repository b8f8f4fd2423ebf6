"""The dashboard beside real runners: what they do shows, and what came of it agrees everywhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from hpm_tools.dashboard import wording
from tests.support.dashboards import Viewer, dashboard, figures_of
from tests.support.repos import make_repo
from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.board_process import BoardUnderTest

AGENTS = 4
DONE = {"status": "done", "summary": "did it", "cost_usd": 0.25}
BLOCKED = {"status": "blocked", "summary": "no staging key", "cost_usd": 0.5}


@pytest.mark.extended
def test_four_runners_and_their_mixed_night(tmp_path: Path, exact_board: BoardUnderTest) -> None:
    desk = Desk(tmp_path / "desk", exact_board, make_repo(tmp_path / "repo").root)
    flag = tmp_path / "flag"
    first = script({"say": "thinks hard"}, {"wait_for": str(flag)}, {"write": ["0.txt", "x\n"]}, outcome=DONE)
    scripts = [first] + [script({"write": [f"{n}.txt", "x\n"]}, outcome=DONE) for n in range(1, 8)]
    scripts += [script(outcome=BLOCKED) for _ in range(4)]
    for number, description in enumerate(scripts):
        desk.board.add_task(title=f"Task {number}", description=description, complexity="major")
    with dashboard(desk) as shown:
        shown.open()
        viewer = Viewer(shown)
        viewer.wait_for("queue", "12 for agents")
        runners = [
            desk.start("run", "--role", "backend_dev", "--agent-id", f"dev_{n}", "--max-tasks", len(scripts))
            for n in range(AGENTS)
        ]
        try:
            viewer.wait_for("agents", "thinks hard")
            assert "runner alive" in viewer.parts["agents"]
            viewer.wait_for("person", "no staging key")
            flag.touch()
            viewer.wait_for("outcomes", "12 of 12")
            viewer.wait_for("agents", f"{AGENTS} idle")
        finally:
            for runner in runners:
                runner.signal(15)
        for runner in runners:
            runner.wait()
        viewer.wait_for("agents", "No agent is at work")
        viewer.close()
        work = json.loads(desk.hpm("metrics", "--json").stdout)["work"]
        assert work["endings"] == {"parked": 4, "reported": 8}
        assert work["usd"] == 8 * 0.25 + 4 * 0.5
        report = json.loads(desk.hpm("report", "--since", "24h", "--json").stdout)
        assert (report["finished"], report["cost_usd"], len(report["ended"])) == (8, work["usd"], 12)
        assert sum(it["kind"] == "parked" for it in report["needs_a_person"]) == 4
        page = figures_of(shown.page())
        assert page["Finished"] == "8 of 12"
        assert page["Spent"] == wording.usd(work["usd"])
        assert f"hpm_cost_usd {work['usd']}" in shown.page("/metrics")
        (blocked,) = {it["run"] for it in report["ended"] if it["result"] == "parked"} & {
            it["run"] for it in report["ended"] if it["task"] == 12
        }
        assert "no staging key" in shown.page(f"/run/{blocked}")
