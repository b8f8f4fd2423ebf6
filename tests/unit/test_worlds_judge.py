"""The judge of worlds objects to what must not be, and to nothing else: each invariant in a place made for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.campaign.bench import Done
from tests.support.board_process import KEY
from tests.support.repos import make_repo
from tests.worlds.intruders import intruders
from tests.worlds.invariants import INVARIANTS
from tests.worlds.ledger import Ledger
from tests.worlds.play import Story, hear, rows
from tests.worlds.repair import back_up
from tests.worlds.site import Runner, Site
from tests.worlds.snapshot import Snapshot
from tests.worlds.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.board_process import BoardUnderTest

AGENT = "dev_001"


class Place:
    """A world that tests prepare by hand, act by act, instead of playing it."""

    def __init__(self, directory: Path, board: BoardUnderTest) -> None:
        files = {
            "README.md": "a shop\n",
            "src/shop.py": "PRICE = 1\n",
            ".gitignore": "node_modules/\nsecret*\n",
        }
        template = make_repo(directory / "template", files=files).root
        place = directory / "world"
        place.mkdir()
        self.site = Site(place, cast("Any", SimpleNamespace(under_test=board)), template)
        self.site.plain_git("config", "user.name", "Test")
        self.site.plain_git("config", "user.email", "test@example.invalid")
        self.story = Story(World("by hand"), self.site, agents={AGENT: "backend_dev"})
        self.repo = self.site.repo

    def begin(self) -> None:
        """Everything of the operator's is in place, and the first runner may come."""
        self.story.before = Snapshot(self.site)

    def git(self, *words: str, cwd: Path | None = None) -> str:
        done = self.site.plain_git(*words, cwd=cwd)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def write(self, path: str, text: str = "mine\n") -> Path:
        full = self.repo / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text(text, encoding="utf-8")
        return full

    def worktree(self, task: int = 1) -> Path:
        path = self.repo / ".worktrees" / f"task-{task}"
        self.git("worktree", "add", "--quiet", "-b", f"feature/task-{task}", str(path), "main")
        return path

    def agent(self, place: Path, task: int = 1, run: int = 1, outcome: str = "done") -> Ledger:
        facts: dict[str, Any] = {"task": task, "run": run, "cwd": str(place), "outcome": outcome, "runner": 0}
        return Ledger(self.site.logs, "agent", [str(place)], **facts)

    def ran(self, text: str, code: int = 0) -> Runner:
        """A runner that printed ``text`` and ended with ``code``."""
        number = len(self.site.launched)
        log = self.site.directory / f"runner-{number}.log"
        with log.open("wb") as out:
            program = "import sys; sys.stdout.write(sys.argv[1]); sys.exit(int(sys.argv[2]))"
            process = subprocess.Popen([sys.executable, "-I", "-c", program, text, str(code)], stdout=out)
        process.wait()
        points = self.site.directory / f"points-{number}"
        runner = Runner(AGENT, "backend_dev", number, cast("Any", process), log, points, ("run",))
        self.site.launched.append(runner)
        return runner

    def task(self, *statuses: str, notes: str = "", by: str = AGENT) -> int:
        """A task of the board that ``by`` has set to these statuses."""
        made = self.site.board.add_task("created")
        for status in statuses:
            self.site.board.put(made["id"], by, status, notes or None)
        return int(made["id"])

    def done(self, commit: str, branch: str = "feature/task-1") -> int:
        return self.task("under_work", "dev_done", notes=f"branch: {branch}\ncommit: {commit}")

    def objections(self, invariant: str) -> list[str]:
        self.story.rows = rows(self.site)
        hear(self.story)
        return list(INVARIANTS[invariant](self.story))


@pytest.fixture
def place(tmp_path: Path, exact_board: BoardUnderTest) -> Iterator[Place]:
    made = Place(tmp_path, exact_board)
    exact_board.register(AGENT)
    yield made
    made.site.end()


def worked(place: Place, path: str = "new.txt") -> tuple[Path, Ledger]:
    """An agent of task 1 has written a file into its worktree."""
    place.begin()
    worktree = place.worktree()
    ledger = place.agent(worktree)
    (worktree / path).parent.mkdir(exist_ok=True)
    (worktree / path).write_text("an agent's\n", encoding="utf-8")
    ledger.end("edit")
    ledger.end("outcome")
    return worktree, ledger


def commit_in(place: Place, worktree: Path, subject: str = "task 1: Add a greeting") -> str:
    place.git("add", "-A", cwd=worktree)
    place.git("commit", "--quiet", "-m", subject, cwd=worktree)
    return place.git("rev-parse", "HEAD", cwd=worktree)


def remove(place: Place, worktree: Path) -> None:
    place.git("worktree", "remove", "--force", str(worktree))


