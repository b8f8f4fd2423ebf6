"""Bad input from a person: one line with a hint, the right exit code, the same as JSON, and nothing lost."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.refusals import BOTH_FRONTS, both_refuse, hpm, invoke, refused, refused_as_json
from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.refusals import Front

ROLES = ("backend_dev", "frontend_dev", "fullstack_dev", "qa", "architect", "pm")
LEVELS = ("junior", "senior", "principal")
STATUSES = ("pending", "created", "under_work", "dev_done", "qa_done", "committed")

UNSAFE_AGENTS = {
    "above": "../x",
    "option": "-x",
    "control": "a\x1b[31mb",
    "newline": "dev\n001",
    "long": "d" * 300,
    "slash": "a/b",
    "dots": "..",
    "empty": "",
    "blank": "dev 1",
}
UNSAFE_BRANCHES = {
    "above": "../x",
    "option": "-x",
    "control": "fix\x07",
    "long": "b" * 300,
    "lock": "main.lock",
    "reflog": "main@{1}",
    "head": "HEAD",
    "commit": "a" * 40,
}


@BOTH_FRONTS
@pytest.mark.parametrize(
    ("words", "valid"),
    [
        (["run", "--agent-id", "dev_001", "--role", "wizard"], ROLES),
        (["run", "--agent-id", "dev_001", "--role", "qa", "--level", "expert"], LEVELS),
        (["pm.register", "--agent-id", "dev_001", "--role", "Backend_Dev"], ROLES),
        (["pm.next", "--role", "qa", "--level", "Senior"], LEVELS),
        (["pm.tasks", "--status", "finished"], STATUSES),
        (["pm.add", "--title", "x", "--role", "qa", "--difficulty", "hard"], LEVELS),
        (["claude.model", "--difficulty", "hard"], LEVELS),
    ],
    ids=lambda words: f"{words[0]} {words[-2]}" if isinstance(words, list) else "",
)
def test_an_unknown_role_level_or_status_lists_the_valid_ones(
    front: Front, desk: Desk, words: list[str], valid: tuple[str, ...]
) -> None:
    both_refuse(front, desk, *words, code=2, parts=valid)
    assert desk.board.ok("GET", "/agents") == []


@pytest.mark.parametrize("kind", UNSAFE_AGENTS)
def test_an_unsafe_agent_id_is_refused_before_it_is_used(kind: str, desk: Desk) -> None:
    unsafe = f"--agent-id={UNSAFE_AGENTS[kind]}"
    task = desk.board.add_task()
    for words in (
        ["lock", unsafe, "--task-id", task["id"], "--local"],
        ["unlock", unsafe],
        ["run", unsafe, "--role", "qa"],
        ["worktree.remove", unsafe],
        ["hooks.run", unsafe, "--name", "pre_task"],
        ["pm.add", unsafe, "--title", "x", "--role", "qa"],
    ):
        message = refused(hpm(desk, *words), 2, "an agent id is 1 to 64 letters")
        assert len(message) < 200
    both_refuse(invoke, desk, "recover", unsafe, code=2)
    assert not (desk.state / "locks").exists()
    assert desk.board.task(task["id"])["locked_by"] is None


@pytest.mark.parametrize("title", ["", "  ", "\t\n"], ids=["empty", "blanks", "lines"])
def test_a_task_without_a_title_is_refused(title: str, desk: Desk) -> None:
    refused(hpm(desk, "pm.add", f"--title={title}", "--role", "qa"), 2, "the title is empty")
    assert desk.board.ok("GET", "/tasks") == desk.board.ok("GET", "/agents") == []


@pytest.mark.parametrize("kind", UNSAFE_BRANCHES)
def test_an_unsafe_branch_is_refused_before_it_is_used(kind: str, desk: Desk) -> None:
    unsafe = f"--branch={UNSAFE_BRANCHES[kind]}"
    both_refuse(hpm, desk, "worktree.add", "--task-id", 1, unsafe, code=2, parts=("branch",))
    refused(invoke(desk, "pm.add", "--title", "x", "--role", "qa", unsafe), 2, "branch")
    assert not (desk.repo / ".worktrees").exists()
    assert desk.board.ok("GET", "/tasks") == []


@pytest.mark.parametrize(
    "base", ["-x", "main\x1b[2J", "b" * 300, ""], ids=["option", "control", "long", "empty"]
)
def test_an_unsafe_base_is_refused(base: str, desk: Desk) -> None:
    both_refuse(
        hpm, desk, "worktree.add", "--task-id", 1, f"--base={base}", code=2, parts=("names no commit",)
    )


def test_a_base_or_salvage_that_does_not_exist_is_not_found(desk: Desk) -> None:
    both_refuse(hpm, desk, "worktree.add", "--task-id", 1, "--base", "nosuch", code=65, parts=("nosuch",))
    both_refuse(hpm, desk, "worktree.restore", "--ref", "refs/hpm/salvage/a/1/x", code=65)
    both_refuse(hpm, desk, "worktree.restore", "--ref", "refs/hpm/salvage/../x", code=2)


@pytest.mark.parametrize("number", ["0", "-1", "1.5", "abc", "1_000", "\u0663", str(2**63), "1" * 300, ""])
def test_what_is_no_task_id(number: str, desk: Desk) -> None:
    both_refuse(hpm, desk, "pm.task", f"--task-id={number}", code=2)
    refused(invoke(desk, "lock", "--agent-id", "dev_001", f"--task-id={number}"), 2)


@BOTH_FRONTS
def test_task_ids_that_do_not_exist_are_not_found(front: Front, desk: Desk) -> None:
    desk.board.register("dev_001")
    agent = ["--agent-id", "dev_001"]
    for words in (
        ["pm.task"],
        ["pm.status", *agent, "--status", "created"],
        ["pm.comment", *agent, "--comment", "hello"],
        ["lock", *agent],
    ):
        both_refuse(front, desk, *words, "--task-id", 987, code=65, parts=("987",))
    assert desk.record() is None


def test_another_task_than_the_agents_own_is_refused(desk: Desk) -> None:
    task = desk.board.add_task()
    desk.board.register("dev_001")
    assert desk.hpm("lock", "--agent-id", "dev_001", "--task-id", task["id"]).returncode == 0
    before = desk.record()
    for command in ("claude.exec", "worktree.add", "worktree.remove"):
        both_refuse(hpm, desk, command, "--agent-id", "dev_001", "--task-id", 987, code=2, parts=("987",))
    assert desk.record() == before


@BOTH_FRONTS
def test_a_directory_that_is_no_git_repository(front: Front, desk: Desk, tmp_path: Path) -> None:
    desk.repo = tmp_path / "plain"
    desk.repo.mkdir()
    for words in (
        ["run", "--role", "backend_dev", "--agent-id", "dev_001", "--single-task"],
        ["worktree.add", "--task-id", 1],
        ["worktree.remove", "--task-id", 1],
        ["worktree.list"],
        ["worktree.prune"],
        ["worktree.restore", "--ref", "refs/hpm/salvage/a/1/x"],
        ["init"],
        ["trust"],
    ):
        both_refuse(front, desk, *words, code=78, parts=("git repository", "--repo DIR"))
    assert os.listdir(desk.repo) == []
    assert desk.board.ok("GET", "/agents") == []


def test_a_repository_that_is_named_but_is_none(desk: Desk, tmp_path: Path) -> None:
    for place, part in ((tmp_path / "nowhere", "is not a directory"), (tmp_path, "git repository")):
        for command in (["worktree.list"], ["init"], ["run", "--role", "qa", "--agent-id", "qa_001"]):
            both_refuse(hpm, desk, *command, "--repo", place, code=78, parts=(part, str(place)))


def test_a_repository_without_a_commit_is_refused_and_its_task_not_taken(desk: Desk, tmp_path: Path) -> None:
    desk.repo = tmp_path / "unborn"
    desk.repo.mkdir()
    desk.git("init", "-q", "-b", "main")
    task = desk.board.add_task(complexity="major")
    refused(desk.run_single(), 78, "has no commit", "given back", events=True)
    found = desk.board.task(task["id"])
    assert (found["status"], found["locked_by"]) == ("created", None)
    assert desk.record() is None


@BOTH_FRONTS
def test_a_configuration_with_faults_lists_all_of_them_at_once(front: Front, desk: Desk) -> None:
    desk.configure(
        hook_timeuot=3,
        claude_timeout="soon",
        models={"expert": "opus"},
        claude={"allow": "Bash"},
        executor="gpt",
    )
    faults = (
        "unknown setting 'hook_timeuot' (did you mean hook_timeout?)",
        "claude_timeout must be a number, not 'soon'",
        "models has the unknown key 'expert'",
        "claude.allow must be a list of texts",
        "executor must be one of claude, command",
        "HEADLESS_PM_HOOK_TIMEOUT: hook_timeout must be a number, not 'never'",
    )
    words = ["run", "--role", "backend_dev", "--agent-id", "dev_001"]
    faulty = {"HEADLESS_PM_HOOK_TIMEOUT": "never"}
    refused(front(desk, *words, **faulty), 78, "6 problems", *faults, str(desk.state / "config.yaml"))
    error = refused_as_json(front(desk, *words, "--json", **faulty), 78)
    assert len(error["details"]["problems"]) == 6
    assert desk.board.ok("GET", "/agents") == []


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("role: [", "is not valid YAML"),
        ("- a\n- b\n", "must hold a mapping"),
        ("hpm: 3\n", "must be a mapping"),
        ("home: /tmp\n", "can only be set by HEADLESS_PM_HOME"),
        ('api_url: "http://board.example.org"\n', "would send the key unencrypted"),
        ("role: \x07\n", "is not valid YAML"),
    ],
)
def test_a_configuration_file_that_is_none(text: str, part: str, desk: Desk) -> None:
    (desk.state / "config.yaml").write_text(text, encoding="utf-8")
    environment: dict[str, Any] = {"HEADLESS_PM_API_URL": ""}
    refused(hpm(desk, "pm.tasks", **environment), 78, part, "config.yaml")
    refused_as_json(hpm(desk, "pm.tasks", "--json", **environment), 78)


def test_quick_commands_need_no_configuration(desk: Desk) -> None:
    (desk.state / "config.yaml").write_text("no: [", encoding="utf-8")
    locked = hpm(desk, "lock", "--agent-id", "dev_001", "--task-id", 1, "--local")
    assert (locked.returncode, locked.stderr) == (0, "")
    assert hpm(desk, "locks").returncode == 0
    assert hpm(desk, "unlock", "--agent-id", "dev_001", "--local").returncode == 0


def test_a_configuration_that_others_can_write_is_refused_and_a_legible_secret_is_told(desk: Desk) -> None:
    desk.configure(api_url=desk.board.url, api_key=desk.board.key)
    file = desk.state / "config.yaml"
    assert "others can read it" not in hpm(desk, "health", HEADLESS_PM_API_KEY="").stdout
    file.chmod(0o646)
    assert "others can read it" not in hpm(desk, "health", HEADLESS_PM_API_KEY="").stdout, (
        "nobody else comes to it"
    )
    assert hpm(desk, "pm.tasks").returncode == 0
    desk.state.chmod(0o755)
    refused(hpm(desk, "pm.tasks"), 78, "can be written by others", f"chmod go-w {file}")
    file.chmod(0o644)
    assert hpm(desk, "pm.tasks").returncode == 0
    assert f"chmod go-r {file}" in hpm(desk, "health", HEADLESS_PM_API_KEY="").stdout


@pytest.mark.fault("state-unwritable")
def test_a_state_directory_that_others_can_write_is_refused(desk: Desk) -> None:
    desk.state.chmod(0o777)
    both_refuse(hpm, desk, "lock", "--agent-id", "dev_001", "--task-id", 1, "--local", code=78)
    both_refuse(hpm, desk, "pm.tasks", code=78)


def test_wrong_json_where_json_is_wanted(desk: Desk) -> None:
    agent = ["--agent-id", "dev_001"]
    deep = "[" * 100_000
    for given, code in (("nonsense", 65), ("[]", 65), ('{"no": "id"}', 65), ("", 3), ("null", 3), (deep, 65)):
        refused(hpm(desk, "lock", *agent, "--local", "--task", "-", stdin=given), code)
    for number in ('"x"', "-1", "true", "null", "[1]", "1.5"):
        refused(hpm(desk, "lock", *agent, "--local", "--task", f'{{"id": {number}}}'), 2)
    assert desk.record() is None
    task = desk.board.add_task(description=script())
    desk.board.register("dev_001")
    assert desk.hpm("lock", *agent, "--task-id", task["id"]).returncode == 0
    before = desk.record()
    for verdict in ("nonsense", "[]", "{}", '{"kind": "splendid"}', '{"kind": 3}', deep):
        refused(hpm(desk, "finish", *agent, "--verdict", "-", stdin=verdict), 65)
    refused(hpm(desk, "finish", *agent, "--verdict", desk.directory / "nowhere"), 65)
    assert desk.record() == before


def test_input_that_is_no_text_or_has_no_end(desk: Desk) -> None:
    refused(hpm(desk, "claude.exec", stdin=""), 2, "the prompt is empty")
    refused(hpm(desk, "claude.exec", "--prompt-file", "nowhere"), 65, "nowhere")
    refused(hpm(desk, "claude.exec", "--prompt-file", desk.repo), 65)
    refused(hpm(desk, "claude.exec", "--prompt-file", "/dev/zero"), 65, "more than 64 MiB")
    refused(hpm(desk, "claude.exec", "--cwd", "nowhere", stdin="x"), 65, "nowhere")
    refused(
        hpm(desk, "pm.comment", "--agent-id", "a", "--task-id", 1, stdin=" \n"), 2, "the comment is empty"
    )
