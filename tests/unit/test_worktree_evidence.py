"""What an agent did, judged by git alone, while other people and other agents use the repository too."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from hpm_tools.errors import Misconfigured
from hpm_tools.worktree import attribution
from hpm_tools.worktree.evidence import Snapshot, commit_leftovers, delta
from hpm_tools.worktree.git import GitError
from hpm_tools.worktree.refs import BEFORE
from tests.support.repos import Repo, key, make_repo

if TYPE_CHECKING:
    from pathlib import Path

OWN = "feature/task-12"


@pytest.fixture
def place(repo: Repo) -> Path:
    return repo.worktrees().add_for_task(key()).path


@pytest.fixture
def snapshot(place: Path) -> Snapshot:
    return Snapshot.take(place, "run1")


def test_an_agent_that_did_nothing_leaves_no_evidence(place: Path, snapshot: Snapshot) -> None:
    found = delta(place, snapshot)
    assert (found.commits, found.dirty, found.tampering, found.moved_refs) == ([], [], [], [])
    assert (found.moved_by_someone, found.unfinished) == (None, None)
    assert (found.base, found.branch) == (found.head, OWN)


def test_commits_and_leftovers_are_seen_and_the_record_keeps_the_snapshot(
    repo: Repo, place: Path, snapshot: Snapshot
) -> None:
    commits = [repo.commit({f"{name}.txt": name}, at=place) for name in "abc"]
    repo.write({"left.txt": "x", ".bashrc": ""}, at=place)
    (place / ".bashrc").chmod(0o444)
    kept = Snapshot.from_json(json.loads(json.dumps(snapshot.to_json())))
    assert kept == snapshot
    found = delta(place, kept)
    assert found.commits == commits
    assert found.dirty == ["left.txt"]
    assert json.loads(json.dumps(found.to_json()))["head"] == commits[-1]


def test_a_snapshot_that_is_none_is_a_configuration_error(
    place: Path, snapshot: Snapshot, repo: Repo
) -> None:
    with pytest.raises(Misconfigured):
        Snapshot.from_json({"run_id": "x"})
    with pytest.raises(Misconfigured):
        delta(repo.root, snapshot)


def test_work_before_the_first_commit_counts(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "unborn", files={})
    snapshot = Snapshot.take(repo.root, "run1")
    assert (snapshot.head, snapshot.branch) == (None, "main")
    repo.write({"a.txt": "a"})
    assert delta(repo.root, snapshot).dirty == ["a.txt"]
    first = commit_leftovers(repo.root, "the first")
    found = delta(repo.root, snapshot)
    assert (found.commits, found.moved_by_someone) == ([first], None)


def test_a_person_and_another_agent_work_meanwhile_and_both_survive(
    repo: Repo, place: Path, snapshot: Snapshot, tmp_path: Path
) -> None:
    other = repo.worktrees().add_for_task(key(13))
    another = Snapshot.take(place, "run2")
    upstream = make_repo(tmp_path / "upstream")
    repo.git("remote", "add", "origin", str(upstream.root))
    repo.git("fetch", "-q", "origin")
    mains = repo.commit({"person.txt": "x"})
    theirs = repo.commit({"agent.txt": "x"}, at=other.path)
    repo.git("branch", "-q", "--track", "tracking", "origin/main")
    found = delta(place, another)
    assert found.tampering == []
    assert found.moved_by_someone is None
    assert [line.split(" was ")[0] for line in found.moved_refs] == ["refs/heads/main"]
    assert repo.git("rev-parse", "main") == mains
    assert repo.git("rev-parse", "feature/task-13") == theirs
    assert repo.git("config", "branch.tracking.remote") == "origin"
    assert delta(place, snapshot).tampering == []


@pytest.mark.fault("branches-moved")
def test_moved_and_deleted_refs_stay_and_their_old_values_are_kept(repo: Repo, place: Path) -> None:
    repo.git("branch", "doomed")
    repo.git("tag", "v1")
    repo.write({"x": "x"})
    repo.git("stash", "-u")
    stash = repo.git("rev-parse", "refs/stash")
    main = repo.commit({"b.txt": "b"})
    snapshot = Snapshot.take(place, "run1")
    doomed = repo.git("rev-parse", "doomed")
    repo.git("update-ref", "refs/heads/main", doomed, cwd=place)
    repo.git("branch", "-q", "-D", "doomed", cwd=place)
    repo.git("tag", "-d", "v1", cwd=place)
    repo.git("stash", "drop", cwd=place)
    found = delta(place, snapshot)
    assert {line.split(" was ")[0].split(", kept")[0] for line in found.tampering} == {
        "refs/heads/main",
        "refs/heads/doomed",
        "refs/tags/v1",
        "the stash lost 1 entry of 1",
    }
    assert repo.refs(BEFORE) == {
        f"{BEFORE}run1/heads/main": main,
        f"{BEFORE}run1/heads/doomed": doomed,
        f"{BEFORE}run1/tags/v1": doomed,
        f"{BEFORE}run1/stash/0000": stash,
    }
    assert repo.git("rev-parse", "main") == doomed
    assert delta(place, snapshot).tampering == found.tampering
    assert len(repo.refs(BEFORE)) == 4


def test_salvage_that_an_agent_deletes_is_kept(repo: Repo, place: Path) -> None:
    commit = repo.git("rev-parse", "HEAD")
    repo.git("update-ref", "refs/hpm/salvage/dev/1/20260101T000000Z", commit)
    snapshot = Snapshot.take(place, "run1")
    repo.git("update-ref", "-d", "refs/hpm/salvage/dev/1/20260101T000000Z")
    assert len(delta(place, snapshot).tampering) == 1
    assert repo.refs(BEFORE) == {f"{BEFORE}run1/hpm/salvage/dev/1/20260101T000000Z": commit}


def test_main_moved_on_to_the_agents_commit_is_told_and_its_old_value_kept(
    repo: Repo, place: Path, snapshot: Snapshot
) -> None:
    old = repo.git("rev-parse", "main")
    commit = repo.commit({"a.txt": "a"}, at=place)
    repo.git("update-ref", "refs/heads/main", commit)
    found = delta(place, snapshot)
    assert found.tampering == []
    assert len(found.moved_refs) == 1
    assert repo.refs(BEFORE) == {f"{BEFORE}run1/heads/main": old}


def test_a_branch_of_the_agents_own_is_brought_home(repo: Repo, place: Path, snapshot: Snapshot) -> None:
    repo.git("checkout", "-q", "-b", "my-idea", cwd=place)
    commit = repo.commit({"a.txt": "a"}, at=place)
    repo.write({"left.txt": "x"}, at=place)
    found = delta(place, snapshot)
    assert found.moved_by_someone is None
    assert (found.branch, found.commits) == (OWN, [commit])
    assert "undone: feature/task-12 has its commits" in found.moved_refs[0]
    assert repo.git("branch", "--show-current", cwd=place) == OWN
    last = commit_leftovers(place, "left")
    assert repo.git("rev-parse", OWN) == last
    assert repo.git("rev-parse", "my-idea") == commit
    assert delta(place, snapshot).moved_refs == []


@pytest.mark.parametrize("how", ["detached", "renamed"])
def test_a_detached_head_and_a_renamed_branch_are_brought_home(
    repo: Repo, place: Path, snapshot: Snapshot, how: str
) -> None:
    repo.git(
        *(["checkout", "-q", "--detach"] if how == "detached" else ["branch", "-m", "better"]), cwd=place
    )
    commit = repo.commit({"a.txt": "a"}, at=place)
    assert delta(place, snapshot).moved_by_someone is None
    assert repo.git("rev-parse", OWN) == commit


def test_work_on_two_branches_at_once_is_not_mixed(repo: Repo, place: Path, snapshot: Snapshot) -> None:
    own = repo.commit({"a.txt": "a"}, at=place)
    repo.git("checkout", "-q", "-b", "other", "main", cwd=place)
    repo.commit({"b.txt": "b"}, at=place)
    found = delta(place, snapshot)
    assert found.moved_by_someone == "the checkout was switched from feature/task-12 to other"
    assert repo.git("rev-parse", OWN) == own


def test_rewriting_its_own_branch_is_the_agents_right(repo: Repo, place: Path) -> None:
    old = repo.commit({"a.txt": "a"}, at=place)
    snapshot = Snapshot.take(place, "run1")
    main = repo.commit({"main.txt": "x"})
    repo.git("rebase", "-q", "main", cwd=place)
    new = repo.commit({"b.txt": "b"}, at=place)
    found = delta(place, snapshot)
    assert found.moved_by_someone is None
    assert found.commits[-1] == new
    assert main in found.commits
    assert repo.refs(BEFORE)[f"{BEFORE}run1/heads/{OWN}"] == old


def test_a_rebase_left_half_done_is_told(repo: Repo, place: Path) -> None:
    repo.commit({"a.txt": "ours"}, at=place)
    repo.commit({"a.txt": "theirs"})
    snapshot = Snapshot.take(place, "run1")
    assert repo.fails("rebase", "main", cwd=place)
    found = delta(place, snapshot)
    assert (found.unfinished, found.moved_by_someone) == ("rebase", "a rebase was left unfinished")
    assert commit_leftovers(place, "no") is None


def test_a_reviewer_may_look_around(repo: Repo) -> None:
    commit = repo.git("rev-parse", "HEAD")
    place = repo.worktrees().add_for_review(key(), commit=commit).path
    snapshot = Snapshot.take(place, "run1")
    assert snapshot.branch is None
    repo.git("checkout", "-q", "-b", "look", cwd=place)
    assert delta(place, snapshot).moved_by_someone is None


def test_in_the_checkout_a_switched_branch_stops_everything(repo: Repo) -> None:
    repo.git("branch", "other")
    snapshot = Snapshot.take(repo.root, "run1")
    repo.git("checkout", "-q", "other")
    assert delta(repo.root, snapshot).moved_by_someone == "the checkout was switched from main to other"


def test_in_the_checkout_a_head_taken_back_stops_everything(repo: Repo) -> None:
    repo.commit({"a.txt": "a"})
    snapshot = Snapshot.take(repo.root, "run1")
    repo.git("reset", "-q", "--hard", "HEAD~1")
    assert "main was moved away from" in str(delta(repo.root, snapshot).moved_by_someone)


def test_in_the_checkout_a_persons_commit_is_told_from_the_agents(repo: Repo) -> None:
    snapshot = Snapshot.take(repo.root, "run1", attributed=True)
    agent = attribution.environment("run1")
    repo.write({"a.txt": "a"})
    repo.git("add", "a.txt", env=agent)
    repo.git("commit", "-q", "-m", "the agent's", env=agent)
    repo.git("checkout", "-q", "-b", "aside", env=agent)
    repo.git("commit", "-q", "--amend", "-m", "better", env=agent)
    repo.git("reset", "-q", "--soft", "HEAD", env=agent)
    repo.git("checkout", "-q", "main", env=agent)
    assert delta(repo.root, snapshot).moved_by_someone is None
    repo.write({"left.txt": "x"})
    commit_leftovers(repo.root, "the runner's")
    assert delta(repo.root, snapshot).moved_by_someone is None
    repo.commit({"person.txt": "x"}, "a person's fix")
    assert (
        delta(repo.root, snapshot).moved_by_someone
        == "HEAD was moved by someone else (commit: a person's fix)"
    )


def test_in_the_checkout_the_agents_own_branch_is_brought_home_if_it_is_surely_its_own(repo: Repo) -> None:
    snapshot = Snapshot.take(repo.root, "run1", attributed=True)
    agent = attribution.environment("run1")
    repo.git("checkout", "-q", "-b", "my-idea", env=agent)
    repo.write({"a.txt": "a"})
    repo.git("add", "a.txt")
    repo.git("commit", "-q", "-m", "x", env=agent)
    found = delta(repo.root, snapshot)
    assert found.moved_by_someone is None
    assert repo.git("branch", "--show-current") == "main"
    assert repo.git("rev-parse", "main") == found.head


def test_leftovers_become_one_commit_by_the_configured_author(repo: Repo, place: Path) -> None:
    repo.git("config", "--global", "user.name", "Op")
    repo.git("config", "--global", "user.email", "op@example.org")
    repo.commit({"gone.txt": "x", "run.sh": "x"}, at=place)
    repo.git("config", "--global", "commit.gpgSign", "true")
    (place / "gone.txt").unlink()
    (place / "run.sh").chmod(0o755)
    repo.write({"deep/new.txt": "new", "staged.txt": "s", ".mcp.json": ""}, at=place)
    (place / ".mcp.json").chmod(0o444)
    repo.git("add", "staged.txt", cwd=place)
    commit = commit_leftovers(place, "task 12: Prices\n\nLeft by the agent.\n")
    assert commit == repo.git("rev-parse", OWN)
    assert repo.git("status", "--short", cwd=place) == "?? .mcp.json"
    assert repo.git("log", "-1", "--format=%an <%ae>|%cn|%s", OWN) == "Op <op@example.org>|Op|task 12: Prices"
    assert repo.git("diff", "--name-status", "HEAD~1", "HEAD", cwd=place).splitlines() == [
        "A\tdeep/new.txt",
        "D\tgone.txt",
        "M\trun.sh",
        "A\tstaged.txt",
    ]
    assert commit_leftovers(place, "again") is None


def test_where_nobody_is_configured_hpm_tools_signs(repo: Repo, place: Path) -> None:
    repo.write({"a.txt": "a"}, at=place)
    commit = commit_leftovers(place, "x")
    assert repo.git("log", "-1", "--format=%an <%ae>", str(commit)) == "hpm-tools <hpm-tools@localhost>"


@pytest.mark.parametrize("key", ["user.name", "author.name", "committer.name"])
@pytest.mark.parametrize("value", ["", " ", "..", "<>"])
def test_hpm_tools_signs_where_the_configuration_names_nobody(
    repo: Repo, place: Path, key: str, value: str
) -> None:
    repo.git("config", "user.name", "Op")
    repo.git("config", "user.email", "op@example.org")
    repo.git("config", key, value)
    repo.write({"a.txt": "a"}, at=place)
    commit = commit_leftovers(place, "x")
    signed = repo.git("log", "-1", "--format=%an <%ae>|%cn <%ce>", str(commit))
    assert "op@example.org" in signed
    assert " <" in signed.removeprefix(" "), "both have a name"


def test_an_empty_name_in_the_environment_names_nobody(
    repo: Repo, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_AUTHOR_NAME", "")
    repo.write({"a.txt": "a"}, at=place)
    commit = commit_leftovers(place, "x")
    assert repo.git("log", "-1", "--format=%an", str(commit)) == "hpm-tools"


def test_the_environments_identity_wins(repo: Repo, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Env")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "env@example.org")
    repo.write({"a.txt": "a"}, at=place)
    assert repo.git("log", "-1", "--format=%an", str(commit_leftovers(place, "x"))) == "Env"


def test_a_resolved_merge_is_concluded(repo: Repo, place: Path) -> None:
    repo.commit({"a.txt": "a"}, at=place)
    theirs = repo.commit({"b.txt": "b"})
    repo.git("merge", "-q", "--no-commit", "main", cwd=place)
    commit = commit_leftovers(place, "merged")
    assert repo.git("log", "-1", "--format=%P", str(commit)).split()[1] == theirs
    assert repo.git("status", "--short", "--branch", cwd=place) == "## feature/task-12"
    assert commit_leftovers(place, "again") is None


def test_conflicts_are_not_committed(repo: Repo, place: Path) -> None:
    repo.commit({"a.txt": "ours"}, at=place)
    repo.commit({"a.txt": "theirs"})
    assert repo.fails("merge", "main", cwd=place)
    head = repo.git("rev-parse", OWN)
    assert commit_leftovers(place, "no") is None
    assert repo.git("rev-parse", OWN) == head


def test_a_repository_inside_is_left_out(repo: Repo, place: Path) -> None:
    make_repo(place / "inner")
    assert commit_leftovers(place, "nothing") is None
    repo.write({"a.txt": "a"}, at=place)
    commit = commit_leftovers(place, "x")
    assert repo.git("ls-tree", "-r", "--name-only", str(commit)).splitlines() == [
        "README.md",
        "a.txt",
        "src/shop.py",
    ]


def test_a_file_where_a_directory_was_is_committed(repo: Repo, place: Path) -> None:
    (place / "src" / "shop.py").unlink()
    (place / "src").rmdir()
    repo.write({"src": "now a file"}, at=place)
    (place / "README.md").unlink()
    repo.write({"README.md/inner": "now a directory"}, at=place)
    commit_leftovers(place, "x")
    assert repo.git("ls-tree", "-r", "--name-only", OWN).splitlines() == ["README.md/inner", "src"]
    assert repo.git("status", "--short", cwd=place) == ""


def test_a_lock_left_by_a_killed_git_is_removed(repo: Repo, place: Path) -> None:
    repo.write({"a.txt": "a"}, at=place)
    for lock in ("worktrees/task-12/index.lock", "worktrees/task-12/HEAD.lock", f"refs/heads/{OWN}.lock"):
        (repo.root / ".git" / lock).touch()
    assert commit_leftovers(place, "x") is not None
    assert repo.git("status", "--short", cwd=place) == ""


def test_a_worktree_that_was_unregistered_is_registered_again(
    repo: Repo, place: Path, snapshot: Snapshot
) -> None:
    commit = repo.commit({"a.txt": "a"}, at=place)
    repo.write({"left.txt": "x"}, at=place)
    admin = repo.root / ".git" / "worktrees" / "task-12"
    admin.rename(repo.root / "elsewhere")
    found = delta(place, snapshot)
    assert "unregistered" in found.tampering[0]
    assert (found.commits, found.dirty, found.moved_by_someone) == ([commit], ["left.txt"], None)
    assert delta(place, snapshot).tampering == []
    assert repo.git("status", "--short", cwd=place) == "?? left.txt"
    removed = repo.worktrees().remove(place, agent_id="dev_001")
    assert repo.show(f"{removed.salvage}:left.txt") == "x"


def test_a_worktree_that_was_removed_is_told(repo: Repo, place: Path, snapshot: Snapshot) -> None:
    commit = repo.commit({"a.txt": "a"}, at=place)
    repo.git("worktree", "remove", "-f", "-f", str(place))
    found = delta(place, snapshot)
    assert found.moved_by_someone == f"{place} was removed"
    assert (found.head, found.commits, list(found.dirty)) == (commit, [commit], [])
    assert not repo.worktrees().add_for_task(key()).existed


@pytest.mark.parametrize("content", [b"", b"garbage", b"DIRC\0\0\0\2\0\0\0\5cut off"])
def test_an_index_cut_off_by_a_power_cut_is_made_again(
    repo: Repo, place: Path, snapshot: Snapshot, content: bytes
) -> None:
    repo.write({"left.txt": "x", "README.md": "changed"}, at=place)
    (repo.root / ".git" / "worktrees" / "task-12" / "index").write_bytes(content)
    assert sorted(delta(place, snapshot).dirty) == ["README.md", "left.txt"]
    assert repo.git("status", "--short", cwd=place).splitlines() == [" M README.md", "?? left.txt"]


def test_a_persons_broken_index_is_left_to_the_person(repo: Repo) -> None:
    (repo.root / ".git" / "index").write_bytes(b"garbage")
    with pytest.raises(GitError):
        repo.repository().dirty()
    assert (repo.root / ".git" / "index").read_bytes() == b"garbage"


def test_old_values_that_a_branch_contains_do_not_pile_up(repo: Repo, place: Path) -> None:
    for number in range(105):
        repo.git("update-ref", f"{BEFORE}old{number}/heads/main", "main")
    snapshot = Snapshot.take(place, "run1")
    old = repo.git("rev-parse", "main")
    repo.commit({"a.txt": "a"})
    delta(place, snapshot)
    assert repo.refs(BEFORE) == {f"{BEFORE}run1/heads/main": old}


def test_repositories_with_long_ids_work_as_well(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "long")
    repo.root.mkdir()
    repo.git("init", "-q", "-b", "main", "--object-format=sha256")
    repo.commit({"a.txt": "a", "gone.txt": "x"})
    worktrees = repo.worktrees()
    place = worktrees.add_for_task(key()).path
    snapshot = Snapshot.take(place, "run1")
    repo.write({"b.txt": "b"}, at=place)
    (place / "gone.txt").unlink()
    commit = commit_leftovers(place, "x")
    assert delta(place, snapshot).commits == [commit]
    repo.write({"c.txt": "c"}, at=place)
    (place / "a.txt").unlink()
    removed = worktrees.remove(place)
    assert repo.show(f"{removed.salvage}:c.txt") == "c"
    back, restored = worktrees.restore(str(removed.salvage))
    assert sorted(restored) == ["a.txt", "c.txt"]
    assert not (back / "a.txt").exists()


def test_a_lost_commit_does_not_cost_the_others(repo: Repo, place: Path) -> None:
    repo.git("checkout", "-q", "-b", "pruned")
    repo.commit({"pruned.txt": "x"})
    repo.git("checkout", "-q", "-b", "kept", "main")
    kept = repo.commit({"kept.txt": "x"})
    repo.git("checkout", "-q", "main")
    snapshot = Snapshot.take(place, "run1")
    repo.git("branch", "-q", "-D", "pruned")
    repo.git("reflog", "expire", "--expire=now", "--all")
    repo.git("gc", "-q", "--prune=now")
    repo.git("branch", "-q", "-D", "kept")
    assert len(delta(place, snapshot).tampering) == 2
    assert repo.refs(BEFORE) == {f"{BEFORE}run1/heads/kept": kept}
