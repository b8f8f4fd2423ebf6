from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpm_tools.state.paths import StateDir
from hpm_tools.state.spending import Spending, day_of, next_day

if TYPE_CHECKING:
    from collections.abc import Iterator

TODAY = "2026-11-25"


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Sets TZ for this process; put back afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch
    time.tzset()


@pytest.fixture
def spending() -> Spending:
    return Spending(StateDir())


def at(text: str) -> float:
    return time.mktime(time.strptime(text, "%Y-%m-%d %H:%M:%S"))


NOON = at(f"{TODAY} 12:00:00")


def test_the_same_total_again_adds_nothing_and_a_higher_one_its_difference(spending: Spending) -> None:
    for total in (1.0, 1.0, 1.5, 1.5):
        spending.book("dev_001", "s1", total, now=NOON)
    spending.book("dev_001", "s2", 0.25, now=NOON)
    spending.book("dev_002", "s3", 2.0, now=NOON)
    assert spending.of_agent("dev_001", TODAY) == pytest.approx(1.75)
    assert spending.by_agent(TODAY) == pytest.approx({"dev_001": 1.75, "dev_002": 2.0})
    assert Spending(StateDir()).of_host(TODAY) == pytest.approx(3.75)


def test_an_estimate_is_corrected_downwards(spending: Spending) -> None:
    spending.book("dev_001", "s1", 1.2, now=NOON)
    spending.book("dev_001", "s1", 1.1, now=NOON)
    assert spending.of_agent("dev_001", TODAY) == pytest.approx(1.1)


def test_what_a_session_costs_after_midnight_is_the_next_days(spending: Spending) -> None:
    spending.book("dev_001", "s1", 1.0, now=at("2026-11-25 23:59:59"))
    spending.book("dev_001", "s1", 1.5, now=at("2026-11-26 00:00:00"))
    assert spending.of_agent("dev_001", "2026-11-25") == pytest.approx(1.0)
    assert spending.of_agent("dev_001", "2026-11-26") == pytest.approx(0.5)
    assert spending.of_agent("dev_001", "2026-11-27") == 0


def test_nothing_is_written_for_agents_that_cost_nothing(spending: Spending) -> None:
    spending.book("dev_001", "s1", 0.0)
    assert spending.by_agent(day_of(time.time())) == {}
    assert not Path(StateDir().spending).exists()


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 100)), max_size=12))
def test_a_day_is_the_sum_of_its_sessions_last_totals(booked: list[tuple[str, float]]) -> None:
    spending, agent = Spending(StateDir()), f"dev_{time.monotonic_ns()}"
    for session, total in booked:
        spending.book(agent, session, total, now=NOON)
    wanted = sum(dict(booked).values())
    assert spending.of_agent(agent, TODAY) == pytest.approx(wanted, abs=1e-6)


def test_processes_that_book_at_the_same_time_lose_nothing(spending: Spending) -> None:
    program = """
import sys
from hpm_tools.state.paths import StateDir
from hpm_tools.state.spending import Spending
spending = Spending(StateDir())
for step in range(1, 26):
    spending.book("dev_001", sys.argv[1], step * 0.01)
"""
    running = [subprocess.Popen([sys.executable, "-c", program, f"s{number}"]) for number in range(3)]
    assert [process.wait(timeout=600) for process in running] == [0, 0, 0]
    spent = sum(spending.of_agent("dev_001", day_of(time.time() - back)) for back in (0, 86_400))
    assert spent == pytest.approx(0.75)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"days": 3}', b'{"days": {}, "sessions": []}', b"x" * 2_000_000]
)
def test_a_damaged_account_is_set_aside_and_begun_anew(spending: Spending, content: bytes) -> None:
    spending.book("dev_001", "s1", 1.0, now=NOON)
    (path,) = Path(StateDir().spending).iterdir()
    path.write_bytes(content)
    assert spending.of_agent("dev_001", TODAY) == 0
    spending.book("dev_001", "s1", 1.5, now=NOON)
    assert spending.of_agent("dev_001", TODAY) == pytest.approx(1.5), "the whole session counts again"
    assert len(spending.damaged()) == bool(content)


def test_old_days_and_sessions_go(spending: Spending) -> None:
    for number in range(60):
        spending.book("dev_001", f"s{number}", 1.0, now=NOON + number * 86_400)
    assert spending.of_agent("dev_001", TODAY) == 0
    assert spending.of_agent("dev_001", day_of(NOON + 59 * 86_400)) == 1.0


@pytest.mark.parametrize(
    ("name", "moment", "wanted"),
    [
        ("UTC", "2026-11-25 00:00:00", "2026-11-26 00:00:00"),
        ("UTC", "2026-12-31 23:59:59", "2027-01-01 00:00:00"),
        ("Europe/Berlin", "2026-03-28 23:00:00", "2026-03-29 00:00:00"),
        ("Europe/Berlin", "2026-03-29 12:00:00", "2026-03-30 00:00:00"),
        ("Europe/Berlin", "2026-10-25 02:30:00", "2026-10-26 00:00:00"),
        ("America/Sao_Paulo", "2018-11-03 12:00:00", "2018-11-04 01:00:00"),
    ],
)
def test_the_next_day_begins_at_the_local_midnight(
    zone: pytest.MonkeyPatch, name: str, moment: str, wanted: str
) -> None:
    if not Path("/usr/share/zoneinfo", name).exists():
        pytest.skip(f"this system does not know {name}")
    zone.setenv("TZ", name)
    time.tzset()
    begins = next_day(at(moment))
    assert time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(begins)) == wanted
    assert day_of(begins) == wanted[:10]
    assert day_of(begins - 1) == moment[:10]