class TestLosses:
    def test_file_that_is_nowhere_is_lost(self, place: Place) -> None:
        worktree, _ = worked(place)
        remove(place, worktree)
        assert place.objections("lost") == [
            "repo/.worktrees/task-1/new.txt, written by the agent of task 1, run 1, is nowhere"
        ]

    def test_file_on_a_reported_branch_is_found(self, place: Place) -> None:
        worktree, _ = worked(place)
        commit = commit_in(place, worktree)
        remove(place, worktree)
        place.done(commit)
        assert not place.objections("lost")

    @pytest.mark.parametrize("told", [False, True])
    def test_file_on_another_reference_must_be_told(self, place: Place, told: bool) -> None:
        worktree, _ = worked(place)
        commit = commit_in(place, worktree)
        place.git("update-ref", "refs/hpm/salvage/dev_001/1/20260101T000000Z", commit)
        remove(place, worktree)
        place.git("branch", "-D", "feature/task-1")
        place.ran("kept as refs/hpm/salvage/dev_001/1/20260101T000000Z\n" if told else "something is kept\n")
        found = place.objections("lost")
        assert all(said.endswith("is where nobody is told of") for said in found)
        assert bool(found) is not told

    @pytest.mark.parametrize("told", [False, True])
    def test_file_in_a_kept_directory_must_be_told(self, place: Place, told: bool) -> None:
        worktree, _ = worked(place)
        kept = worktree.parent / "kept" / "task-1.1"
        kept.parent.mkdir()
        worktree.rename(kept)
        if told:
            place.ran(f"warning: {kept} was set aside, in doubt\n")
        assert bool(place.objections("lost")) is not told

    def test_file_in_an_archive_is_found(self, place: Place) -> None:
        worktree, _ = worked(place, "secret.txt")
        folder = place.repo / ".git" / "hpm" / "archive"
        folder.mkdir(parents=True)
        with tarfile.open(folder / "one.tar", "w") as tar:
            tar.add(worktree / "secret.txt", "secret.txt")
        remove(place, worktree)
        assert not place.objections("lost")

    def test_ignored_file_that_can_be_made_again_may_go(self, place: Place) -> None:
        worktree, _ = worked(place, "node_modules/x.js")
        remove(place, worktree)
        assert not place.objections("lost")

    def test_file_of_a_regenerable_name_that_is_not_ignored_may_not_go(self, place: Place) -> None:
        worktree, _ = worked(place, "build/x.js")
        remove(place, worktree)
        assert place.objections("lost")

    def test_what_an_agent_deleted_itself_may_be_gone(self, place: Place) -> None:
        worktree, ledger = worked(place)
        (worktree / "new.txt").unlink()
        ledger.end("delete")
        remove(place, worktree)
        assert not place.objections("lost")

    @pytest.mark.parametrize("run", [1, 2])
    def test_what_set_up_made_may_go_wherever_an_agent_moves_it(self, place: Place, run: int) -> None:
        place.begin()
        worktree = place.worktree()
        (worktree / "made.txt").write_text("by set-up\n", encoding="utf-8")
        ledger = place.agent(worktree, run=run)
        away = place.site.elsewhere / "away"
        ledger.watch(str(away))
        worktree.rename(away)
        ledger.end("move_place")
        shutil.rmtree(away)
        said = ["elsewhere/away/made.txt, written by the agent of task 1, run 2, is nowhere"]
        assert place.objections("lost") == ([] if run == 1 else said)

    def test_commits_of_the_operators_stash_must_outlive_an_agent_that_clears_it(self, place: Place) -> None:
        place.write("README.md", "stashed\n")
        place.git("stash", "push", "--quiet")
        commit = place.git("rev-parse", "stash@{0}")
        place.begin()
        ledger = place.agent(place.repo)
        place.git("stash", "clear")
        ledger.end("clear_stash")
        assert any(commit[:12] in said and "operator" in said for said in place.objections("lost"))
        place.git("update-ref", "refs/hpm/before/stash", commit)
        assert not place.objections("lost")

    def test_commit_that_only_a_worktrees_pseudo_reference_names_is_found_there(self, place: Place) -> None:
        worktree, ledger = worked(place)
        commit = commit_in(place, worktree)
        ledger.end("commit")
        place.git("reset", "--quiet", "--hard", "main", cwd=worktree)
        place.ran(f"warning: {worktree} stays\n")
        assert not place.objections("lost")
        remove(place, worktree)
        assert any(commit[:12] in said for said in place.objections("lost"))

    @pytest.mark.parametrize("archived", [False, True])
    def test_commits_of_a_repository_inside_are_found_in_its_own_objects(
        self, place: Place, archived: bool
    ) -> None:
        worktree, ledger = worked(place)
        inner = make_repo(worktree / "inner", files={"own.txt": "inner\n"}).root
        ledger.end("nested")
        place.ran(f"{worktree} stays\n")
        commit = place.git("rev-parse", "HEAD", cwd=inner)
        assert not place.objections("lost")
        if archived:
            with tarfile.open(place.site.directory / "elsewhere" / "kept.tar", "w") as tar:
                tar.add(inner, "inner")
        place.site.plain_git("-C", str(worktree), "clean", "-ffdqx", "inner")
        assert any(commit[:12] in said for said in place.objections("lost")) is not archived

    @pytest.mark.parametrize("told", [False, True])
    def test_stash_of_a_repository_inside_is_told_with_its_place(self, place: Place, told: bool) -> None:
        worktree, ledger = worked(place)
        inner = make_repo(worktree / "inner", files={"own.txt": "inner\n"}).root
        (inner / "own.txt").write_text("stashed\n", encoding="utf-8")
        place.git("stash", "push", "--quiet", cwd=inner)
        ledger.end("nested")
        place.ran(f"{worktree} stays\n" if told else "parked\n")
        assert bool(place.objections("lost")) is not told

    def test_clone_beside_its_place_is_where_the_agent_made_it(self, place: Place) -> None:
        _, ledger = worked(place)
        place.ran(f"{place.repo}/.worktrees/task-1 stays\n")
        clone = place.repo / ".worktrees" / "clone"
        ledger.watch(str(clone))
        make_repo(clone, files={"own.txt": "cloned\n"})
        ledger.end("clone")
        assert not place.objections("lost")
        shutil.rmtree(clone)
        assert place.objections("lost")

    def test_worktree_beside_its_place_must_be_told(self, place: Place) -> None:
        _, ledger = worked(place)
        place.ran(f"{place.repo}/.worktrees/task-1 stays\n")
        other = place.repo / ".worktrees" / "other"
        ledger.watch(str(other))
        place.git("worktree", "add", "--quiet", "-b", "other", str(other), "main")
        (other / "uncommitted.txt").write_text("an agent's, too\n", encoding="utf-8")
        ledger.end("worktree")
        assert place.objections("lost")
        place.ran(f"{other}\n")
        assert not place.objections("lost")

    def test_work_of_a_run_that_nobody_remembers_must_be_there(self, place: Place) -> None:
        worktree, ledger = worked(place)
        commit_in(place, worktree)
        place.git("branch", "--move", "feature/task-1", "own", cwd=worktree)
        ledger.end("commit")
        remove(place, worktree)
        assert place.objections("lost")
        place.ran("", -9).killed = True
        (place.site.state / "locks").mkdir()
        (place.site.state / "locks" / "agent-dev_001.lock.corrupt-1").touch()
        place.agent(place.worktree(), run=2).end("outcome")
        assert not place.objections("lost")
        place.git("branch", "-D", "own")
        assert place.objections("lost")

    def test_what_a_command_says_is_told(self, place: Place) -> None:
        worktree, _ = worked(place)
        place.git("update-ref", "refs/hpm/salvage/dev_001/1/20260101T000000Z", commit_in(place, worktree))
        remove(place, worktree)
        place.git("branch", "-D", "feature/task-1")
        said = "refs/hpm/salvage/dev_001/1/20260101T000000Z"
        place.site.commands.append(Done(("worktree.list",), 0, said, "", 0.0))
        assert place.objections("lost")
        place.site.commands.append(Done(("worktree.remove",), 0, said, "", 0.0))
        assert not place.objections("lost")

    def test_reference_to_a_missing_object_hides_nothing(self, place: Place) -> None:
        worktree, _ = worked(place)
        place.done(commit_in(place, worktree))
        remove(place, worktree)
        (place.repo / ".git" / "refs" / "heads" / "ghost").write_text("12345678" * 5 + "\n", encoding="ascii")
        assert not place.objections("lost")
        assert not place.objections("done")

    def test_damaged_configuration_hides_nothing(self, place: Place) -> None:
        worktree, _ = worked(place)
        place.done(commit_in(place, worktree))
        remove(place, worktree)
        with (place.repo / ".git" / "config").open("a", encoding="utf-8") as file:
            file.write("[core]\n\trepositoryformatversion = 99\n[nonsense\n")
        assert not place.objections("lost")


