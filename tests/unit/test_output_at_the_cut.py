"""Secrets and control sequences that lie where a long output is cut: no half of one is shown."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from hpm_tools.hook.runner import OUTPUT_LIMIT, HookRunner

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "correct-horse-battery-staple-0123456789"
HALF = OUTPUT_LIMIT // 2
SHOWN = {
    "plain": SECRET,
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "in colours": f"{SECRET[:20]}\x1b[31m{SECRET[20:]}",
}


@pytest.mark.parametrize("form", SHOWN)
@pytest.mark.parametrize("end", ["head", "tail"])
def test_no_part_of_a_secret_at_the_cut_of_a_hooks_output_is_shown(
    tmp_path: Path, form: str, end: str
) -> None:
    said = SHOWN[form]
    before = HALF - len(said) + 3 if end == "head" else 4 * HALF
    after = 4 * HALF if end == "head" else HALF - len(said) + 3
    (tmp_path / "said").write_text("-" * before + said + "-" * after, encoding="utf-8")
    hook = tmp_path / "h.sh"
    hook.write_text(f"cat {tmp_path}/said\ncat {tmp_path}/said >&2\n", encoding="utf-8")
    outcome = HookRunner([tmp_path], secrets=[SECRET]).run("h")
    for text in (outcome.messages, outcome.errors):
        assert "left out" in text
        assert set(text.partition("\n")[0] + text.rpartition("\n")[2]) == {"-"}


def test_a_control_sequence_that_is_cut_leaves_nothing_behind(tmp_path: Path) -> None:
    half = "-" * (HALF - 10) + "\x1b]8;;http://evil.example/" + "-" * 4 * HALF
    (tmp_path / "said").write_text(half, encoding="utf-8")
    (tmp_path / "h.sh").write_text(f"cat {tmp_path}/said\n", encoding="utf-8")
    assert "evil" not in HookRunner([tmp_path]).run("h").messages
