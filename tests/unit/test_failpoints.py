"""Where failpoints stand: around every act that changes something, and only where the campaign finds them."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hpm_tools.worktree.git import _reads
from tests.campaign.acts import UNGUARDED, act, all_acts
from tests.campaign.points import all_points

if TYPE_CHECKING:
    from pathlib import Path


def test_every_act_stands_between_failpoints_or_says_why_it_need_not() -> None:
    bare = {
        found.where: f"{found.where}, line {found.line}: {found.what}"
        for found in all_acts()
        if not found.guarded
    }
    new = [text for where, text in bare.items() if where not in UNGUARDED]
    assert not new, (
        "acts without a failpoint on each side. Put them inside `with failpoints.around(…)` and reach them"
        " in a scenario of tests/campaign; or say in tests/campaign/acts.py why they need none:\n"
        + "\n".join(new)
    )
    assert set(UNGUARDED) - set(bare) == set(), "these excuses are no longer needed"


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("os.replace(old, new)", "os.replace"),
        ("path.write_text(text)", ".write_text"),
        ("temporary.replace(path)", ".replace"),
        ("text.replace('a', 'b')", None),
        ("open(path, 'a')", "open"),
        ("open(path, encoding='utf-8')", None),
        ("os.fdopen(fd, 'wb')", "open"),
        ("shutil.rmtree(path)", "shutil.rmtree"),
        ("supervise(argv)", "supervise"),
        ("os.stat(path)", None),
    ],
)
def test_an_act_is_told_from_its_source(source: str, what: str | None) -> None:
    call = ast.parse(source, mode="eval").body
    assert isinstance(call, ast.Call)
    assert act(call, creating=False) == what


def acts_of(tmp_path: Path, body: str) -> list[bool]:
    (tmp_path / "module.py").write_text(f"def function():\n{body}", encoding="utf-8")
    return [found.guarded for found in all_acts(tmp_path)]


def test_one_side_is_not_enough(tmp_path: Path) -> None:
    assert acts_of(tmp_path, "    os.unlink(path)\n    failpoints.reach('gone')\n") == [False]
    assert acts_of(tmp_path, "    failpoints.reach('a')\n    os.unlink(p)\n    failpoints.reach('b')\n") == [
        True
    ]
    assert acts_of(tmp_path, "    with failpoints.around('a'):\n        os.unlink(path)\n") == [True]


def test_the_name_of_a_point_is_a_literal(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("failpoints.around(name)\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="must be a literal"):
        all_points(tmp_path)


@pytest.mark.parametrize(
    ("args", "reads"),
    [
        (("rev-parse", "HEAD"), True),
        (("-c", "core.fsync=reference", "update-ref", "refs/x", "1"), False),
        (("-c", "core.fsync=reference", "write-tree"), True),
        (("symbolic-ref", "-q", "HEAD"), True),
        (("symbolic-ref", "-m", "why", "HEAD", "refs/heads/main"), False),
        (("no-such-command",), False),
    ],
)
def test_every_git_command_not_known_to_be_harmless_is_an_act(args: tuple[str, ...], reads: bool) -> None:
    assert _reads(args, None) is reads


def test_a_throwaway_index_is_nobodys() -> None:
    assert _reads(("update-index", "-z"), {"GIT_INDEX_FILE": "/tmp/index"})


@pytest.mark.parametrize(
    ("source", "reached"),
    [
        ("with failpoints.around('act'): pass", "act.before act.after"),
        ("with contextlib.suppress(OSError), failpoints.around('act'): os.stat('/nothing')", "act.before"),
        ("threading.Thread(target=failpoints.reach, args=('beat',)).start()", ""),
    ],
)
def test_what_is_reached(tmp_path: Path, source: str, reached: str) -> None:
    log = tmp_path / "points"
    log.touch()
    program = f"import contextlib, os, threading\nfrom hpm_tools import failpoints\n{source}"
    environment = {"PATH": os.environ["PATH"], "HPM_FAILPOINT_LOG": str(log)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=600)
    assert log.read_text().split() == reached.split()