class TestDone:
    def test_work_on_its_branch_is_done(self, place: Place) -> None:
        worktree, _ = worked(place)
        place.done(commit_in(place, worktree))
        assert not place.objections("done")

    def test_commit_that_is_not_there(self, place: Place) -> None:
        worked(place)
        place.done("1" * 40)
        assert any("which no reference reaches" in said for said in place.objections("done"))

    def test_commit_that_its_branch_does_not_reach(self, place: Place) -> None:
        worktree, _ = worked(place)
        place.git("branch", "other", "main")
        place.done(commit_in(place, worktree), branch="other")
        assert any("which other does not reach" in said for said in place.objections("done"))

    def test_done_without_any_agent(self, place: Place) -> None:
        place.begin()
        place.git("branch", "feature/task-1")
        place.done(place.git("rev-parse", "main"))
        assert place.objections("done") == ["task 1 is dev_done, and no agent ever ran"]

    @pytest.mark.parametrize("outcome", ["blocked", "silent", "die"])
    def test_done_after_another_outcome(self, place: Place, outcome: str) -> None:
        place.begin()
        worktree = place.worktree()
        ledger = place.agent(worktree, outcome=outcome)
        (worktree / "new.txt").write_text("an agent's\n", encoding="utf-8")
        ledger.end("outcome")
        place.done(commit_in(place, worktree))
        assert place.objections("done") == [f"task 1 is dev_done, and its last agent's outcome was {outcome}"]

    def test_commits_that_change_nothing_are_no_work(self, place: Place) -> None:
        worktree, ledger = worked(place)
        commit_in(place, worktree)
        ledger.end("commit")
        place.git("revert", "--no-edit", "HEAD", cwd=worktree)
        ledger.end("revert")
        place.done(place.git("rev-parse", "HEAD", cwd=worktree))
        assert any("which changes nothing" in said for said in place.objections("done"))

    def test_no_change_is_shown_as_such(self, place: Place) -> None:
        place.begin()
        ledger = place.agent(place.worktree(), outcome="no_change")
        ledger.end("outcome")
        head = place.git("rev-parse", "main")
        place.task("under_work", "dev_done", notes=f"no change: nothing had to be changed\nseen at: {head}")
        assert not place.objections("done")
        place.agent(place.repo, run=2).end("outcome")
        assert any("shown as no change" in said for said in place.objections("done"))
        place.done(head)
        place.agent(place.repo, task=2, outcome="no_change").end("outcome")
        assert any("task 2" in said and "changes nothing" in said for said in place.objections("done"))

    def test_what_set_up_made_is_no_work(self, place: Place) -> None:
        place.begin()
        worktree = place.worktree()
        (worktree / "setup.lock").write_text("made by set-up\n", encoding="utf-8")
        place.agent(worktree).end("outcome")
        place.done(commit_in(place, worktree))
        found = place.objections("done")
        assert any("which changes nothing" in said for said in found)
        assert any("holds setup.lock, which was so before its agent began" in said for said in found)

    def test_file_of_the_last_run_is_missing(self, place: Place) -> None:
        worktree, ledger = worked(place)
        commit = commit_in(place, worktree)
        (worktree / "more.txt").write_text("more\n", encoding="utf-8")
        ledger.end("edit")
        place.done(commit)
        assert any("more.txt of its last run is not in" in said for said in place.objections("done"))

    def test_file_of_the_last_run_is_another_than_it_left(self, place: Place) -> None:
        worktree, ledger = worked(place)
        commit = commit_in(place, worktree)
        (worktree / "new.txt").write_text("later\n", encoding="utf-8")
        ledger.end("edit")
        place.done(commit)
        assert any("new.txt is not in" in said for said in place.objections("done"))

    @pytest.mark.parametrize("told", ["", "new.txt, which git overlooks as before the run, was changed"])
    def test_file_that_git_overlooks_is_left_out_if_that_is_told(self, place: Place, told: str) -> None:
        worktree, ledger = worked(place)
        commit = commit_in(place, worktree)
        (worktree / "new.txt").write_text("later\n", encoding="utf-8")
        ledger.end("edit")
        place.task(
            "under_work", "dev_done", notes=f"branch: feature/task-1\ncommit: {commit}\n\ndone\n\n- {told}"
        )
        assert bool(place.objections("done")) is not bool(told)

    def test_file_that_the_last_run_deleted_is_still_there(self, place: Place) -> None:
        worktree, ledger = worked(place)
        commit = commit_in(place, worktree)
        (worktree / "README.md").unlink()
        ledger.end("delete")
        place.done(commit)
        assert any("README.md, deleted by its last run" in said for said in place.objections("done"))

    @pytest.mark.parametrize("is_all_there", [True, False])
    def test_place_that_was_moved_and_put_back_has_lost_no_file(
        self, place: Place, is_all_there: bool
    ) -> None:
        worktree, ledger = worked(place)
        away = place.site.elsewhere / "away"
        ledger.watch(str(away))
        (worktree / "more.txt").write_text("more\n", encoding="utf-8")
        ledger.end("edit")
        worktree.rename(away)
        ledger.end("move")
        away.rename(worktree)
        if not is_all_there:
            (worktree / "more.txt").unlink()
        place.done(commit_in(place, worktree))
        missing = [said for said in place.objections("done") if "more.txt of its last run is not in" in said]
        assert bool(missing) is not is_all_there
        assert not any("deleted" in said for said in place.objections("done"))

    def test_file_of_a_commit_that_was_reset_is_nobody_elses(self, place: Place) -> None:
        place.write("older.txt")
        commit_in(place, place.repo, "An older file")
        place.begin()
        worktree = place.worktree()
        ledger = place.agent(worktree)
        place.git("reset", "--quiet", "HEAD~1", cwd=worktree)
        (worktree / "new.txt").write_text("an agent's\n", encoding="utf-8")
        ledger.end("edit")
        ledger.end("outcome")
        place.done(commit_in(place, worktree))
        assert not place.objections("done")

    @pytest.mark.parametrize("whose", ["person", "task 2"])
    def test_commit_with_somebody_elses_file(self, place: Place, whose: str) -> None:
        place.begin()
        who = place.site.person("person") if whose == "person" else place.agent(place.repo, task=2)
        place.write("theirs.txt", "somebody else's\n")
        who.end("edit")
        ledger = place.agent(place.repo)
        place.write("mine.txt", "task 1's\n")
        ledger.end("edit")
        ledger.end("outcome")
        place.done(commit_in(place, place.repo), branch="main")
        assert any(f"holds theirs.txt, written by {whose}" in said for said in place.objections("done"))


