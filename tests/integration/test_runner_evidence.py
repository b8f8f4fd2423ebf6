"""Done means that files differ from what the worktree's set-up left: commits and set-ups alone are no work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from collections.abc import Mapping

SETUP = ["sh", "-c", "echo set-up >> README.md; echo new > made.txt; chmod +x README.md"]
EMPTY = {"run": ["git", "commit", "-q", "--allow-empty", "-m", "Nothing"]}
REVERT = {"run": ["git", "revert", "--no-edit", "HEAD"]}


def status_after(desk: Desk, *acts: Mapping[str, object], complexity: str = "major") -> str:
    task = desk.board.add_task(complexity=complexity, description=script(*acts))
    done = desk.run_single()
    assert "Traceback" not in done.stderr, done.stderr
    found = desk.board.task(task["id"])
    assert "could not" not in (found["notes"] or ""), found["notes"]
    return str(found["status"])


@pytest.mark.fault("B1")
@pytest.mark.parametrize(
    "acts",
    [
        pytest.param([], id="nothing"),
        pytest.param([{"commit": "What set-up did"}], id="commits-the-set-up"),
        pytest.param([{"run": ["rm", "made.txt"]}], id="removes-what-set-up-made"),
    ],
)
def test_what_a_set_up_did_is_no_work_of_the_agent(desk: Desk, acts: list[dict[str, object]]) -> None:
    desk.change(worktree={"setup": SETUP})
    assert status_after(desk, *acts) == "pending"


@pytest.mark.extended
@pytest.mark.fault("B1")
def test_thousands_of_files_that_a_set_up_leaves_are_no_work(desk: Desk) -> None:
    desk.change(worktree={"setup": ["sh", "-c", "mkdir made; cd made; seq 5001 | xargs touch"]})
    assert status_after(desk) == "pending"


@pytest.mark.fault("B1")
def test_only_the_agents_files_are_committed_where_set_up_staged_others(desk: Desk) -> None:
    desk.change(worktree={"setup": ["sh", "-c", "echo x >> README.md; echo y > made.txt; git add -A"]})
    assert status_after(desk, {"write": ["own.txt", "work\n"]}) == "dev_done"
    assert desk.git("diff", "--name-only", "main", "feature/task-1") == "own.txt"


def test_a_file_of_the_set_up_that_the_agent_changed_is_committed_whole(desk: Desk) -> None:
    desk.change(worktree={"setup": SETUP})
    assert status_after(desk, {"write": ["made.txt", "the agent's\n"]}) == "dev_done"
    assert desk.git("diff", "--name-only", "main", "feature/task-1") == "made.txt"


@pytest.mark.fault("B2")
@pytest.mark.parametrize(
    ("acts", "complexity"),
    [
        pytest.param([EMPTY], "major", id="empty"),
        pytest.param([{"write": ["a.txt", "a\n"]}, {"commit": "Add"}, REVERT], "major", id="reverted"),
        pytest.param([EMPTY], "minor", id="empty-in-place"),
    ],
)
def test_commits_that_change_no_file_are_no_work(
    desk: Desk, acts: list[dict[str, object]], complexity: str
) -> None:
    assert status_after(desk, *acts, complexity=complexity) == "pending"


@pytest.mark.fault("B2")
@pytest.mark.parametrize(
    "acts",
    [
        pytest.param(
            "echo x >> README.md; git add README.md; git show HEAD:README.md > README.md", id="taken-back"
        ),
        pytest.param("echo x > new.txt; git add new.txt; rm new.txt", id="added-and-removed"),
        pytest.param("git rm -q --cached README.md", id="unstaged"),
        pytest.param("rm $(git rev-parse --absolute-git-dir)/index", id="no-index"),
    ],
)
def test_an_index_that_differs_where_no_file_does_is_no_work(desk: Desk, acts: str) -> None:
    assert status_after(desk, {"run": ["sh", "-c", acts]}) == "pending"


def test_a_commit_whose_only_change_is_a_mode_is_work(desk: Desk) -> None:
    chmod, commit = {"run": ["chmod", "+x", "README.md"]}, {"commit": "Make it run"}
    assert status_after(desk, chmod, commit) == "dev_done"


@pytest.mark.fault("B2")
def test_an_empty_commit_of_an_earlier_take_is_no_work_in_the_next(desk: Desk) -> None:
    blocked = {"status": "blocked", "summary": "waits"}
    task = desk.board.add_task(complexity="major", description=script(EMPTY, outcome=blocked))
    desk.run_single()
    assert desk.board.task(task["id"])["status"] == "pending"
    desk.hpm("pm.status", "--task-id", task["id"], "--status", "created", "--agent-id", "dev_001")
    desk.change(executor_command=["sh", "-c", DONE])
    desk.run_single()
    assert desk.board.task(task["id"])["status"] == "pending"


DONE = 'echo \'{"status": "done", "summary": "did as told"}\' > "$HPM_OUTCOME_FILE"'


@pytest.mark.fault("B3")
@pytest.mark.parametrize("touched", [False, True])
def test_line_endings_that_git_would_store_otherwise_are_no_work(desk: Desk, *, touched: bool) -> None:
    (desk.repo / "win.txt").write_bytes(b"one\r\ntwo\r\n")
    desk.git("add", "win.txt")
    desk.git("commit", "-qm", "With its line endings")
    (desk.repo / ".gitattributes").write_text("*.txt text\n", encoding="utf-8")
    desk.git("add", ".gitattributes")
    desk.git("commit", "-qm", "Attributes")
    if not touched:
        desk.change(worktree={"setup": ["touch", "win.txt"]})
    assert (
        status_after(desk, *([{"run": ["touch", "-d", "2001-01-01", "win.txt"]}] if touched else []))
        == "pending"
    )
