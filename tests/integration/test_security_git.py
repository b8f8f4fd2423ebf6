"""Agents that turn git against the runner, people and other agents who work meanwhile: shown on whole runs."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.hostile import python
from tests.support.repos import Repo, make_repo
from tests.support.runners import Desk, script
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

HOOKS = ("post-checkout", "post-commit", "pre-commit", "post-index-change", "reference-transaction")
SETTINGS = {
    "core.fsmonitor": "{trap}",
    "core.hooksPath": "{hooks}",
    "core.sshCommand": "{trap}",
    "core.pager": "{trap}",
    "filter.evil.clean": "{trap}",
    "filter.evil.smudge": "{trap}",
    "filter.evil.process": "{trap}",
    "diff.evil.textconv": "{trap}",
    "merge.evil.driver": "{trap}",
    "gpg.program": "{trap}",
    "credential.helper": "!{trap}",
    "include.path": "{included}",
}

ATTACK = """
    import os, pathlib, subprocess
    if os.path.exists({unless!r}):
        raise SystemExit
    def git(*words): subprocess.run(["git", *words], check=True)
    common = pathlib.Path(subprocess.check_output(
        ["git", "rev-parse", "--path-format=absolute", "--git-common-dir"], text=True).strip())
    for branch in {moved!r}:
        git("update-ref", f"refs/heads/{{branch}}", {first!r})
    git("branch", "-q", "-D", "doomed")
    git("tag", "-d", "v1")
    pathlib.Path("work.txt").write_text("work")
    pathlib.Path(".gitattributes").write_text("* diff=evil merge=evil\\n{filtered} filter=evil")
    (common / "info").mkdir(exist_ok=True)
    (common / "info" / "attributes").write_text("{filtered} filter=evil")
    (common / "hooks").mkdir(exist_ok=True)
    for name in {hooks!r}:
        hook = common / "hooks" / name
        hook.write_text("#!/bin/sh\\nexec {trap}\\n")
        hook.chmod(0o755)
    with open(common / "config", "a") as config:
        for name, value in {settings!r}.items():
            section, _, key = name.rpartition(".")
            top, _, sub = section.partition(".")
            head = f'[{{top}} "{{sub}}"]' if sub else f"[{{top}}]"
            config.write(f"{{head}}\\n\\t{{key}} = {{value}}\\n")
        config.write("[commit]\\n\\tgpgSign = true\\n")
    if {pointer!r}:
        pathlib.Path(".git").write_text("gitdir: {pointer}\\n")
"""


@pytest.fixture
def repo(repo: Repo) -> Repo:
    repo.git("branch", "doomed")
    repo.git("tag", "v1")
    repo.commit({"second.txt": "second\n"})
    repo.git("branch", "other")
    return repo


class Trap:
    """Programs that an agent would like the runner to run; ``sprung`` says whether any was."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.program = directory / "trap"
        self.program.write_text(f"#!/bin/sh\necho \"$0 $*\" >> '{directory}/sprung'\nexec cat\n")
        self.program.chmod(0o755)
        self.hooks = directory / "hooks"
        self.hooks.mkdir()
        for name in HOOKS:
            (self.hooks / name).symlink_to(self.program)
        self.included = directory / "included"
        self.included.write_text(f'[filter "more"]\n\tclean = {self.program}\n', encoding="utf-8")
        self.evil = make_repo(directory / "evil")
        self.evil.git("config", "core.fsmonitor", str(self.program))

    @property
    def sprung(self) -> bool:
        return (self.program.parent / "sprung").exists()

    def attack(
        self, desk: Desk, *, pointer: bool, unless: Path | str = "", filtered: str = "*"
    ) -> dict[str, Any]:
        """The act of an agent that sets every trap, and moves and deletes refs; nothing if ``unless`` exists.

        ``filtered``: the files that its filter is for.
        """
        names = {"trap": self.program, "hooks": self.hooks, "included": self.included}
        settings = {name: value.format(**names) for name, value in SETTINGS.items()}
        return python(
            ATTACK.format(
                unless=str(unless),
                moved=["other"],
                first=desk.git("rev-parse", "v1"),
                hooks=HOOKS,
                settings=settings,
                trap=self.program,
                filtered=filtered,
                pointer=str(self.evil.root / ".git") if pointer else "",
            )
        )


@pytest.fixture
def trap(tmp_path: Path) -> Trap:
    return Trap(tmp_path / "trap")