class TestStatuses:
    @pytest.mark.parametrize("named", [False, True])
    def test_task_under_work_without_a_holder_must_be_named(self, place: Place, named: bool) -> None:
        number = place.task("under_work")
        place.site.board.sql("UPDATE tasks SET locked_by = NULL")
        place.story.health = [f"{{'name': 'unheld', 'text': 'task {number} is under_work'}}"] if named else []
        assert bool(place.objections("status")) is not named

    def test_lock_that_is_left(self, place: Place) -> None:
        number = place.task()
        place.site.board.lock(number, AGENT)
        assert place.objections("status") == [f"task {number} (created) is still locked by {AGENT}"]

    def test_lock_that_health_names_with_its_holder(self, place: Place) -> None:
        number = place.task()
        place.site.board.lock(number, AGENT)
        place.story.health = [f"{{'name': 'worktree', 'text': '.worktrees/task-{number} is still there'}}"]
        assert place.objections("status")
        place.story.health = [f"{{'name': 'task {number}', 'text': 'created and locked by {AGENT}'}}"]
        assert not place.objections("status")

    def test_lock_that_the_world_gave_to_somebody_else_is_theirs(self, place: Place) -> None:
        place.site.board.register("dev_777")
        place.site.board.lock(place.task(), "dev_777")
        assert not place.objections("status")

    def test_parked_task_says_why(self, place: Place) -> None:
        number = place.task("under_work", "pending")
        assert place.objections("status") == [f"task {number} is pending without a word of why"]
        place.site.board.sql("UPDATE tasks SET comments = 'parked by dev_001: no database'")
        assert not place.objections("status")

    def test_report_that_is_told_twice(self, place: Place) -> None:
        place.task("under_work", "dev_done")
        assert not place.objections("told once")
        place.site.board.sql(
            "INSERT INTO changelog (task_id, old_status, new_status, changed_by, changed_at) "
            "SELECT task_id, 'under_work', 'dev_done', 'dev_001', changed_at FROM changelog LIMIT 1"
        )
        assert place.objections("told once") == ["task 1 was taken 1 times and set to dev_done 2 times"]

    def test_step_that_cannot_be(self, place: Place) -> None:
        place.task("dev_done", "qa_done")
        assert "task 1 was set from created to dev_done by dev_001" in place.objections("told once")

    def test_comment_that_is_told_twice(self, place: Place) -> None:
        place.task("under_work", "pending")
        place.site.board.sql("UPDATE tasks SET comments = ?", "parked by dev_001: x\nparked by dev_001: x")
        assert any("2 comments" in said for said in place.objections("told once"))


