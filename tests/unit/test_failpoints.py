"""Where failpoints stand: around every act that changes something, and only where the campaign finds them."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hpm_tools.worktree.git import _reads
from tests.campaign.acts import act, all_acts
from tests.campaign.points import all_points

if TYPE_CHECKING:
    from pathlib import Path


def test_every_act_stands_between_failpoints_or_says_why_it_need_not() -> None:
    acts = all_acts()
    bare = [f"{act.where}: {act.what}" for act in acts.found if not act.guarded and not act.excused]
    assert not bare, (
        "acts without a failpoint on each side. Put them inside `with failpoints.around(…)` and reach them in"
        " a scenario of tests/campaign; or say why they need none, in a line `# no failpoint: why` above"
        " them:\n" + "\n".join(bare)
    )
    assert acts.idle == [], "these excuses are no longer needed"
    assert len(acts.found) > 100


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
    """Whether each act of a function with this body needs no more failpoints than it has."""
    (tmp_path / "module.py").write_text(f"def function():\n{body}", encoding="utf-8")
    return [found.guarded or found.excused for found in all_acts(tmp_path).found]


def test_one_side_is_not_enough(tmp_path: Path) -> None:
    assert acts_of(tmp_path, "    os.unlink(path)\n    failpoints.reach('gone')\n") == [False]
    assert acts_of(tmp_path, "    failpoints.reach('a')\n    os.unlink(p)\n    failpoints.reach('b')\n") == [
        True
    ]
    assert acts_of(tmp_path, "    with failpoints.around('a'):\n        os.unlink(path)\n") == [True]


def test_an_excuse_speaks_for_the_statement_below_it_and_no_other(tmp_path: Path) -> None:
    body = "    # no failpoint: nobody reads it\n    os.unlink(path)\n    os.unlink(other)\n"
    assert acts_of(tmp_path, body) == [True, False]
    assert acts_of(tmp_path, "    # no failpoint:\n    os.unlink(path)\n") == [False]


def test_an_excuse_above_a_function_speaks_for_all_of_it(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("# no failpoint: why\n@cache\ndef function():\n    os.unlink(path)\n", encoding="utf-8")
    assert [act.excused for act in all_acts(tmp_path).found] == [True]


def test_an_excuse_that_excuses_nothing_is_found(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("# no failpoint: why\nos.stat(path)\n", encoding="utf-8")
    assert all_acts(tmp_path).idle == ["module.py:1"]


def test_a_package_that_needs_none_says_so_once(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "a.py").write_text("def function():\n    os.unlink(path)\n", encoding="utf-8")
    assert len(all_acts(tmp_path).found) == 1
    (package / "__init__.py").write_text("# no failpoints in this package: why\n", encoding="utf-8")
    assert all_acts(tmp_path).found == []


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
