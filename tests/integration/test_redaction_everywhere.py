"""Secrets of the configuration stay out of what any executor, hook or set-up program prints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.repos import make_repo
from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.board_process import BoardUnderTest

TOKEN = "T0ken8sEcret4Path2Part9x7"
PASSWORD = "pass-W0rd-of-the-service"
URL = f"json://user:{PASSWORD}@127.0.0.1:9/{TOKEN}"


def run_log(desk: Desk) -> str:
    (path,) = (desk.state / "runs").glob("*.jsonl")
    return path.read_text(encoding="utf-8")


@pytest.fixture
def told(tmp_path: Path, exact_board: BoardUnderTest) -> Iterator[Desk]:
    desk = Desk(tmp_path / "desk", exact_board, make_repo(tmp_path / "repo").root)
    desk.change(notify={"urls": [URL], "on": ["runner_stopped"]})
    yield desk
    desk.end_agents()


@pytest.mark.fault("F6")
@pytest.mark.parametrize("secret", [URL, PASSWORD, TOKEN], ids=["address", "password", "token"])
def test_run_log_of_a_command_agent_is_without_the_services_secrets(told: Desk, secret: str) -> None:
    told.board.add_task(complexity="minor", description=script({"say": f"I found {secret} here"}))
    told.run_single()
    log = run_log(told)
    assert "I found " in log
    assert secret not in log


@pytest.mark.fault("F6")
def test_run_log_is_without_a_token_that_the_agent_prints_in_two_pieces(told: Desk) -> None:
    printing = f"printf %s 'begin {TOKEN[:10]}'; sleep 0.3; echo '{TOKEN[10:]} end'"
    told.board.add_task(complexity="minor", description=script({"run": ["sh", "-c", printing]}))
    told.run_single()
    log = run_log(told)
    assert "begin " in log
    assert TOKEN[10:] not in log


@pytest.mark.fault("F6")
def test_hooks_run_shows_a_hooks_output_without_the_services_secrets(told: Desk) -> None:
    hook = told.quick_hooks / "show.sh"
    hook.write_text(f"echo out {TOKEN}; echo err {PASSWORD} >&2\n", encoding="utf-8")
    done = told.hpm("hooks.run", "--name", "show", "--json")
    assert json.loads(done.stdout)["ok"] is True, done.stdout + done.stderr
    assert "out " in done.stdout
    assert TOKEN not in done.stdout + done.stderr
    assert PASSWORD not in done.stdout + done.stderr


@pytest.mark.fault("F6")
def test_a_setup_that_fails_shows_no_rest_of_a_secret_that_its_message_cuts(told: Desk) -> None:
    after = "x" * (300 - len(TOKEN) // 2)
    told.change(worktree={"setup": ["sh", "-c", f"printf %s '{TOKEN}{after}' >&2; exit 3"]})
    task = told.board.add_task(complexity="major")
    done = told.hpm("worktree.add", "--task-id", task["id"])
    assert "exited 3" in done.stderr, done.stderr
    assert TOKEN[-10:] not in done.stderr