class TestHost:
    def test_host_as_it_was(self, place: Place) -> None:
        place.write("mine.txt")
        place.begin()
        worktree, _ = place.worktree(), place.write(".worktrees/kept/x", "hpm's\n")
        with (place.repo / ".git" / "info" / "exclude").open("a", encoding="utf-8") as file:
            file.write("/.worktrees/\n")
        remove(place, worktree)
        assert not place.objections("host")

    @pytest.mark.parametrize(
        ("path", "said"),
        [
            ("repo/mine.txt", "repo/mine.txt was"),
            ("repo/secret.txt", "repo/secret.txt was"),
            ("elsewhere/letter.txt", "elsewhere/letter.txt was"),
            ("desk-home/.gitconfig", "desk-home/.gitconfig was"),
            ("repo/.git/hooks/pre-commit", "repo/.git/hooks/pre-commit was"),
            ("repo/.git/config", "repo/.git/config was"),
            ("repo/README.md", "repo/README.md was"),
        ],
    )
    def test_file_of_the_operator_that_was_changed(self, place: Place, path: str, said: str) -> None:
        place.write("mine.txt")
        place.write("secret.txt")
        place.write(".git/hooks/pre-commit", "#!/bin/sh\n")
        place.begin()
        with (place.site.directory / path).open("a", encoding="utf-8") as file:
            file.write("# changed\n")
        assert any(found.startswith(said) for found in place.objections("host")), place.objections("host")

    def test_file_that_was_deleted_and_one_that_was_made(self, place: Place) -> None:
        place.write("mine.txt")
        place.begin()
        (place.repo / "mine.txt").unlink()
        (place.site.elsewhere / "strange.txt").write_text("?\n", encoding="utf-8")
        assert [said.split(" ")[0] for said in place.objections("host")] == [
            "elsewhere/strange.txt",
            "repo/mine.txt",
        ]

    def test_what_a_person_leaves_meanwhile_must_stay(self, place: Place) -> None:
        place.begin()
        ledger = place.site.person("person")
        file = place.write("person.txt", "a person's\n")
        ledger.end("edits")
        assert not place.objections("host")
        file.write_text("overwritten\n", encoding="utf-8")
        assert any("person.txt was" in said for said in place.objections("host"))

    def test_what_can_be_made_again_may_be_there(self, place: Place) -> None:
        place.begin()
        ledger = place.agent(place.repo)
        place.write("node_modules/x.js")
        assert place.objections("host")
        ledger.spare(str(place.repo / "node_modules"))
        ledger.end("regenerable")
        assert not place.objections("host")

    @pytest.mark.parametrize("told", [False, True])
    def test_what_an_agent_leaves_in_the_checkout_must_be_told(self, place: Place, told: bool) -> None:
        place.begin()
        ledger = place.agent(place.repo)
        place.write("agent.txt", "an agent's\n")
        ledger.end("edit")
        place.ran(f"uncommitted files in {place.repo}\n" if told else "parked\n")
        assert bool(place.objections("host")) is not told

    @pytest.mark.parametrize(
        "words", [("tag", "v2"), ("branch", "strange"), ("checkout", "--quiet", "--detach")]
    )
    def test_reference_that_was_moved(self, place: Place, words: tuple[str, ...]) -> None:
        place.begin()
        place.git(*words)
        assert place.objections("host")

    def test_what_is_in_a_repository_beside_the_checkout_is_git_s(self, place: Place) -> None:
        place.git("init", "--quiet", "--separate-git-dir", str(place.site.directory / "separate.git"))
        place.git("clone", "--quiet", "--bare", ".", str(place.site.directory / "origin.git"))
        place.begin()
        worktree = place.worktree()
        (worktree / "new.txt").write_text("an agent's\n", encoding="utf-8")
        commit_in(place, worktree)
        place.git("fetch", "--quiet", "../origin.git")
        assert not place.objections("host")
        place.git("config", "core.hooksPath", "/nowhere")
        assert any("separate.git/config was" in said for said in place.objections("host"))

    def test_branch_of_the_checkout_moves_on_with_a_tasks_commit(self, place: Place) -> None:
        place.begin()
        ledger = place.agent(place.repo)
        place.write("new.txt", "an agent's\n")
        ledger.end("edit")
        place.done(commit_in(place, place.repo), branch="main")
        assert not place.objections("host")


