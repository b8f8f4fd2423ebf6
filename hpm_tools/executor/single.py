"""One agent run that needs a task and a place only: no record, no board, no runner."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpm_tools.errors import NotFound
from hpm_tools.executor.base import AgentJob
from hpm_tools.executor.prompt import build_prompt
from hpm_tools.executor.roles import read_role
from hpm_tools.process.supervise import Clocks

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from hpm_tools.executor.claude import ClaudeExecutor

NOBODY = "python"
"""Whom an agent works for that no runner started."""


def job_for(
    executor: ClaudeExecutor,
    task: Mapping[str, Any],
    place: str | os.PathLike[str],
    instructions: str | os.PathLike[str] | None,
    timeout: float,
) -> AgentJob:
    """The job that `ClaudeExecutor.execute_task` describes; raises what it raises before a start."""
    cwd = Path(place).resolve()
    if not cwd.is_dir():
        raise NotFound(f"{cwd} is no directory", "name one that exists")
    role = str(task.get("target_role") or "")
    return AgentJob(
        prompt=build_prompt(
            task,
            role=role,
            role_text="" if instructions is None else read_role(instructions).text,
            agent_id=NOBODY,
            allowed=executor.settings.allow,
            git=executor.agent_git,
        ),
        cwd=cwd,
        agent_id=NOBODY,
        run_id=uuid.uuid4().hex,
        session_id=str(uuid.uuid4()),
        clocks=Clocks(total=timeout),
        task=task,
        role=role,
        difficulty=str(task.get("difficulty") or ""),
        model=executor.models.model_for_task(task),
    )
