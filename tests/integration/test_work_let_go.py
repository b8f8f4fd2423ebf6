"""Work that an agent let go of: stash entries that it dropped, and repositories of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.shell_tasks import salvaged, work

if TYPE_CHECKING:
    from tests.support.runners import Desk

DROPPED = {
    "a tracked file": ["echo 'the only copy' >> README.md", "git stash -q", "git stash drop -q"],
    "an untracked file, the stash cleared": [
        "echo 'the only copy' > new.txt",
        "git stash push -q -u -m later",
        "git stash clear",
    ],
}


@pytest.mark.fault("B7")
@pytest.mark.parametrize(
    ("how", "complexity"),
    [
        ("a tracked file", "minor"),
        *(
            pytest.param(how, "major", marks=pytest.mark.extended if how == "a tracked file" else ())
            for how in DROPPED
        ),
    ],
)
def test_what_an_agent_stashed_and_dropped_is_named_and_salvaged(
    desk: Desk, how: str, complexity: str
) -> None:
    status, notes = work(desk, *DROPPED[how], complexity=complexity)
    found = (status, "the dropped stash entry" in notes, "the only copy" in salvaged(desk))
    assert found == ("pending", True, True), notes


@pytest.mark.extended
def test_what_an_agent_popped_and_went_on_with_is_not_told(desk: Desk) -> None:
    lines = ["echo one >> README.md", "git stash -q", "git stash pop -q", "echo two >> README.md"]
    status, notes = work(desk, *lines)
    assert (status, "stash" in notes, salvaged(desk)) == ("dev_done", False, ""), notes


def test_an_experiment_that_was_dropped_is_no_work_where_no_change_was_needed(desk: Desk) -> None:
    status, notes = work(desk, *DROPPED["a tracked file"], no_change=True)
    assert (status, "dropped" in notes) == ("dev_done", False), notes


def test_what_a_person_drops_meanwhile_is_not_the_agents(desk: Desk) -> None:
    person = 'env -u GIT_REFLOG_ACTION git -C "$main"'
    lines = [f'echo mine >> "$main/README.md"; {person} stash -q; {person} stash drop -q']
    status, notes = work(desk, *lines)
    assert (status, "dropped" in notes, salvaged(desk)) == ("pending", False, ""), notes


COMMIT = "echo work > work.txt; git add work.txt; git commit -q -m Work"


@pytest.mark.fault("B7")
@pytest.mark.parametrize(
    ("where", "complexity"),
    [
        pytest.param("inner", "major", id="inside its place"),
        pytest.param("inner", "minor", id="in the checkout", marks=pytest.mark.extended),
        pytest.param("../own", "major", id="among the worktrees", marks=pytest.mark.extended),
        pytest.param("$main/../own", "minor", id="beside the repository"),
    ],
)
def test_a_clone_with_commits_is_named_and_stays(desk: Desk, where: str, complexity: str) -> None:
    status, notes = work(desk, f'git clone -q "$main" "{where}"; cd "{where}"', COMMIT, complexity=complexity)
    (clone,) = [path for name in ("inner", "own") for path in desk.repo.parent.rglob(name)]
    assert (clone / "work.txt").exists()
    assert (status, f"the repository {clone}" in notes) == ("pending", True), notes


def test_the_notes_say_that_the_place_of_a_clone_stays(desk: Desk) -> None:
    _status, notes = work(desk, 'git clone -q "$main" inner; cd inner', COMMIT, "rm -f ../.git")
    assert f"uncommitted files in {desk.repo}/.worktrees/task-1" in notes


@pytest.mark.extended
def test_a_clone_to_read_in_is_no_work(desk: Desk) -> None:
    status, notes = work(desk, 'git clone -q "$main" ../reference', "echo work > work.txt")
    assert (status, "reference" in notes) == ("dev_done", False), notes