class TestMoves:
    @pytest.mark.parametrize("told", [False, True])
    def test_tag_that_an_agent_made_must_be_told(self, place: Place, told: bool) -> None:
        _, ledger = worked(place)
        place.git("tag", "mark")
        ledger.end("reference")
        place.ran("refs/tags/mark was made\n" if told else "parked\n")
        assert bool(place.objections("moves")) is not told

    @pytest.mark.parametrize(("runners", "in_place"), [(1, False), (2, False), (2, True)])
    def test_branch_of_the_checkout_may_be_moved_by_who_works_there(
        self, place: Place, runners: int, in_place: bool
    ) -> None:
        place.story.agents |= {f"dev_{number:03}": "backend_dev" for number in range(1, runners + 1)}
        worktree, ledger = worked(place)
        other = place.agent(place.repo if in_place else worktree, task=2)
        place.git("commit", "--quiet", "--allow-empty", "-m", "by the one or the other")
        ledger.end("edit")
        other.look()
        other.end("outcome")
        assert bool(place.objections("moves")) is not in_place

    def test_run_that_nobody_remembers_moved_what_nobody_can_tell(self, place: Place) -> None:
        worktree, ledger = worked(place)
        place.git("tag", "mark")
        ledger.end("reference")
        place.ran("", -9).killed = True
        (place.site.state / "locks").mkdir()
        (place.site.state / "locks" / "agent-dev_001.lock.corrupt-1").touch()
        assert place.objections("moves")
        place.agent(worktree, run=2).end("outcome")
        assert not place.objections("moves")


class TestLimits:
    @pytest.mark.parametrize("stashed", [False, True])
    def test_files_that_an_agent_has_stashed_are_taken_in_already(self, place: Place, stashed: bool) -> None:
        place.site.set_worktree(max_files=3)
        place.site.more["HEADLESS_PM_WORKTREE_MAX_FILES"] = "3"
        worktree, ledger = worked(place)
        for number in range(5):
            (worktree / f"{number}.txt").write_text(f"{number}\n", encoding="utf-8")
        if stashed:
            place.git("stash", "push", "--quiet", "--include-untracked", cwd=worktree)
            ledger.end("stash")
            place.git("stash", "apply", "--quiet", cwd=worktree)
        commit_in(place, worktree)
        assert bool(place.objections("limits")) is not stashed


class TestWhole:
    @pytest.mark.parametrize("flag", ["", "--assume-unchanged", "--skip-worktree"])
    def test_worktree_has_what_the_checkout_has_unchanged(self, place: Place, flag: str) -> None:
        back_up(place.site)
        place.begin()
        worktree = place.worktree()
        (worktree / "README.md").unlink()
        if flag:
            place.git("update-index", flag, "README.md")
        place.agent(worktree).end("outcome")
        said = ["the worktree of task 1 did not have README.md as the checkout has it"]
        assert place.objections("whole") == ([] if flag else said)

    def test_repository_inside_that_is_no_submodule_is_in_no_worktree(self, place: Place) -> None:
        make_repo(place.repo / "embedded", files={"own.txt": "inner\n"})
        place.git("add", "embedded")
        place.git("commit", "--quiet", "-m", "by accident")
        back_up(place.site)
        place.begin()
        place.agent(place.worktree()).end("outcome")
        assert not place.objections("whole")


