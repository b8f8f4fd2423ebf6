"""The dashboard over HTTP: who gets in, what is shown, how soon a change shows."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING

import pytest

from hpm_tools.dashboard import wording
from hpm_tools.state.guard import agent_guard
from hpm_tools.state.prompts import all_waiting, ask
from tests.support.dashboards import Viewer, dashboard, figures_of
from tests.support.night import Night
from tests.support.processes import bystander
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.dashboards import DashboardUnderTest
    from tests.support.runners import Desk

PASSWORD = "correct horse battery"
EVIL = '<img src=x onerror="alert(1)"><script>alert(2)</script> \u202egnp'


@pytest.fixture
def night(desk: Desk) -> Night:
    return Night(desk.state)


@pytest.fixture
def shown(desk: Desk, night: Night) -> Iterator[DashboardUnderTest]:
    with dashboard(desk) as running:
        yield running


def test_nobody_gets_in_without_the_token(shown: DashboardUnderTest) -> None:
    for path in ("/", "/live", "/metrics", "/run/x", "/static/dashboard.js", "/nothing", "/?token=x"):
        reply = shown.call("GET", path)
        assert reply.status == 401, path
        assert b"agent" not in reply.body, path
    assert shown.call("POST", "/answer", {"form": "x"}).status == 401
    assert shown.call("POST", "/login", {"password": ""}).status == 401
    assert 'id="agents"' in shown.open()


def test_a_name_that_was_made_to_point_here_is_refused(shown: DashboardUnderTest) -> None:
    shown.open()
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", ""):
        assert shown.call("GET", "/", headers={"Host": host or " "}).status in (400, 421), host
    assert shown.call("GET", f"/?token={shown.token}", headers={"Host": "evil.example"}).status == 421


def test_every_answer_carries_the_policy(shown: DashboardUnderTest) -> None:
    shown.open()
    for path in ("/", "/metrics", "/nothing", "/static/dashboard.css", "/static/dashboard.js"):
        headers = shown.call("GET", path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"


def test_the_token_leads_to_no_other_place(shown: DashboardUnderTest) -> None:
    there = shown.call("GET", f"//evil.example/?token={shown.token}")
    assert there.headers["location"] == "/evil.example/"
    shown.cookie = there.headers["set-cookie"].partition(";")[0]
    kept = shown.call("GET", f"/?period=7d&token={shown.token}")
    assert kept.headers["location"] == "/?period=7d"


def test_beyond_loopback_a_password_is_needed(desk: Desk) -> None:
    refused = desk.hpm("dashboard", "--port", 0, "--host", "0.0.0.0")
    assert refused.returncode == 78
    assert "dashboard.password" in refused.stderr
    desk.change(dashboard={"password": "tiny"})
    short = desk.hpm("dashboard", "--port", 0)
    assert short.returncode == 78
    assert "at least 12 characters" in short.stderr
    assert "tiny" not in short.stderr
    desk.change(dashboard={"password": PASSWORD})
    with dashboard(desk, "--host", "0.0.0.0") as running:
        assert b'type="password"' in running.call("GET", "/").body
        assert running.call("POST", "/login", {"password": "wrong"}).status == 401
        entered = running.call("POST", "/login", {"password": PASSWORD})
        assert entered.status == 303
        assert running.call("GET", "/", headers={"Cookie": entered.headers["set-cookie"]}).status == 200
        assert running.call("GET", "/metrics", headers={"Authorization": f"Bearer {PASSWORD}"}).status == 200
        assert PASSWORD not in running.running.output()
        for _ in range(20):
            last = running.call("POST", "/login", {"password": "guess"})
        assert last.status == 429
        assert running.call("POST", "/login", {"password": PASSWORD}).status == 429


def test_an_event_shows_within_a_second(desk: Desk, night: Night, shown: DashboardUnderTest) -> None:
    """How long it takes on an idle machine is for the bench; here, that it takes no second look by hand."""
    shown.open()
    with bystander() as owner:
        viewer = Viewer(shown)
        viewer.wait_for("agents", "No agent is at work")
        run = night.works("dev_001", owner.pid, title="Say hello")
        viewer.wait_for("agents", "Say hello")
        for turn in range(1, 4):
            night.progress("dev_001", run, turns=turn, cost_usd=0.5, doing=f"Edit file{turn}.py", task=101)
            viewer.wait_for("agents", f"Edit file{turn}.py")
        night.tasks = desk.board.add_task("pending")["id"] - 1
        night.write(list(night.task("dev_002", "backend_dev", time.time() - 60, 59.0, "parked")))
        viewer.wait_for("outcomes", "parked")
        viewer.wait_for("person", "parked")
        assert "dev_002" in viewer.parts["outcomes"]
        viewer.close()


def test_a_holder_that_dies_is_shown(night: Night, shown: DashboardUnderTest) -> None:
    shown.open()
    viewer = Viewer(shown)
    with bystander() as owner:
        night.works("dev_001", owner.pid)
        viewer.wait_for("agents", "process alive")
    viewer.wait_for("agents", "process dead")
    assert "hpm unlock --agent-id dev_001" in viewer.wait_for("person", "dev_001 died")
    viewer.close()


def test_the_queue_comes_from_the_board(desk: Desk, shown: DashboardUnderTest) -> None:
    shown.open()
    viewer = Viewer(shown)
    viewer.wait_for("queue", "Nothing waits")
    desk.board.add_task(title="Say goodbye")
    viewer.wait_for("queue", "Say goodbye")
    viewer.close()


def test_task_text_is_text(desk: Desk, night: Night, shown: DashboardUnderTest) -> None:
    night.write(list(night.task("dev_002", "backend_dev", time.time() - 60, 59.0, "parked")))
    ended = night.event(
        "lost", time.time() - 8, "dev_003", task=7, run="r", title=EVIL, branch=EVIL, text=EVIL
    )
    night.write([ended])
    desk.board.add_task(title=EVIL)
    with bystander() as owner:
        night.works("dev_001", owner.pid, title=EVIL)
        page = shown.open()
        viewer = Viewer(shown)
        viewer.wait_for("queue", "&lt;img")
        for text in (page, *viewer.parts.values(), shown.page("/run/r")):
            assert "<img" not in text
            assert "<script>" not in text
            assert "\u202e" not in text
        viewer.close()


def test_a_question_is_answered_once_and_by_the_page_only(
    desk: Desk, night: Night, shown: DashboardUnderTest
) -> None:
    guard = agent_guard(night.state, "dev_001")
    assert guard.acquire()
    prompt = ask(
        night.state,
        "dev_001",
        run_id="r",
        task_id=7,
        task_title="Say hello",
        question="the pre_task hook failed: what now?",
        choices=("retry", "release"),
        default_choice="release",
    )
    page = shown.open()
    assert "the pre_task hook failed" in page
    wait_until(lambda: 'id="health-1"' in shown.page(), what="a look at this machine's health")
    form = page.partition('name="form" value="')[2].partition('"')[0]
    answer = {"form": form, "agent": "dev_001", "prompt": prompt.id, "choice": "retry"}
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},
    ):
        assert shown.call("POST", "/answer", answer, headers).status in (403, 421), headers
    assert shown.call("POST", "/answer", {**answer, "form": "x"}).status == 403
    assert shown.call("GET", "/answer").status == 405
    assert shown.call("POST", "/answer", {**answer, "choice": "rm"}).headers["location"].endswith("refused")
    assert shown.call("POST", "/answer", {**answer, "agent": "../x"}).headers["location"].endswith("refused")
    assert [it.id for it in all_waiting(night.state)] == [prompt.id]
    done = shown.call("POST", "/answer", answer)
    assert (done.status, done.headers["location"]) == (303, "/?said=answered")
    assert all_waiting(night.state) == []
    assert "the pre_task hook failed" not in shown.page()
    guard.release()
    gone = shown.call("POST", "/answer", answer)
    assert gone.headers["location"] == "/?said=gone"


def test_a_run_is_shown_with_its_log_and_branch(desk: Desk, night: Night, shown: DashboardUnderTest) -> None:
    events = list(night.task("dev_002", "backend_dev", time.time() - 60, 59.0, "done"))
    night.write(events)
    run = str(events[0].run)
    runs = desk.state / "runs"
    runs.mkdir(mode=0o700)
    (runs / f"{run}.jsonl").write_text("did <b>this</b>\x1b[31m\n", encoding="utf-8")
    desk.git("branch", events[-1].data["branch"])
    page = shown.open()
    assert f'href="/run/{run}"' in page
    detail = shown.page(f"/run/{run}")
    assert "did &lt;b&gt;this&lt;/b&gt;" in detail
    assert "\x1b" not in detail
    assert events[-1].data["branch"] in detail
    assert shown.call("GET", "/run/nosuch").status == 404
    assert shown.call("GET", "/run/..%2f..%2fetc%2fpasswd").status == 404


def test_all_figures_agree(desk: Desk, night: Night, shown: DashboardUnderTest) -> None:
    """The command's, the report's, the page's and Prometheus' are the same."""
    night.fill(agents=3, hours=6)
    work = json.loads(desk.hpm("metrics", "--since", "24h", "--json").stdout)["work"]
    report = json.loads(desk.hpm("report", "--since", "24h", "--json").stdout)
    assert report["finished"] == work["finished"] > 20
    assert report["cost_usd"] == pytest.approx(work["usd"])
    assert len(report["ended"]) == work["ended"]
    assert sum(it["cost_usd"] for it in report["ended"]) == pytest.approx(work["usd"])
    shown.open()
    scraped = shown.page("/metrics")
    assert f"hpm_cost_usd {work['usd']}" in scraped
    page = figures_of(shown.page())
    assert page["Finished"] == f"{work['finished']} of {work['ended']}"
    assert page["Spent"] == wording.usd(work["usd"])
    assert page["Success"] == wording.percent(work["success_rate"])
    assert page["Per task finished"] == wording.usd(work["usd_per_finished"])


def test_it_costs_nothing_while_nobody_watches(night: Night, shown: DashboardUnderTest) -> None:
    shown.open()
    viewer = Viewer(shown)
    viewer.wait_for("agents", "No agent")
    viewer.close()
    pid = shown.running.pid

    def asleep() -> bool:
        """No processor time was used between two looks that are half a second apart."""
        before = _spent(pid)
        time.sleep(0.5)
        return _spent(pid) == before

    wait_until(asleep, what="the dashboard to rest")


def _spent(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return float(fields[11]) + float(fields[12])


def test_it_ends_when_told_though_somebody_watches(shown: DashboardUnderTest) -> None:
    shown.open()
    viewer = Viewer(shown)
    viewer.wait_for("agents", "No agent")
    shown.running.signal(signal.SIGTERM)
    assert shown.running.wait() == 0
    assert viewer.ended.wait(300)
    viewer.close()
    assert "Traceback" not in shown.running.output()


def test_a_file_of_events_that_is_none_is_told(desk: Desk, shown: DashboardUnderTest) -> None:
    (desk.state / "events.sqlite").write_bytes(b"no database" * 1000)
    assert "cannot be read" in shown.open()


def test_the_same_page_without_a_board(desk: Desk, night: Night) -> None:
    with dashboard(desk, HEADLESS_PM_API_URL="http://127.0.0.1:9") as running:
        running.open()
        viewer = Viewer(running)
        viewer.wait_for("queue", "no connection")
        viewer.close()


def test_a_port_that_is_taken(desk: Desk) -> None:
    refused = desk.hpm("dashboard", "--port", desk.board.url.rpartition(":")[2])
    assert refused.returncode == 73
    assert "choose another --port" in refused.stderr
    assert desk.hpm("dashboard", "--port", 70_000).returncode == 2
