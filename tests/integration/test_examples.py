"""The scripts in examples/ do what they say, on a real board (shell_runner.sh: test_scripts)."""

from __future__ import annotations

import shutil
import subprocess
from email import message_from_string
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.frontends import BIN, PROJECT
from tests.support.repos import make_repo
from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from email.message import Message

    from tests.support.board_process import BoardUnderTest
    from tests.support.refusals import Done

SYSTEM_PATH = f"{Path(str(shutil.which('git'))).parent}:/usr/bin:/bin"
"""What cron gives a job, and where git is."""

WRITE = {"write": ["hello.txt", "hello\n"]}
BLOCKED = {"status": "blocked", "summary": "which colour?"}


class Operator:
    """Has this project in ~/hpm-tools and the runners' clone in ~/agents/project."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.project = desk.home / "hpm-tools"
        shutil.copytree(PROJECT / "examples", self.project / "examples")
        (self.project / ".venv").mkdir()
        (self.project / ".venv" / "bin").symlink_to(BIN)
        (desk.home / "agents").mkdir()
        (desk.home / "agents" / "project").symlink_to(desk.repo)
        desk.change(api_url=desk.board.url, api_key=desk.board.key)

    def runs(self, name: str, *words: str, **environment: str) -> Done:
        environment = {**self.desk.environment, "PATH": SYSTEM_PATH, **environment}
        for told_by_the_configuration in ("HEADLESS_PM_API_URL", "HEADLESS_PM_API_KEY"):
            environment.pop(told_by_the_configuration)
        return subprocess.run(
            [self.project / "examples" / name, *words],
            cwd=self.desk.home,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=600,
            check=False,
        )

    def in_the_clone(self, name: str, *words: str) -> Done:
        """Where a person has `hpm` on the PATH and named the repository."""
        return self.runs(name, *words, PATH=f"{BIN}:{SYSTEM_PATH}", HEADLESS_PM_REPO=str(self.desk.repo))


@pytest.fixture
def operator(tmp_path: Path, exact_board: BoardUnderTest) -> Operator:
    return Operator(Desk(tmp_path / "desk", exact_board, make_repo(tmp_path / "repo").root))


def test_every_example_is_run_by_a_test() -> None:
    assert {path.name for path in (PROJECT / "examples").iterdir()} == {
        "Containerfile",  # as far as it can be without a container engine: test_security_recipes
        "cron_one_task.sh",
        "fan_out.sh",
        "health_mail.sh",
        "shell_runner.sh",
    }


def test_a_cron_job_speaks_only_of_what_a_person_should_see(operator: Operator) -> None:
    board = operator.desk.board
    told = operator.runs("cron_one_task.sh")
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")
    task = board.add_task(description=script(WRITE), complexity="major")
    told = operator.runs("cron_one_task.sh")
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")
    assert board.task(task["id"])["status"] == "dev_done"
    board.add_task(description=script(outcome=BLOCKED), complexity="major")
    told = operator.runs("cron_one_task.sh")
    assert told.returncode == 1
    assert "which colour?" in told.stdout
    board.process.stop()
    told = operator.runs("cron_one_task.sh")
    assert told.returncode == 69
    assert board.url in told.stdout


@pytest.mark.extended
def test_agents_work_side_by_side_until_nothing_is_offered(operator: Operator, tmp_path: Path) -> None:
    flags = [tmp_path / name for name in "abc"]
    for mine in flags:
        meet = [{"wait_for": str(other)} for other in flags]
        description = script(WRITE, {"touch": str(mine)}, *meet)
        operator.desk.board.add_task(description=description, complexity="major")
    agents = ("dev_001", "dev_002", "dev_003")
    told = operator.in_the_clone("fan_out.sh", *agents)
    assert told.returncode == 0, told.stdout + told.stderr
    assert {task["status"] for task in operator.desk.board.ok("GET", "/tasks")} == {"dev_done"}
    assert len(operator.desk.agent_starts()) == len(flags)
    assert {line.split("  ")[0] for line in told.stdout.splitlines()} == set(agents)


def test_every_declared_agent_works_until_nothing_is_offered(operator: Operator) -> None:
    operator.desk.change(
        sessions=[
            {"agent_id": "dev_001", "role": "backend_dev"},
            {"agent_id": "ui_001", "role": "frontend_dev"},
        ]
    )
    for role in ("backend_dev", "frontend_dev"):
        operator.desk.board.add_task(description=script(WRITE), complexity="major", target_role=role)
    told = operator.in_the_clone("fan_out.sh")
    assert told.returncode == 0, told.stdout + told.stderr
    assert {task["status"] for task in operator.desk.board.ok("GET", "/tasks")} == {"dev_done"}
    assert {line.split("  ")[0] for line in told.stdout.splitlines()} == {"dev_001", "ui_001"}


def test_a_task_that_ends_otherwise_shows_in_the_fans_exit_code(operator: Operator) -> None:
    operator.desk.board.add_task(description=script(outcome=BLOCKED), complexity="major")
    told = operator.in_the_clone("fan_out.sh", "dev_001", "dev_002")
    assert told.returncode == 1, told.stdout
    assert "which colour?" in told.stdout
    told = operator.in_the_clone("fan_out.sh")
    assert told.returncode == 3
    assert "no sessions are declared" in told.stderr


MAIL_PROGRAM = """#!/bin/sh
# Keeps what a mail program is given: its arguments, and the message.
printf '%s\\n' "$*" >"$HOME/arguments"
cat >"$HOME/mail"
"""


def test_a_mail_when_the_machine_needs_a_hand(operator: Operator) -> None:
    home = operator.desk.home
    program = home / "keeps-mail"
    program.write_text(MAIL_PROGRAM, encoding="utf-8")
    program.chmod(0o755)
    settings = {"MAILER": f"{program} -t", "MAIL_TO": "ops@example.com"}
    told = operator.runs("health_mail.sh", **settings)
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")
    assert not (home / "mail").exists()
    told = operator.runs("health_mail.sh", **settings, ALWAYS="yes")
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")
    assert "healthy" in mail(home)["Subject"]
    operator.desk.change(executor_command=["/no/such/agent"])
    told = operator.runs("health_mail.sh", **settings)
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")
    assert (home / "arguments").read_text(encoding="utf-8") == "-t\n"
    message = mail(home)
    assert message["To"] == "ops@example.com"
    assert "needs a hand" in message["Subject"]
    text = str(message.get_payload())
    assert "FAIL  " in text
    assert "The last 24 hours:\ntasks" in text


def mail(home: Path) -> Message:
    return message_from_string((home / "mail").read_text(encoding="utf-8"))