class TestStored:
    """What runners stored, in a repository with a reference that names nothing."""

    @staticmethod
    def store(place: Place, files: dict[str, str]) -> str:
        place.begin()
        worktree = place.worktree()
        for path, text in files.items():
            (worktree / path).parent.mkdir(parents=True, exist_ok=True)
            (worktree / path).write_text(text, encoding="utf-8")
        (place.repo / ".git" / "refs" / "heads" / "broken").write_text("1" * 40 + "\n", encoding="ascii")
        for path in files:
            blob = place.git("hash-object", "-w", "--no-filters", "--", str(worktree / path))
            place.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", cwd=worktree)
        place.git("commit", "--quiet", "-m", "task 1: Add a greeting", cwd=worktree)
        return place.git("rev-parse", "HEAD", cwd=worktree)[:12]

    def test_more_files_than_the_limit(self, place: Place) -> None:
        place.site.more["HEADLESS_PM_WORKTREE_MAX_FILES"] = "2"
        commit = self.store(place, {f"f{number}.txt": f"{number}\n" for number in range(3)})
        assert place.objections("limits") == [
            f"{commit} holds 3 files with 6 bytes, more than is to be taken in at once"
        ]

    def test_part_of_a_repository(self, place: Place) -> None:
        commit = self.store(place, {"inner/.git-old/config": "[core]\n"})
        assert place.objections("repository") == [
            f"{commit} holds inner/.git-old/config, a part of a repository"
        ]

    def test_file_past_its_filter(self, place: Place) -> None:
        place.git("config", "filter.rot.clean", "tr a-z b-za")
        worktree = place.repo / ".worktrees" / "task-1"
        commit = self.store(place, {".gitattributes": "*.rot filter=rot\n", "secret.rot": "secret\n"})
        ledger = place.agent(worktree)
        (worktree / "secret.rot").unlink()
        ledger.end("delete")
        (worktree / "secret.rot").write_text("secret\n", encoding="utf-8")
        ledger.end("edit")
        assert place.objections("filtered") == [
            f"{commit} holds secret.rot in plain text, past the filter rot"
        ]


