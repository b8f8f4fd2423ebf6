"""`worktree.*` as a person or a script calls them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.repos import Repo, make_repo

if TYPE_CHECKING:
    from pathlib import Path


class Hpm:
    """`hpm` in a repository, with an environment from nothing."""

    def __init__(self, repo: Repo, home: Path) -> None:
        self.repo = repo
        self.home = home

    def __call__(self, *args: str, stdin: str = "", code: int = 0, cwd: Path | None = None) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "hpm_tools.cli.hpm", *args],
            cwd=cwd or self.repo.root,
            env={
                **self.repo.environment,
                "HEADLESS_PM_HOME": str(self.home / ".headless-pm"),
                "HEADLESS_PM_API_URL": "http://127.0.0.1:9",
                "HEADLESS_PM_API_KEY": "a-key-of-tests",
                "HEADLESS_PM_ROLE": "backend_dev",
            },
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=600,
            check=False,
        )
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        self.stderr = done.stderr
        return done.stdout

    def json(self, *args: str, code: int = 0) -> Any:
        return json.loads(self(*args, "--json", code=code))


@pytest.fixture
def hpm(repo: Repo, isolated: Path) -> Hpm:
    return Hpm(repo, isolated)


TASK = {
    "id": 5,
    "feature_id": 1,
    "epic_id": 1,
    "title": "Prices",
    "description": "",
    "created_by": "pm_001",
    "target_role": "backend_dev",
    "difficulty": "senior",
    "complexity": "major",
    "branch": "main",
    "status": "created",
    "created_at": "2026-01-01T00:00:00",
    "updated_at": "2026-01-01T00:00:00",
}


def salvage_of(hpm: Hpm, task: int = 12, name: str = "left.txt") -> str:
    path = hpm("worktree.add", "--task-id", str(task)).strip()
    hpm.repo.write({f"{path}/{name}": f"{name}\n"})
    return hpm("worktree.remove", "--task-id", str(task)).strip()


def test_add_prints_the_path_and_says_the_same_again(hpm: Hpm, repo: Repo) -> None:
    path = repo.root / ".worktrees" / "task-12"
    assert hpm("worktree.add", "--task-id", "12", "--branch", "main") == f"{path}\n"
    assert hpm("worktree.add", "--task-id", "12", cwd=path / "src") == f"{path}\n"
    assert hpm.json("worktree.add", "--task-id", "12", "--repo", str(repo.root)) == {
        "path": str(path),
        "task_id": 12,
        "branch": "feature/task-12",
        "base": repo.git("rev-parse", "main"),
        "existed": True,
        "in_place": False,
    }


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ((), 2),
        (("--task-id", "x"), 2),
        (("--task-id", "0"), 2),
        (("--task-id", "1", "--branch", "../x"), 2),
        (("--task-id", "1", "--branch", "-x"), 2),
        (("--task-id", "1", "--base", "-x"), 2),
        (("--task-id", "1", "--base", "nope"), 65),
        (("--agent-id", "../x"), 2),
        (("--agent-id", "nobody"), 3),
    ],
)
def test_bad_input_gets_one_line_and_its_code(hpm: Hpm, repo: Repo, args: tuple[str, ...], code: int) -> None:
    assert hpm("worktree.add", *args, code=code) == ""
    assert hpm.stderr.startswith("error: ") == (code != 3)
    assert repo.git("worktree", "list").count("\n") == 0


def test_outside_a_repository_it_is_a_configuration_error(hpm: Hpm, tmp_path: Path) -> None:
    for command in ("worktree.add", "worktree.remove", "worktree.list", "worktree.prune"):
        task = ["--task-id", "1"] if command in ("worktree.add", "worktree.remove") else []
        hpm(command, *task, code=78, cwd=tmp_path)


def test_remove_prints_the_salvage_or_nothing(hpm: Hpm, repo: Repo) -> None:
    assert hpm("worktree.remove", "--task-id", "12").strip() == ""
    hpm("worktree.add", "--task-id", "12")
    assert hpm("worktree.remove", "--task-id", "12").strip() == ""
    ref = salvage_of(hpm)
    assert repo.show(f"{ref}:left.txt") == "left.txt"
    path = hpm("worktree.add", "--task-id", "7").strip()
    repo.commit({".gitignore": ".env\n"}, at=repo.root / ".worktrees" / "task-7")
    repo.write({f"{path}/.env": "K=1\n"})
    data = hpm.json("worktree.remove", "--path", path, "--agent-id", "dev_001")
    assert data["salvage"].startswith("refs/hpm/salvage/dev_001/7/")
    assert data["archive"].endswith(".tar")
    assert data["kept_because"] is None


def test_a_path_that_cannot_be_is_a_place_where_nothing_is(hpm: Hpm, repo: Repo) -> None:
    place = hpm("worktree.add", "--task-id", "12").strip()
    hpm("worktree.remove", "--path", "", code=2, cwd=repo.root / place)
    assert os.path.isdir(place), "an empty path removed the worktree around the caller"
    assert hpm("worktree.remove", "--path", "x" * 5000) == ""
    assert "nothing to remove" in hpm.stderr
    assert os.path.isdir(place)


def test_what_cannot_be_saved_stays_and_is_an_exit_code(hpm: Hpm, repo: Repo) -> None:
    path = hpm("worktree.add", "--task-id", "12").strip()
    make_repo(repo.root / ".worktrees" / "task-12" / "inner")
    assert hpm("worktree.remove", "--task-id", "12", code=1).strip() == ""
    assert f"{path} stays: there is a repository of its own at inner/" in hpm.stderr
    hpm("worktree.remove", "--path", str(repo.root), code=65)
    hpm("worktree.remove", code=2)


@pytest.mark.fault("salvage-handled")
def test_list_shows_worktrees_salvage_and_what_was_moved_aside(hpm: Hpm, repo: Repo) -> None:
    assert hpm("worktree.list").strip() == ""
    assert hpm.json("worktree.list") == {"worktrees": [], "salvage": [], "kept": []}
    ref = salvage_of(hpm)
    repo.write({".worktrees/task-8/precious.txt": "x"})
    hpm("worktree.add", "--task-id", "8")
    data = hpm.json("worktree.list")
    [worktree], [salvaged], [kept] = data["worktrees"], data["salvage"], data["kept"]
    assert (worktree["task_id"], worktree["branch"], worktree["state"]) == (8, "feature/task-8", "ready")
    assert (salvaged["ref"], salvaged["task_id"], salvaged["merged"]) == (ref, 12, False)
    assert "task-8-" in kept
    text = hpm("worktree.list")
    for shown in (ref, "feature/task-8", kept):
        assert shown in text


@pytest.mark.fault("salvage-handled")
def test_restore_makes_a_worktree_or_fills_a_checkout(hpm: Hpm, repo: Repo) -> None:
    ref = salvage_of(hpm)
    path = hpm("worktree.restore", "--ref", ref).strip()
    assert path == hpm("worktree.restore", "--ref", ref.removeprefix("refs/hpm/salvage/")).strip()
    assert repo.git("status", "--short", cwd=repo.root / ".worktrees" / path) == "?? left.txt"
    data = hpm.json("worktree.restore", "--ref", ref, "--to", str(repo.root))
    assert data == {"ref": ref, "path": str(repo.root), "files": ["left.txt"]}
    assert repo.git("status", "--short") == "?? left.txt"
    assert hpm("worktree.remove", "--path", path).strip() == ref
    repo.write({"mine.txt": "x"})
    hpm("worktree.restore", "--ref", ref, "--to", str(repo.root), code=73)
    hpm("worktree.restore", "--ref", "nope/1/2", code=65)
    hpm("worktree.restore", "--ref", "a b", code=2)


@pytest.mark.fault("salvage-handled")
def test_prune_deletes_salvage_only_on_command(hpm: Hpm, repo: Repo) -> None:
    ref = salvage_of(hpm)
    hpm("worktree.prune")
    assert hpm.json("worktree.prune", "--salvage")["left"] == []
    assert hpm.json("worktree.prune", "--salvage", "--older-than", "0")["left"] == [ref]
    assert "1 salvage would be deleted; --yes deletes it" in hpm.stderr
    assert list(repo.refs("refs/hpm/salvage/")) == [ref]
    hpm("worktree.prune", "--salvage", "--older-than", "-1", code=2)
    data = hpm.json("worktree.prune", "--salvage", "--older-than", "0", "--yes")
    assert (data["deleted"], data["left"]) == ([ref], [])
    assert repo.refs("refs/hpm/salvage/") == {}


def test_prune_deletes_an_archive_with_the_last_salvage_that_names_it(hpm: Hpm, repo: Repo) -> None:
    repo.commit({".gitignore": ".env\n"})
    path = hpm("worktree.add", "--task-id", "12").strip()
    repo.write({f"{path}/.env": "K=1\n"})
    hpm("worktree.remove", "--task-id", "12")
    folder = repo.root / ".git" / "hpm" / "archive"
    assert len(list(folder.iterdir())) == 1
    hpm("worktree.prune", "--salvage", "--older-than", "0", "--yes")
    assert list(folder.iterdir()) == []


def test_prune_forgets_what_is_gone_and_keeps_what_was_staged_in_it(
    hpm: Hpm, repo: Repo, tmp_path: Path
) -> None:
    place = repo.root / ".worktrees" / "task-12"
    hpm("worktree.add", "--task-id", "12")
    repo.write({"staged.txt": "x"}, at=place)
    repo.git("add", "staged.txt", cwd=place)
    place.rename(tmp_path / "gone")
    hpm("worktree.add", "--task-id", "13")
    hpm("worktree.remove", "--task-id", "13")
    repo.git("branch", "-q", "-D", "feature/task-13")
    repo.git("update-ref", "refs/hpm/before/run1/heads/main", "main")
    data = hpm.json("worktree.prune")
    assert data["worktrees"] == [str(place)]
    assert sorted(data["refs"]) == ["refs/hpm/before/run1/heads/main", "refs/hpm/owner/feature/task-13"]
    assert len(data["salvaged"]) == 1
    assert hpm.json("worktree.prune") == {**data, "worktrees": [], "refs": [], "salvaged": []}


def test_an_agents_place_is_its_records(hpm: Hpm, repo: Repo) -> None:
    token = hpm("lock", "--local", "--agent-id", "dev_001", "--task", json.dumps(TASK)).strip()
    data = hpm.json("worktree.add", "--agent-id", "dev_001", "--token", token)
    assert (data["task_id"], data["in_place"], data["existed"]) == (5, False, False)
    assert data["path"] == str(repo.root / ".worktrees" / "task-5")
    assert hpm.json("worktree.add", "--agent-id", "dev_001", "--token", token)["existed"]
    hpm("worktree.add", "--agent-id", "dev_001", "--token", "wrong", code=75)
    hpm("worktree.add", "--agent-id", "dev_001", "--token", token, "--task-id", "6", code=2)
    hpm("worktree.remove", "--agent-id", "dev_001", "--token", token, code=2)
    assert "has not been reported" in hpm.stderr
    assert hpm.json("worktree.add", "--task-id", "5")["existed"]