def check_reported(desk: Desk, output: str, notes: str, run_id: str) -> None:
    """Each attack is in the notes and in the event lines, and old values of refs are kept for this run."""
    for where in (output, notes):
        for name in SETTINGS:
            assert f"{name} was set" in where or f"{name.lower()} was set" in where, name
        for name in HOOKS:
            assert f"hooks/{name} was added; it was not run" in where, name
        assert "info/attributes was added" in where
        for ref in ("refs/heads/other", "refs/heads/doomed", "refs/tags/v1"):
            assert f"{ref} was " in where, ref
            assert f"refs/hpm/before/{run_id}/{ref.removeprefix('refs/')}" in where, ref
    kept = desk.git("for-each-ref", "--format=%(refname)", f"refs/hpm/before/{run_id}").split()
    assert {name.removeprefix(f"refs/hpm/before/{run_id}/") for name in kept} >= {
        "heads/other",
        "heads/doomed",
        "tags/v1",
    }


def after_the_attack(desk: Desk) -> None:
    """Let a person's own git in this repository work again without springing the traps."""
    text = (desk.repo / ".git" / "config").read_text(encoding="utf-8")
    assert "fsmonitor" in text
    (desk.repo / ".git" / "config").write_text(text[: text.index("[core]\n\tfsmonitor")], encoding="utf-8")
    for name in HOOKS:
        (desk.repo / ".git" / "hooks" / name).unlink()
    (desk.repo / ".git" / "info" / "attributes").unlink()


@pytest.mark.fault("P7")
@pytest.mark.parametrize("status", ["done", "blocked"])
def test_what_an_agent_writes_into_git_is_never_run_and_all_of_it_is_told(
    status: str, desk: Desk, trap: Trap
) -> None:
    outcome = {"status": status, "summary": "as told"}
    task = desk.board.add_task(
        description=script(trap.attack(desk, pointer=True), outcome=outcome), complexity="major"
    )
    done = desk.run_single()
    assert done.returncode == 1, done.stdout + done.stderr
    assert not trap.sprung
    after_the_attack(desk)
    found = desk.board.task(task["id"])
    assert found["status"] == "pending"
    ((_, run_id, _, _),) = desk.agent_starts()
    check_reported(desk, done.stdout, found["notes"], run_id)
    assert f"task-{task['id']}/.git had been changed and was restored" in found["notes"]
    assert "had been changed and was restored" in done.stdout
    # The filter was not run, so that nothing is stored past it.
    place = desk.repo / ".worktrees" / f"task-{task['id']}"
    assert (place / "work.txt").read_text(encoding="utf-8") == "work"
    assert desk.git("rev-parse", f"feature/task-{task['id']}") == desk.git("rev-parse", "main")
    assert desk.git("rev-parse", "other") == desk.git("rev-parse", f"refs/hpm/before/{run_id}/tags/v1")
    assert trap.evil.git("log", "--oneline").count("\n") == 0


@pytest.mark.fault("git-rewritten")
def test_in_the_checkout_itself_it_is_no_different(desk: Desk, trap: Trap) -> None:
    task = desk.board.add_task(description=script(trap.attack(desk, pointer=False)), complexity="minor")
    done = desk.run_single()
    assert done.returncode == 1, done.stdout + done.stderr
    assert not trap.sprung
    after_the_attack(desk)
    ((_, run_id, _, _),) = desk.agent_starts()
    check_reported(desk, done.stdout, desk.board.task(task["id"])["notes"], run_id)
    assert (desk.repo / "work.txt").read_text(encoding="utf-8") == "work"


