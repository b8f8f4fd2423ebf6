"""Agents' programs that end with 0 although they failed, and leave files of their own."""

from __future__ import annotations

import json
import re
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.runners import Desk

AIDER = """cat > /dev/null
echo 'litellm.AuthenticationError: AnthropicException - invalid x-api-key'
echo '# aider chat started' > .aider.chat.history.md
mkdir -p .aider.tags.cache.v4 && echo cache > .aider.tags.cache.v4/cache.db
"""
"""What aider 0.86 leaves where its key is refused; its exit code is 0."""
DONE = """echo '{"status": "done", "summary": "did as told"}' > "$HPM_OUTCOME_FILE"
"""
BLOCKED = {"status": "blocked", "summary": "no access to the database"}
FENCED = f"""echo half > half.txt
echo 'I could not finish this:'
echo '```json'
echo '{json.dumps(BLOCKED, indent=1)}'
echo '```'
"""
EVENTS = f"""echo half > half.txt
cat <<'END'
{json.dumps({"type": "item.completed", "item": {"type": "agent_message", "text": json.dumps(BLOCKED)}})}
{json.dumps({"type": "turn.completed", "status": "done", "usage": {"input_tokens": 7}})}
END
"""
LOGGED = f"""echo half > half.txt
echo 'session log: {json.dumps(BLOCKED)}' >&2
"""
ECHO = "cat; echo a > a.txt\n"


def use(desk: Desk, program: str, **settings: object) -> None:
    """Have ``program``, a shell script, work on the tasks from now on."""
    path = desk.directory / "agent.sh"
    path.write_text(program, encoding="utf-8")
    desk.change(executor_command=["sh", str(path)], **settings)


def status_after(desk: Desk, program: str, **task: Any) -> str:
    """The board's status of a task that ``program``, a shell script, was run on."""
    use(desk, program)
    made = desk.board.add_task(**{"complexity": "major", **task})
    desk.run_single()
    return str(desk.board.task(made["id"])["status"])


@pytest.mark.fault("B11")
@pytest.mark.parametrize("complexity", ["major", "minor"])
def test_a_refused_key_behind_exit_code_0_gives_the_task_back(desk: Desk, complexity: str) -> None:
    assert status_after(desk, AIDER, complexity=complexity) == "created"


@pytest.mark.fault("B11")
@pytest.mark.parametrize("program", [FENCED, EVENTS, LOGGED], ids=["in-a-fence", "in-an-event", "on-stderr"])
def test_blocked_in_the_last_message_alone_is_blocked(desk: Desk, program: str) -> None:
    assert status_after(desk, program) == "pending"


@pytest.mark.fault("B11")
def test_an_outcome_that_the_prompt_has_and_the_program_echoes_is_none(desk: Desk) -> None:
    asked = 'End with {"status": "done", "summary": "as asked"} and nothing else.'
    assert status_after(desk, ECHO, description=asked) == "created"


def test_a_task_that_is_left_alone_for_a_while_is_named_with_the_time(desk: Desk) -> None:
    """The setting was made, and the next start said only that there was nothing to do."""
    assert status_after(desk, AIDER) == "created"
    desk.change(executor_exit_code_is_outcome=True)
    again = desk.run_single()
    assert again.returncode == 3, again.stdout + again.stderr
    assert re.search(r"task 1 is left alone until \d\d:\d\d: .* no other task is offered", again.stderr)


@pytest.mark.fault("B11")
@pytest.mark.parametrize(
    "more",
    [
        pytest.param("", id="uncommitted"),
        pytest.param("printf '.aider*\\n.env\\n' >> .gitignore\n", id="ignored-by-the-program"),
        pytest.param("git add -A -f && git commit -qm 'Traces'\n", id="committed"),
        pytest.param("mkdir .pi && echo '{}' > .pi/session.json && git add .pi\n", id="staged"),
    ],
)
def test_a_programs_own_files_are_no_work(desk: Desk, more: str) -> None:
    assert status_after(desk, AIDER + more + DONE) == "pending"


