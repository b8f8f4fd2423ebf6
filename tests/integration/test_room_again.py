"""The disk is full while an agent is prepared; at the next start there is room again."""

from __future__ import annotations

import shlex

import pytest

from tests.support.runners import HPM, Desk, script

NOSPACE = "No space left on device"
MADE = "scratch.before#3:enospc"
"""The failpoint at which `claude.exec` makes the directory, after it has twice removed what an earlier run may have left."""


def exec_on_full_disk(desk: Desk, task: int) -> str:
    """What a script is told by `claude.exec`, before it ends and leaves its task."""
    hpm, agent = shlex.join(HPM), "--agent-id dev_001"
    steps = f"""
        {hpm} pm.register {agent} --role backend_dev
        token=$({hpm} lock {agent} --task-id {task} --owner-pid $$) || exit
        {hpm} worktree.add {agent} --token $token || exit
        HPM_FAILPOINT_LOG={desk.directory}/points HPM_FAILPOINT={MADE} {hpm} claude.exec {agent} --token $token
    """
    done = desk.hpm_as(["bash", "-c", steps])
    return done.stdout + done.stderr


@pytest.mark.extended
@pytest.mark.fault("D11")
def test_next_start_does_the_task_for_which_a_script_had_no_room(desk: Desk) -> None:
    desk.real = True
    task = desk.board.add_task(description=script({"write": ["a.txt", "a\n"]}), complexity="major")["id"]
    assert NOSPACE in exec_on_full_disk(desk, task)
    assert (desk.record() or {})["step"] == "working"
    done = desk.run_single()
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.board.task(task)["status"] == "dev_done"
