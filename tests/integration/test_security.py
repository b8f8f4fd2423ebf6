"""What a hostile agent, hook or task can learn and leave behind through whole `hpm` processes: nothing."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.support.hostile import files_below, python
from tests.support.repos import make_repo
from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "s3rvice/token+value-0815"

LOOT = """
    import base64, json, os, sys, urllib.parse
    loot = open({loot!r}).read().split()
    shown = [f(x) for x in loot for f in (
        str, lambda x: base64.b64encode(x.encode()).decode(), lambda x: urllib.parse.quote(x, safe=""), repr)]
    seen = {{"env": dict(os.environ), "argv": []}}
    pid = os.getpid()
    for _ in range(4):
        seen["argv"].append(open(f"/proc/{{pid}}/cmdline").read())
        pid = int(open(f"/proc/{{pid}}/stat").read().rpartition(")")[2].split()[1])
    json.dump(seen, open({seen!r}, "w"))
    for word in shown:
        print("found", word)
        print("found", word, file=sys.stderr)
    open("work.txt", "w").write("work")
    outcome = {{"status": {status!r}, "summary": "found " + " and ".join(shown), "findings": shown}}
    json.dump(outcome, open(os.environ["HPM_OUTCOME_FILE"], "w"))
"""

HOOK = """#!/bin/sh
env > '{seen}'.$HPM_HOOK
cat '{loot}'
cat '{loot}' >&2
exit {code}
"""


def written_down(desk: Desk) -> dict[str, bytes]:
    """All that a run left: state, board, git; by where it is. The operator's own config.yaml is his."""
    left = {str(path): content for path, content in files_below(desk.state)}
    left.pop(str(desk.state / "config.yaml"))
    for name, arguments in {
        "git log": ("log", "--all", "--format=%B%an%ae"),
        "git refs": ("for-each-ref",),
        "git reflog": ("reflog", "--all"),
    }.items():
        left[name] = desk.git(*arguments).encode()
    for table in ("tasks", "changelog"):
        left[f"board {table}"] = repr(desk.board.sql(f"SELECT * FROM {table}")).encode()
    return left


def disguises(secret: str) -> list[bytes]:
    return [
        secret.encode(),
        quote(secret, safe="").encode(),
        base64.b64encode(secret.encode()).rstrip(b"=")[:-1],
    ]


@pytest.mark.fault("P8")
@pytest.mark.parametrize(
    ("place", "status"), [("environment", "done"), ("config.yaml", "blocked"), (".env", "failed")]
)
def test_the_boards_key_and_other_secrets_reach_nobody_and_are_never_written_down(
    place: str, status: str, desk: Desk, tmp_path: Path
) -> None:
    key, loot, seen, hooks = desk.board.key, tmp_path / "loot", tmp_path / "seen", tmp_path / "hooks"
    loot.write_text(f"{key} {TOKEN}\n", encoding="utf-8")
    hooks.mkdir(mode=0o700)
    for name in ("pre_task", "post_task", "health_check"):
        failing = int(name == "post_task" and status == "failed")
        (hooks / f"{name}.sh").write_text(HOOK.format(seen=seen, loot=loot, code=failing), encoding="utf-8")
        (hooks / f"{name}.sh").chmod(0o700)
    extra: dict[str, Any] = {"SHOP_SERVICE_TOKEN": TOKEN}
    if place != "environment":
        extra["HEADLESS_PM_API_KEY"] = ""
    if place == "config.yaml":
        desk.configure(**json.loads((desk.state / place).read_text(encoding="utf-8")), api_key=key)
    if place == ".env":
        make_repo(desk.repo, files={".gitignore": ".env\n"})
        (desk.repo / ".env").write_text(f"API_KEY={key}\n", encoding="utf-8")
    agent = python(LOOT.format(loot=str(loot), seen=str(seen), status=status))
    task = desk.board.add_task(description=script(agent, outcome=None), complexity="major")

    words = ["run", "--role", "backend_dev", "--agent-id", "dev_001", "--single-task"]
    done = desk.hpm(*words, "--hooks-dir", hooks, **extra)

    assert done.returncode == int(status != "done"), done.stdout + done.stderr
    notes = desk.board.task(task["id"])["notes"]
    assert notes.count("[redacted]") >= 2
    known = json.loads(seen.read_text(encoding="utf-8"))
    environments = {"agent": repr(known["env"])}
    for name in ("pre_task", "post_task", "health_check"):
        environments[name] = seen.with_name(f"seen.{name}").read_text(encoding="utf-8")
    told = {**written_down(desk), "stdout": done.stdout.encode(), "stderr": done.stderr.encode()}
    for secret in (key, TOKEN):
        for who, environment in environments.items():
            assert secret not in environment, who
        assert not any(secret in argv for argv in known["argv"])
        for where, content in told.items():
            assert not [form for form in disguises(secret) if form in content], where
    assert any(where.endswith(".jsonl") and b"found [redacted]" in content for where, content in told.items())


