"""The bench in short: that every figure is taken and kept. How fast anything is says `./inv bench`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench.measure import Program, in_pairs
from tests.bench.report import Line, earlier, show, summary, write

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.extended
@pytest.mark.parametrize("section", ["cold-start", "overhead", "memory"])
def test_every_figure_is_taken_and_kept(tmp_path: Path, section: str) -> None:
    results = tmp_path / "results"
    words = ["--quick", "--only", section, "--results", str(results)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (written,) = results.iterdir()
    facts = json.loads(written.read_text(encoding="utf-8"))
    rows: list[dict[str, Any]] = facts["lines"]
    assert rows
    for row in rows:
        assert row["name"] in done.stdout
        assert row["value"] > 0, row
        assert row["ratio"] is None or row["ratio"] > 0, row
        assert row["goal"] is None or row["met"] == (row["judged"] <= row["goal"]), row


def test_a_figure_stands_beside_that_of_the_newest_run_that_has_it(tmp_path: Path) -> None:
    facts = {"quick": False, "machine": {"load": [0.1], "cpus": 2}, "seconds": 1.0}
    for name, ratios in (("1.json", {"locks": 2.0, "lock": 3.0}), ("2.json", {"locks": 1.0})):
        lines = [Line("s", key, 0.1, against="python", ratio=ratio) for key, ratio in ratios.items()]
        write(lines, tmp_path, facts).rename(tmp_path / name)
    (tmp_path / "3.json").write_text("{half", encoding="ascii")
    before = earlier(tmp_path, quick=False)
    assert before == {"s: locks": 1.0, "s: lock": 3.0}
    now = [Line("s", "locks", 0.2, against="python", ratio=1.5, goal=1.2)]
    assert "1.00 (+50%)" in show(now, before)
    assert "MISSED" in show(now, before)
    assert "0 of 1 goals met" in summary(now, facts)


def test_a_program_that_fails_is_no_figure(tmp_path: Path) -> None:
    failing = Program("f", [sys.executable, "-c", "raise SystemExit('why')"], tmp_path, {})
    good = Program("g", [sys.executable, "-c", "pass"], tmp_path, {})
    with pytest.raises(RuntimeError, match="why"):
        in_pairs(failing, good, 1)
    assert in_pairs(good, good, 1).ratio > 0
