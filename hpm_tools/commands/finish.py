"""`finish`: what the agent did becomes a commit, a status and a comment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools import names
from hpm_tools.commands.given import json_value, text_of
from hpm_tools.commands.lock import AGENT, TOKEN
from hpm_tools.errors import BadData
from hpm_tools.registry import Arg, Result, command

if TYPE_CHECKING:
    from hpm_tools.commands.results import Report
    from hpm_tools.executor.verdict import Verdict
    from hpm_tools.ui import TerminalUI

VERDICT_FORM = "pass what hpm claude.exec --json prints"


@command(
    "finish",
    example="hpm finish --agent-id dev_001",
    args={
        "agent_id": AGENT,
        "token": TOKEN,
        "verdict": Arg("a file with the verdict as `claude.exec --json` prints it, or -", metavar="FILE"),
        "repo": Arg("the repository of the task", metavar="DIR"),
    },
)
def finish(
    ui: TerminalUI,
    *,
    agent_id: str,
    token: str | None = None,
    verdict: str | None = None,
    repo: str | None = None,
) -> Result[Report]:
    """Report an agent's task to the board.

    Looks at what really changed, commits what was left uncommitted, frees the branch, then sets the status. The
    verdict is the one that `claude.exec` left in the record, or --verdict. Prints the new status. Exit code 0:
    reported as done, or by qa as rejected; 1: parked or given back; 77 or 78: given back, for a login was
    refused or a setting is missing; 75: the task is not over (a limit, a crash): run `claude.exec` again.
    """
    from hpm_tools.commands.common import toolbox
    from hpm_tools.errors import FAILED
    from hpm_tools.runner import scripted, whereabouts
    from hpm_tools.runner.ending import EndingKind, is_no_change
    from hpm_tools.runner.held_up import of_lost

    given = _given_verdict(ui, verdict)
    tools = toolbox(ui, agent_id, repo=repo)
    try:
        with tools.command_guard():
            ending = scripted.finish(tools, scripted.held_record(tools, token), given)
            record = tools.persistence.record()
            if ending.kind is EndingKind.LOST and record is not None:
                left = of_lost(record, tools.repository.root)
                ui.note(f"task {record.task_id} is somebody else's now{f'; {left}' if left else ''}")
    finally:
        tools.close()
    status = {"parked": names.PARKED, "given_back": record.board_status_before if record else "created"}.get(
        str(ending.kind), ending.status or "unknown"
    )
    branch, commit = whereabouts.named(record) if record else (None, None)
    work = whereabouts.of_record(record) if record else None
    data: Report = {
        "task_id": record.task_id if record else None,
        "ending": ending.kind.value,
        "status": status,
        "reason": ending.reason,
        "no_change": record is not None and is_no_change(record),
        "branch": branch,
        "commit": commit,
        "salvage": record.salvage if record else None,
        "where": work.words if work is not None else "",
    }
    code = 0 if ending.status else max(FAILED, ending.exit_code)
    return Result(data, status, code, failure=f"{status}: {ending.reason}" if ending.reason else status)


def _given_verdict(ui: TerminalUI, source: str | None) -> Verdict | None:
    from hpm_tools.executor.verdict import Verdict

    if source is None:
        return None
    data = json_value(text_of(ui, source, "the verdict"), "the verdict", VERDICT_FORM)
    try:
        return Verdict.from_json(data)
    except BadData as error:
        raise BadData(error.message, error.hint or VERDICT_FORM) from None