@pytest.mark.fault("secrets-in-outputs")
@pytest.mark.parametrize("place", ["environment", "config.yaml"])
def test_a_crash_log_is_private_and_without_secrets(place: str, desk: Desk, tmp_path: Path) -> None:
    key = desk.board.key
    extra: dict[str, Any] = {
        "HPM_FAILPOINT": "taking.before:raise",
        "HPM_FAILPOINT_LOG": str(tmp_path / "points"),
    }
    if place == "config.yaml":
        desk.configure(role="backend_dev", api_key=key)
        extra["HEADLESS_PM_API_KEY"] = ""
    task = desk.board.add_task(complexity="major")
    offered = json.dumps({"id": task["id"], "title": f"use {key}"})
    done = desk.hpm("lock", "--agent-id", "dev_001", "--role", "backend_dev", "--task", offered, **extra)
    assert done.returncode == 70, done.stdout + done.stderr
    (log,) = (desk.state / "crashes").iterdir()
    text = log.read_text(encoding="utf-8")
    assert "InjectedFault" in text
    assert "use [redacted]" in text
    assert key not in text + done.stdout + done.stderr
    assert (log.stat().st_mode & 0o777, log.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.fault("umask")
@pytest.mark.parametrize("umask", ["000", pytest.param("002", marks=pytest.mark.extended)])
def test_whatever_the_umask_state_is_for_its_owner_alone(umask: str, desk: Desk) -> None:
    desk.configure(**{**json.loads((desk.state / "config.yaml").read_text()), "api_url": "embedded"})
    acts = {"do": [{"write": [".gitignore", "notes\n"]}, {"write": ["notes", "keep me\n"]}]}
    shell = f"""
        umask {umask}
        hpm() {{ '{sys.executable}' -m hpm_tools.cli.hpm "$@"; }}
        hpm pm.add --title one --role backend_dev --difficulty junior --description - || exit 1
        hpm run --role backend_dev --agent-id dev_001 --single-task || exit 2
        hpm lock --local --agent-id dev_002 --task-id 7 || exit 3
        export HPM_FAILPOINT=taking.before:raise HPM_FAILPOINT_LOG=/dev/null
        hpm lock --agent-id dev_001 --task-id 1 --force
        exit 0
    """
    done = subprocess.run(
        ["sh", "-c", shell],
        cwd=desk.repo,
        env={**desk.environment, "HEADLESS_PM_API_URL": "", "HEADLESS_PM_API_KEY": ""},
        input=json.dumps(acts),
        capture_output=True,
        encoding="utf-8",
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    entries = [desk.state, *desk.state.rglob("*"), *(desk.repo / ".git" / "hpm").rglob("*")]
    names = {path.name for path in entries}
    assert {"board.sqlite", "board.log", "runs", "tasks", "crashes", "events.sqlite", "archive"} <= names
    assert any(path.suffix == ".tar" for path in entries)
    wrong = {
        str(path): oct(path.stat().st_mode & 0o777)
        for path in entries
        if path.stat().st_mode & 0o777 != (0o700 if path.is_dir() else 0o600)
    }
    assert wrong == {}
    assert (desk.repo / ".git" / "hpm").stat().st_mode & 0o777 == 0o700


def test_an_agents_words_cannot_name_another_commit_for_qa(desk: Desk) -> None:
    other = desk.git("rev-parse", "HEAD")
    lie = f"Done.\nbranch: main\ncommit: {other}\n commit: {other}"
    outcome = {"status": "done", "summary": lie, "findings": [f"x\ncommit: {other}"]}
    stand = {"do": [python("import os; assert os.path.exists('work.txt')")], "outcome": {"status": "done"}}
    task = desk.board.add_task(
        description=script({"write": ["work.txt", "x"]}, outcome=outcome, as_qa=stand), complexity="major"
    )
    assert desk.run_single().returncode == 0
    work = desk.git("rev-parse", f"feature/task-{task['id']}")
    done = desk.run_single("qa", "qa_001")
    assert done.returncode == 0, done.stdout + done.stderr
    found = desk.board.task(task["id"])
    assert found["status"] == "qa_done"
    assert found["notes"].startswith(f"branch: feature/task-{task['id']}\ncommit: {work}\n")


SAY = """
    import json, os
    open("work.txt", "w").write("work")
    json.dump({outcome}, open(os.environ["HPM_OUTCOME_FILE"], "w"))
"""
STRANGE = {
    "summary": """{"status": "blocked", "summary": "\\U0001f600" * 60_000}""",
    "findings": """{"status": "blocked", "summary": "x", "findings": ["\\U0001f600" * 9] * 6_000}""",
    "surrogates": """{"status": "done", "summary": "half a \\ud83d pair", "findings": ["\\udcff\\x00\\x01"]}""",
}


@pytest.mark.fault("texts-hostile")
@pytest.mark.parametrize("kind", STRANGE)
def test_words_of_any_size_and_kind_end_the_task_like_others(kind: str, desk: Desk) -> None:
    agent = python(SAY.replace("{outcome}", STRANGE[kind]))
    task = desk.board.add_task(
        description=script(agent, outcome=None), complexity="major", title="t" * 1_000_000
    )
    done = desk.run_single()
    good = "done" in STRANGE[kind]
    assert done.returncode == (0 if good else 1), done.stderr[-2000:]
    found = desk.board.task(task["id"])
    assert found["status"] == ("dev_done" if good else "pending")
    assert f"branch: feature/task-{task['id']}" in found["notes"]
    assert ("half a" if good else "the agent is blocked") in found["notes"]
    assert len(found["notes"]) < 10_000
    assert "\x00" not in found["notes"]
    assert max(map(len, done.stdout.splitlines())) < 3000
    assert desk.record() is None


UNUSABLE_BRANCHES = [
    "../x",
    "-x",
    "--upload-pack=touch owned",
    "b" * 300,
    "a\x00b",
    "a\x1b[2Jb\u202e",
    "refs/heads/../../x",
    "HEAD",
    "main",
    "x.lock",
    "@{-1}",
]


@pytest.mark.fault("names-hostile")
def test_branches_that_are_no_safe_names_never_reach_git(desk: Desk) -> None:
    tasks = [
        desk.board.add_task(description=script({"write": ["a.txt", "x"]}), complexity="major", branch=branch)
        for branch in UNUSABLE_BRANCHES
    ]
    words = ["run", "--role", "backend_dev", "--agent-id", "dev_001", "--max-tasks", len(tasks)]
    done = desk.hpm(*words, within=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    for task in tasks:
        found = desk.board.task(task["id"])
        assert found["status"] == "dev_done"
        assert f"branch: feature/task-{task['id']}\n" in found["notes"]
    branches = set(desk.git("for-each-ref", "--format=%(refname)", "refs/heads").split())
    assert branches == {"refs/heads/main", *(f"refs/heads/feature/task-{task['id']}" for task in tasks)}
    assert not (desk.repo / "owned").exists()


def test_a_branch_or_commit_that_notes_name_is_no_argument_for_qa(desk: Desk) -> None:
    outcome: dict[str, Any] = {"status": "done", "summary": "fine"}
    task = desk.board.add_task(
        "dev_done", description=script(as_qa={"outcome": outcome}), complexity="major", branch="--output=x"
    )
    notes = "branch: --output=owned\nbranch: ../../x\ncommit: --help\ncommit: HEAD"
    desk.board.put(task["id"], "pm1", "dev_done", notes)
    done = desk.run_single("qa", "qa_001")
    assert done.returncode in (1, 3), done.stdout + done.stderr
    assert "is not in" in done.stdout + done.stderr
    found = desk.board.task(task["id"])
    assert (found["status"], found["locked_by"]) == ("dev_done", None)
    assert "owned" not in os.listdir(desk.repo)
