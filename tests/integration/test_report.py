"""`hpm report`: the morning's text and its one file."""

from __future__ import annotations

import html
import json
import re
import time
from typing import TYPE_CHECKING

from tests.support.night import Night
from tests.support.processes import bystander

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.runners import Desk

HOUR = 3600.0
EVIL = '<script src="http://evil.example/x.js"></script>\u202e\x1b[31m'


def test_it_says_what_was_done_and_what_needs_a_person(desk: Desk) -> None:
    night = Night(desk.state)
    night.tasks = desk.board.add_task("pending", title="Stays pending")["id"] - 1
    parked = list(night.task("dev_002", "backend_dev", time.time() - 3 * HOUR, 600.0, "parked"))
    done = list(night.task("dev_003", "backend_dev", time.time() - 700, 650.0, "done"))
    night.write([*parked, *done])
    with bystander() as owner:
        night.works("dev_001", owner.pid, title="Say hello")
    told = desk.hpm("report", "--since", "4h")
    assert told.returncode == 0, told.stderr
    assert "finished 1 of 2" in told.stdout
    assert f"parked: #{parked[-1].task}" in told.stdout
    assert "dev_001 died: holding" in told.stdout
    assert re.search(rf"^done +dev_003 .*{done[-1].task} ", told.stdout, re.MULTILINE)
    assert all(len(line) <= 80 for line in told.stdout.splitlines() if line.startswith(("done", "parked ")))
    earlier = desk.hpm("report", "--since", "1h", "--json")
    assert json.loads(earlier.stdout)["ended"] == json.loads(desk.hpm("report", "--json").stdout)["ended"][1:]


def test_what_was_taken_up_again_needs_nobody(desk: Desk) -> None:
    """A parked task that is no longer pending on the board, or ended better since, is settled."""
    night = Night(desk.state)
    night.tasks = desk.board.add_task("created")["id"] - 1
    night.write(list(night.task("dev_002", "backend_dev", time.time() - 700, 600.0, "parked")))
    report = json.loads(desk.hpm("report", "--json").stdout)
    assert [it["what"] for it in report["needs_a_person"] if it["kind"] == "parked"] == []


def test_the_file_is_one_and_runs_nothing(desk: Desk, tmp_path: Path) -> None:
    night = Night(desk.state)
    night.fill(agents=2, hours=3)
    night.write([night.event("lost", time.time() - 5, "dev_009", task=7, run="r", title=EVIL, text=EVIL)])
    path = tmp_path / "report.html"
    told = desk.hpm("report", "--since", "4h", "--html", path)
    assert told.returncode == 0, told.stderr
    page = path.read_text(encoding="utf-8")
    assert "default-src 'none'" in html.unescape(page)
    assert page.count('<svg class="chart"') == 6
    assert not re.search(r"<script|<link|<img|<form|<[^>]*\bsrc=|@import|url\(", page)
    assert "\u202e" not in page
    assert "\x1b" not in page + told.stdout
    assert oct(path.stat().st_mode & 0o777) == "0o600"


def test_a_file_that_cannot_be_written(desk: Desk, tmp_path: Path) -> None:
    refused = desk.hpm("report", "--html", tmp_path / "no" / "where.html")
    assert refused.returncode == 73
    assert "where.html" in refused.stderr
    assert desk.hpm("report", "--since", "the day before").returncode == 2


def test_a_night_without_anything(desk: Desk) -> None:
    told = desk.hpm("report")
    assert told.returncode == 0
    assert "finished 0" in told.stdout