@pytest.mark.fault("B11")
@pytest.mark.parametrize("complexity", ["major", "minor"])
def test_a_programs_own_files_are_not_committed_with_the_work(desk: Desk, complexity: str) -> None:
    use(desk, f"{AIDER}echo a > a.txt\n{DONE}")
    task = desk.board.add_task(complexity=complexity)
    assert desk.run_single().returncode == 0
    (commit,) = [
        line[8:] for line in desk.board.task(task["id"])["notes"].splitlines() if line.startswith("commit: ")
    ]
    assert desk.git("show", "--format=", "--name-only", commit) == "a.txt"


def test_a_programs_own_files_in_the_checkout_do_not_send_the_next_task_elsewhere(desk: Desk) -> None:
    for name in ("a.txt", "b.txt"):
        assert status_after(desk, f"{AIDER}echo a > {name}\n{DONE}", complexity="minor") == "dev_done"
        assert (desk.repo / name).exists()


def test_a_tracked_file_of_such_a_name_is_work_like_any_other(desk: Desk) -> None:
    (desk.repo / ".aider.conf.yml").write_text("auto-commits: true\n", encoding="utf-8")
    desk.git("add", ".aider.conf.yml")
    desk.git("commit", "-qm", "Settings")
    assert status_after(desk, f"echo 'auto-commits: false' > .aider.conf.yml\n{DONE}") == "dev_done"


@pytest.mark.parametrize(("said", "status"), [(True, "dev_done"), (False, "pending")])
def test_the_setting_says_what_exit_code_0_means(desk: Desk, said: bool, status: str) -> None:
    desk.change(executor_exit_code_is_outcome=said, max_attempts=1)
    assert status_after(desk, "echo a > a.txt") == status


def test_the_first_one_gives_its_task_back_with_its_branch_named_and_78_names_the_setting(desk: Desk) -> None:
    use(desk, "echo a > a.txt")
    task = desk.board.add_task(complexity="major")
    done = desk.run_single()
    assert done.returncode == 78, done.stderr
    assert "set executor_exit_code_is_outcome" in done.stderr
    notes = desk.board.task(task["id"])["notes"]
    assert f"branch: feature/task-{task['id']}" in notes
    assert desk.git("show", f"feature/task-{task['id']}:a.txt") == "a"
    again = desk.run_single()
    assert again.returncode == 78
    assert desk.board.statuses(task["id"]) == ["pending", "created", "under_work", "created"]
    found = desk.hpm("health", "--json")
    (line,) = [line for line in json.loads(found.stdout)["checks"] if line["name"] == "pick-up"]
    assert line["ok"] is False
    assert line["facts"]["kind"] == "no_outcome"


def test_nothing_is_taken_until_a_try_succeeds_and_sigterm_ends_the_wait(desk: Desk, tmp_path: Path) -> None:
    works = tmp_path / "works"
    program = f'echo x >> {desk.starts}; test -e {works} || exit 0; echo a > "$HPM_SESSION_ID.txt"; {DONE}'
    use(desk, program, retry_pause=0.1)
    tasks = [desk.board.add_task(complexity="major")["id"] for _ in range(3)]
    words = ("run", "--role", "backend_dev", "--agent-id", "dev_001")
    with desk.start(*words) as runner:
        wait_until(lambda: "no task is taken since" in runner.output(), what="the pause")
        runner.signal(signal.SIGTERM)
        assert runner.wait() == 143
    assert desk.starts.read_text(encoding="utf-8").count("x") < len(tasks)
    works.touch()
    with desk.start(*words) as runner:
        wait_until(
            lambda: {desk.board.task(task)["status"] for task in tasks} == {"dev_done"}, what="all tasks done"
        )
        wait_until(lambda: "tasks are taken again" in runner.output(), what="the end of the pause")
        runner.signal(signal.SIGTERM)
        assert runner.wait() == 143


def test_an_unset_setting_is_said_by_health_and_at_the_start(desk: Desk) -> None:
    desk.change(executor_command=["true"])
    said = "executor_exit_code_is_outcome is not set"
    assert said in desk.hpm("health").stdout
    assert said in desk.run_single().stderr
    desk.change(executor_exit_code_is_outcome=False)
    assert said not in desk.hpm("health").stdout
