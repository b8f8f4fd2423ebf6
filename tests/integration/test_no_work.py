"""Changes of trees that are nobody's work: modes that a set-up set, merges that bring nothing, detours."""

from __future__ import annotations

import pytest

from tests.support.runners import Desk, script


def status_after(desk: Desk, *lines: str) -> str:
    act = {"run": ["sh", "-ec", "\n".join((f"main='{desk.repo}'", *lines))]}
    task = desk.board.add_task(complexity="major", description=script(act))
    done = desk.run_single()
    assert "Traceback" not in done.stderr, done.stderr
    return str(desk.board.task(task["id"])["status"])


COMMIT = "git add -A; git commit -q -m Work"


@pytest.mark.fault("B1")
@pytest.mark.parametrize("lines", [[], [COMMIT]], ids=["left", "committed"])
def test_a_mode_that_a_set_up_set_is_no_work(desk: Desk, lines: list[str]) -> None:
    desk.change(worktree={"setup": ["chmod", "+x", "README.md"]})
    assert status_after(desk, *lines) == "pending"


@pytest.mark.fault("B2")
@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(
            ["git mv README.md x", "git commit -qm There", "git mv x README.md", "git commit -qm Back"],
            id="renamed there and back",
        ),
        pytest.param(
            ['git -C "$main" commit -q --allow-empty -m E', "git merge -q --no-ff -m M main"],
            id="empty merge",
        ),
    ],
)
def test_commits_that_bring_no_change_of_the_agents_are_no_work(desk: Desk, lines: list[str]) -> None:
    person = [line.replace('git -C "$main"', 'env -u GIT_REFLOG_ACTION git -C "$main"') for line in lines]
    assert status_after(desk, *person) == "pending"
