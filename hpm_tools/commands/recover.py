"""`recover`: the runner's first step alone, for scripts and for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.commands.lock import AGENT
from hpm_tools.registry import Arg, Result, command

if TYPE_CHECKING:
    from hpm_tools.commands.results import Resumed
    from hpm_tools.ui import TerminalUI


@command(
    "recover",
    example="hpm recover --agent-id dev_001 --owner-pid $$",
    args={
        "agent_id": AGENT,
        "adopt": Arg("also a record whose holder cannot be proven dead: a person says so"),
        "owner_pid": Arg("the process that holds the task from now on", metavar="P"),
        "repo": Arg("the repository of the task", metavar="DIR"),
    },
)
def recover(
    ui: TerminalUI,
    *,
    agent_id: str,
    adopt: bool = False,
    owner_pid: int | None = None,
    repo: str | None = None,
) -> Result[Resumed]:
    """Take over the task of a holder that died.

    Ends its agent, settles the interrupted step, and becomes the holder. Prints the new token, the task and the
    next step. Exit code 3: nothing to resume; 75: its holder lives, or is a person's or the earlier runner's
    record (then --adopt, or unlock).
    """
    from hpm_tools.commands.common import toolbox
    from hpm_tools.errors import NothingToDo
    from hpm_tools.runner import orphans, recovery

    tools = toolbox(ui, agent_id, repo=repo)
    try:
        with tools.command_guard(wait=orphans.GRACE):
            holder = "hand" if owner_pid is None else "process"
            record = recovery.take_over(tools, holder=holder, owner_pid=owner_pid, adopt=adopt)
    finally:
        tools.close()
    if record is None:
        raise NothingToDo(
            f"agent {agent_id} left nothing to resume",
            f"to take a task: hpm lock --agent-id {agent_id} --task-id N; if the board says that it holds one: "
            f"hpm recover --agent-id {agent_id} --adopt",
        )
    following = recovery.NEXT_STEP[record.step or "locking"]
    data: Resumed = {
        "token": record.token,
        "agent_id": agent_id,
        "task_id": record.task_id,
        "step": record.step,
        "next": following,
        "worktree": record.worktree_path,
        "branch": record.branch_name,
    }
    return Result(data, f"{record.token} {record.task_id} {following}")
