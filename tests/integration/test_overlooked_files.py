"""Files that git was told to overlook by a flag in its index: the agent's flags hide nothing, others' stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.shell_tasks import work

if TYPE_CHECKING:
    from tests.support.runners import Desk


def branch_of(complexity: str) -> str:
    return "feature/task-1" if complexity == "major" else "main"


SKIP = "git update-index --skip-worktree README.md"
ASSUME = "git update-index --assume-unchanged README.md"
CHANGE = "echo changed > README.md"


@pytest.mark.fault("B7")
@pytest.mark.parametrize(
    ("lines", "complexity"),
    [
        pytest.param([SKIP, CHANGE], "major", id="as reported"),
        pytest.param([SKIP, CHANGE], "minor", id="in the checkout"),
        pytest.param([CHANGE, ASSUME], "major", id="flagged after the change", marks=pytest.mark.extended),
        pytest.param(
            [SKIP, ASSUME, CHANGE, "echo more > more.txt"], "minor", id="both flags, beside other work"
        ),
    ],
)
def test_a_change_under_a_flag_of_the_agents_is_committed(
    desk: Desk, lines: list[str], complexity: str
) -> None:
    status, notes = work(desk, *lines, complexity=complexity)
    assert (status, desk.git("show", f"{branch_of(complexity)}:README.md")) == ("dev_done", "changed"), notes


@pytest.mark.fault("B7")
@pytest.mark.parametrize("flag", [SKIP, pytest.param(ASSUME, marks=pytest.mark.extended)])
def test_a_deletion_under_a_flag_of_the_agents_is_committed(desk: Desk, flag: str) -> None:
    status, notes = work(desk, flag, "rm README.md", complexity="minor")
    assert (status, desk.git("ls-tree", "--name-only", "main", "README.md")) == ("dev_done", ""), notes


def test_the_notes_name_the_file_and_the_flag(desk: Desk) -> None:
    _status, notes = work(desk, SKIP, CHANGE, complexity="minor")
    assert "README.md had the flag skip-worktree" in notes
    assert desk.git("ls-files", "-v", "README.md") == "H README.md"


def test_what_the_operator_flagged_stays_as_it_is(desk: Desk) -> None:
    (desk.repo / "README.md").write_text("the operator's\n", encoding="utf-8")
    desk.git("update-index", "--skip-worktree", "README.md")
    desk.git("update-index", "--assume-unchanged", "src/shop.py")
    status, notes = work(desk, "echo work > work.txt", complexity="minor")
    flags = desk.git("ls-files", "-v").splitlines()
    found = (status, flags, (desk.repo / "README.md").read_text(encoding="utf-8"), "flag" in notes)
    assert found == (
        "dev_done",
        ["S README.md", "h src/shop.py", "H work.txt"],
        "the operator's\n",
        False,
    ), notes
    assert desk.git("show", "--name-only", "--format=", "main") == "work.txt"


def test_what_the_operator_flagged_and_the_agent_changed_is_named(desk: Desk) -> None:
    desk.git("update-index", "--skip-worktree", "README.md")
    status, notes = work(desk, CHANGE, "echo work > work.txt", complexity="minor")
    assert (status, "README.md, which git overlooks as before the run, was changed" in notes) == (
        "dev_done",
        True,
    ), notes
    assert desk.git("show", "--name-only", "--format=", "main") == "work.txt"
    assert (desk.repo / "README.md").read_text(encoding="utf-8") == "changed\n"


SPARSE = "git update-index --refresh; git sparse-checkout set --cone nothing"
"""Refreshed first, for git leaves files whose times it does not know (the checkout is a copy)."""


@pytest.mark.parametrize("complexity", ["major", pytest.param("minor", marks=pytest.mark.extended)])
def test_what_a_sparse_checkout_leaves_out_is_not_deleted(desk: Desk, complexity: str) -> None:
    status, notes = work(desk, SPARSE, "echo work > work.txt", complexity=complexity)
    there = desk.git("ls-tree", "-r", "--name-only", branch_of(complexity)).splitlines()
    assert (status, there, "src/shop.py was left out" in notes) == (
        "dev_done",
        ["README.md", "src/shop.py", "work.txt"],
        True,
    ), notes


def test_an_operators_sparse_checkout_stays_sparse(desk: Desk) -> None:
    desk.git("update-index", "--refresh")
    desk.git("sparse-checkout", "set", "--cone", "nothing")
    status, notes = work(desk, "echo work > work.txt", complexity="minor")
    found = (status, desk.git("ls-files", "-v", "src/shop.py"), "left out" in notes)
    assert found == ("dev_done", "S src/shop.py", False), notes
    assert "src/shop.py" in desk.git("ls-tree", "-r", "--name-only", "main").splitlines()