class TestRemains:
    def test_nothing_is_left(self, place: Place) -> None:
        place.begin()
        place.ran("1 task: 1 reported\n")
        for name in ("tidy", "private", "secret", "words", "two agents", "goes on", "alive"):
            assert name not in INVARIANTS or not place.objections(name)

    @pytest.mark.parametrize(
        "path",
        ["state/x.tmp", "repo/.git/index.lock", "repo/.git/hpm/a.part", "repo/.trash-1", "tmp/claude-1"],
    )
    def test_temporary_file(self, place: Place, path: str) -> None:
        place.begin()
        full = place.site.directory / path
        full.parent.mkdir(exist_ok=True)
        full.touch()
        assert place.objections("tidy") == [f"{path} is left"]

    @pytest.mark.parametrize(("killed", "unreadable"), [(True, True), (True, False), (False, True)])
    def test_scratch_directory_may_stay_only_where_nobody_knows_its_run(
        self, place: Place, killed: bool, unreadable: bool
    ) -> None:
        place.begin()
        (place.site.temporary / "hpm-0-12345678").mkdir()
        place.ran("", -9 if killed else 0).killed = killed
        if unreadable:
            (place.site.state / "locks").mkdir()
            (place.site.state / "locks" / "agent-dev_001.lock.corrupt-1").touch()
        assert bool(place.objections("tidy")) is not (killed and unreadable)

    def test_record_that_is_no_record(self, place: Place) -> None:
        place.begin()
        (place.site.state / "locks").mkdir()
        (place.site.state / "locks" / "agent-dev_001.lock").write_text("{", encoding="utf-8")
        assert any("agent-dev_001.lock is not valid" in said for said in place.objections("tidy"))

    def test_state_that_others_can_read(self, place: Place) -> None:
        path = place.site.state / "events.sqlite"
        path.touch()
        path.chmod(0o644)
        assert place.objections("private") == ["state/events.sqlite may be read by others: -rw-r--r--"]

    def test_key_in_a_file(self, place: Place) -> None:
        (place.site.logs / "environ").write_text(f"X={KEY}\n", encoding="utf-8")
        assert place.objections("secret") == ["the board's key is in logs/environ"]

    def test_process_that_lives(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tests.worlds.remains.SECONDS_TO_SETTLE", 0.2)
        env = {"PATH": os.environ["PATH"], "HPM_TEST_LOGS": str(place.site.directory)}
        process = subprocess.Popen(["sleep", "60"], env=env)
        try:
            assert [said.partition(":")[0] for said in place.objections("alive")] == [str(process.pid)]
        finally:
            process.kill()
            process.wait()
        assert not place.objections("alive")

    def test_agents_that_overlap(self, place: Place) -> None:
        (place.site.logs / "overlaps").write_text("run 2 of task 1 began while 5 lived\n", encoding="utf-8")
        assert place.objections("two agents") == ["run 2 of task 1 began while 5 lived"]

    def test_process_of_an_earlier_run_is_an_intruder(self) -> None:
        env = {"PATH": os.environ["PATH"], "HPM_RUN_ID": "earlier-1"}
        process = subprocess.Popen(["sleep", "60"], env=env)
        try:
            assert list(intruders({"earlier-1", "mine"}, "mine")) == [(process.pid, "earlier-1")]
            assert not list(intruders({"earlier-1"}, "earlier-1"))
        finally:
            process.kill()
            process.wait()
        assert not list(intruders({"earlier-1"}, "mine"))


class TestTruths:
    NOTHING = "parked by dev_001: no changes\nnothing was changed"

    @pytest.mark.parametrize("is_told", [True, False])
    def test_file_outside_the_place_is_no_change_of_it_if_it_is_told(
        self, place: Place, is_told: bool
    ) -> None:
        place.begin()
        ledger = place.agent(place.worktree())
        ledger.watch(str(place.repo / "note.txt"))
        place.write("note.txt")
        ledger.end("outside")
        place.task("under_work", "pending")
        said = f"{self.NOTHING}\nleft alone: note.txt" if is_told else self.NOTHING
        place.site.board.sql("UPDATE tasks SET comments = ?", said)
        assert bool(place.objections("nothing")) is not is_told

    def test_file_in_the_place_is_a_change_whatever_is_told_of_it(self, place: Place) -> None:
        worked(place)
        place.task("under_work", "pending")
        place.site.board.sql("UPDATE tasks SET comments = ?", f"{self.NOTHING}\nleft alone: new.txt")
        assert any("new.txt was" in said for said in place.objections("nothing"))

    @pytest.mark.parametrize("is_undone", [True, False])
    def test_branch_that_has_fewer_commits_than_is_said(self, place: Place, is_undone: bool) -> None:
        worktree, _ = worked(place)
        commit_in(place, worktree)
        place.ran("task 1 parked: no reason; its work: 2 commits on feature/task-1\n")
        assert place.objections("counts") == [
            "2 commits are said to be on feature/task-1, which has 1 new ones"
        ]
        if is_undone:
            person = place.site.person("repair")
            place.git("reset", "--quiet", "--hard", "main", cwd=worktree)
            person.end("repair")
        assert bool(place.objections("counts")) is not is_undone

    @pytest.mark.parametrize("is_forged", [True, False])
    def test_work_in_the_checkout_is_no_tampering_if_it_can_be_known(
        self, place: Place, is_forged: bool
    ) -> None:
        place.begin()
        before, ledger = place.git("rev-parse", "main"), place.agent(place.repo)
        place.write("new.txt")
        after = commit_in(place, place.repo, "Work of run 1")
        ledger.end("commit")
        place.ran(f"task 2: refs/heads/main was moved from {before[:12]} to {after[:12]}\n")
        place.ran(
            f"task 1: works in {place.repo} on main\n"
            + (f"warning: somebody changed the record of agent {AGENT}; it goes on\n" if is_forged else "")
        )
        assert bool(place.objections("alarm")) is not is_forged


class TestRefused:
    FAILING = "{'name': 'repository', 'ok': False, 'text': 'broken'}"

    @pytest.mark.parametrize("says", [True, False])
    def test_health_must_say_why_a_runner_was_refused(self, place: Place, says: bool) -> None:
        place.ran("", 0)
        place.ran("error: broken\n  mend it\n", 78)
        place.story.looks = [(2, [self.FAILING] if says else [])]
        assert bool(place.objections("refused")) is not says

    def test_health_is_well_again_once_it_is_mended(self, place: Place) -> None:
        place.ran("", 0)
        place.ran("error: broken\n  mend it\n", 78)
        place.story.looks, place.story.repaired = [(2, [self.FAILING]), (2, [])], ["config"]
        assert not place.objections("refused")


class TestWords:
    @pytest.mark.parametrize(
        ("text", "code", "said"),
        [
            ("Traceback (most recent call last):\n", 1, "an unforeseen error"),
            ("error: x\n", 70, "a runner ended with 70"),
            ("error: x\n", 42, "a runner ended with 42"),
            ("nothing\n", 65, "did not say why"),
            ("error: the repository is bare\n", 78, "names no way out"),
            (f"{KEY}\n", 0, "printed the board's key"),
            ("a \x1b[31mred\n", 0, "printed '\\x1b'"),
        ],
    )
    def test_word_that_must_not_be(self, place: Place, text: str, code: int, said: str) -> None:
        place.ran(text, code)
        assert any(said in found for found in place.objections("words")), place.objections("words")

    def test_refusal_with_a_way_out(self, place: Place) -> None:
        place.ran("error: the repository is bare\n  make a worktree of it\n", 78)
        assert not place.objections("words")

    def test_crash_log_only_where_the_world_had_a_bug(self, place: Place) -> None:
        crashes = place.site.state / "crashes"
        crashes.mkdir()
        (crashes / "crash-1.log").write_text("KeyError\n", encoding="utf-8")
        assert place.objections("words") == ["a crash log: KeyError\n"]
        place.story.happened["fault bug"] += 1
        assert not place.objections("words")

    def test_probe_that_was_not_done(self, place: Place) -> None:
        number = place.task()
        place.story.probes = [(AGENT, number, place.ran("nothing\n"))]
        assert place.objections("takes work")
        place.site.board.sql("UPDATE tasks SET status = 'dev_done'")
        assert not place.objections("takes work")
