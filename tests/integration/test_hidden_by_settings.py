"""An agent changes settings and ignore rules by which git looks at files: its work is seen as if it had not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.shell_tasks import work

if TYPE_CHECKING:
    from tests.support.runners import Desk

SETTINGS = {
    "a mode": (["git config core.fileMode false", "chmod +x README.md"], "100755 README.md"),
    "a name that differs in case": (
        ["git config core.ignoreCase true", "echo x > readme.md"],
        "100644 readme.md",
    ),
    "a file of ignore rules": (
        ["echo '*.txt' > ../rules", 'git config core.excludesFile "$PWD/../rules"', "echo x > new.txt"],
        "100644 new.txt",
    ),
}


@pytest.mark.fault("F2")
@pytest.mark.parametrize(
    ("what", "complexity"),
    [*((what, "major") for what in SETTINGS), pytest.param("a mode", "minor", marks=pytest.mark.extended)],
)
def test_a_change_that_a_setting_would_hide_is_committed(desk: Desk, what: str, complexity: str) -> None:
    lines, wanted = SETTINGS[what]
    status, notes = work(desk, *lines, complexity=complexity)
    branch = "feature/task-1" if complexity == "major" else "main"
    listed = [line.split()[::3] for line in desk.git("ls-tree", branch).splitlines()]
    assert (status, wanted.split() in listed) == ("dev_done", True), notes


HIDE = 'echo new.txt >> "$main/.git/info/exclude"'


@pytest.mark.fault("F2")
@pytest.mark.parametrize("complexity", [pytest.param("major", marks=pytest.mark.extended), "minor"])
def test_files_that_a_changed_exclude_file_hides_are_named(desk: Desk, complexity: str) -> None:
    status, notes = work(desk, HIDE, "echo x > new.txt", complexity=complexity)
    assert (status, "the work is in new.txt, which git ignores" in notes) == ("pending", True), notes


def test_what_the_operator_ignores_is_not_named(desk: Desk) -> None:
    with (desk.repo / ".git" / "info" / "exclude").open("a", encoding="utf-8") as file:
        file.write("build.log\n")
    status, notes = work(desk, HIDE, "echo x > build.log")
    assert (status, "build.log" in notes) == ("pending", False), notes
