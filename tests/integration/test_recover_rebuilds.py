"""`recover` does what the message about a damaged record says: it rebuilds the record, and the task goes on."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.support.runners import script

if TYPE_CHECKING:
    from tests.support.runners import Desk

AGENT = ("--agent-id", "dev_001")
WRITE = {"write": ["hello.txt", "hello\n"]}


@pytest.mark.parametrize("owner", [(), ("--owner-pid", str(os.getpid()))], ids=["by hand", "by a script"])
def test_a_damaged_record_is_rebuilt_by_the_command_that_its_message_names(
    desk: Desk, owner: tuple[str, ...]
) -> None:
    desk.board.register("dev_001")
    task = desk.board.add_task(description=script(WRITE), complexity="major")
    assert desk.hpm("lock", *AGENT, "--task-id", task["id"], *owner).returncode == 0
    (desk.state / "locks" / "agent-dev_001.lock").write_text("{")
    refused = desk.hpm("finish", *AGENT)
    assert refused.returncode == 65
    assert "hpm recover --agent-id" in refused.stderr

    done = desk.hpm("recover", *AGENT, "--json")
    assert done.returncode == 0, done.stderr
    resumed = json.loads(done.stdout)
    assert (resumed["task_id"], resumed["next"]) == (task["id"], "pre_task")
    held = (*AGENT, "--token", resumed["token"])
    for command in ("worktree.add", "claude.exec", "finish", "worktree.remove", "unlock"):
        done = desk.hpm(command, *held)
        assert done.returncode == 0, done.stderr
    assert desk.board.task(task["id"])["status"] == "dev_done"