def test_the_next_task_and_qa_are_worked_among_the_traps(desk: Desk, trap: Trap) -> None:
    attack = trap.attack(desk, pointer=True, filtered="*.none")
    write = {"write": ["next.txt", "next"]}
    first = desk.board.add_task(description=script(attack), complexity="major")
    second = desk.board.add_task(description=script(write, as_qa={"do": [write]}), complexity="major")
    words = ["--agent-id", "dev_001", "--max-tasks", 2]
    done = desk.hpm("run", "--role", "backend_dev", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    desk.board.put(first["id"], "pm1", "committed")
    done = desk.run_single("qa", "qa_001")
    assert done.returncode == 0, done.stdout + done.stderr
    for command in ("health", "worktree.list", "worktree.prune"):
        assert desk.hpm(command, "--json").returncode in (0, 1)
    assert not trap.sprung
    assert desk.board.task(second["id"])["status"] == "qa_done"


def test_tampering_outlives_the_runner_that_would_have_told_it(
    desk: Desk, trap: Trap, tmp_path: Path
) -> None:
    ready, go = tmp_path / "ready", tmp_path / "go"
    attack = trap.attack(desk, pointer=True, unless=ready)
    acts = (attack, {"touch": str(ready)}, {"wait_for": str(go)})
    task = desk.board.add_task(description=script(*acts), complexity="major")
    with desk.start("run", "--role", "backend_dev", "--agent-id", "dev_001") as first:
        wait_until(ready.exists, what="the attack")
        first.signal(signal.SIGKILL)
        first.wait()
    go.touch()
    done = desk.run_single()
    assert done.returncode == 78, done.stdout + done.stderr
    assert "hpm trust" in done.stderr
    assert not trap.sprung
    after_the_attack(desk)
    check_reported(desk, done.stdout, desk.board.task(task["id"])["notes"], desk.agent_starts()[0][1])


@pytest.mark.fault("others-work-meanwhile")
def test_what_people_and_other_agents_do_meanwhile_survives(desk: Desk, tmp_path: Path) -> None:
    ready, go = tmp_path / "ready", tmp_path / "go"
    upstream = make_repo(tmp_path / "upstream")
    desk.git("remote", "add", "origin", str(upstream.root))
    desk.git("fetch", "-q", "origin")
    waiting = script({"write": ["a.txt", "a"]}, {"touch": str(ready)}, {"wait_for": str(go)})
    track = script(
        {"run": ["git", "branch", "-q", "--track", "tracking", "origin/main"]}, {"write": ["b.txt", "b"]}
    )
    one = desk.board.add_task(description=waiting, complexity="major")
    with desk.start("run", "--role", "backend_dev", "--agent-id", "dev_001", "--single-task") as runner:
        wait_until(ready.exists, what="the agent")
        mains = Repo(desk.repo).commit({"persons.txt": "mine\n"}, "a person's")
        two = desk.board.add_task(description=track, complexity="major")
        other = desk.run_single("backend_dev", "dev_002")
        assert other.returncode == 0, other.stdout + other.stderr
        go.touch()
        assert runner.wait() == 0, runner.output()
        told = runner.output()
    assert desk.git("rev-parse", "main") == mains
    assert desk.git("config", "branch.tracking.remote") == "origin"
    assert desk.git("rev-parse", "tracking") == desk.git("rev-parse", "origin/main")
    for task, name in ((one, "a"), (two, "b")):
        assert desk.git("show", f"feature/task-{task['id']}:{name}.txt") == name
        assert desk.board.task(task["id"])["status"] == "dev_done"
    assert "refs/heads/main was moved" in told
    assert "was not run" not in told + other.stdout


@pytest.mark.fault("others-work-meanwhile")
def test_a_persons_commit_in_the_checkout_stops_the_runner_from_committing_there(
    desk: Desk, tmp_path: Path
) -> None:
    ready, go = tmp_path / "ready", tmp_path / "go"
    acts = ({"write": ["agents.txt", "x"]}, {"touch": str(ready)}, {"wait_for": str(go)})
    task = desk.board.add_task(description=script(*acts), complexity="minor")
    with desk.start("run", "--role", "backend_dev", "--agent-id", "dev_001", "--single-task") as runner:
        wait_until(ready.exists, what="the agent")
        mains = Repo(desk.repo).commit({"persons.txt": "mine\n"}, "a person's")
        go.touch()
        assert runner.wait() == 1, runner.output()
    found = desk.board.task(task["id"])
    assert found["status"] == "pending"
    assert "HEAD was moved by someone else (commit: a person's)" in found["notes"]
    assert desk.git("rev-parse", "main") == mains
    (salvage,) = desk.git("for-each-ref", "--format=%(refname)", "refs/hpm/salvage").split()
    assert desk.git("show", f"{salvage}:agents.txt") == "x"
    assert salvage in found["notes"]


@pytest.mark.fault("ignored-files")
def test_more_ignored_files_than_are_archived_stay_and_health_shows_where(desk: Desk) -> None:
    big = python("open('big.bin', 'wb').truncate(101 << 20); open('.gitignore', 'w').write('big.bin')")
    task = desk.board.add_task(description=script(big), complexity="major")
    done = desk.run_single()
    assert done.returncode == 0, done.stdout + done.stderr
    place = desk.repo / ".worktrees" / f"task-{task['id']}"
    assert (place / "big.bin").stat().st_size == 101 << 20
    assert "stays" in done.stderr
    checks = json.loads(desk.hpm("health", "--json").stdout)["checks"]
    (line,) = [check for check in checks if check["name"] == "worktree"]
    assert (line["ok"], line["facts"]["path"]) == (None, str(place))
    (place / "big.bin").unlink()
    assert desk.hpm("worktree.remove", "--path", place).returncode == 0
    checks = json.loads(desk.hpm("health", "--json").stdout)["checks"]
    assert [check for check in checks if check["name"] == "worktree"] == []
