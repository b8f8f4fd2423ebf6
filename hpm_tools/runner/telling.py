"""What is kept of steps, hooks and endings: events that several steps and commands have in common."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hpm_tools.errors import HpmError
from hpm_tools.hook.outcome import MISSING
from hpm_tools.runner import whereabouts
from hpm_tools.runner.ending import is_no_change
from hpm_tools.runner.reports import seconds_since_taken

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hpm_tools.executor.base import AgentRun
    from hpm_tools.hook.outcome import HookOutcome
    from hpm_tools.runner.toolbox import Toolbox
    from hpm_tools.state.record import Record

CALLS_EVERY = 60.0


@contextmanager
def timed(tools: Toolbox, step: str, record: Record) -> Iterator[None]:
    """Note how long the step took and how it went: ``done``, or the code of the error that broke it off."""
    began = time.monotonic()
    outcome = "done"
    try:
        yield
    except BaseException as error:
        outcome = error.kind if isinstance(error, HpmError) else "failed"
        raise
    finally:
        seconds = round(time.monotonic() - began, 3)
        tools.note_event("step", record=record, step=step, seconds=seconds, outcome=outcome)


def run_hook(
    tools: Toolbox, name: str, data: Mapping[str, Any], record: Record | None = None, **options: Any
) -> HookOutcome:
    """Run the hook ``name`` and note how it went; ``options`` are those of HookRunner.run."""
    cookie = record.run_id if record is not None else None
    outcome = tools.hooks.run(name, data, cookie=cookie, **options)
    note_hook(tools, outcome, record)
    return outcome


def note_hook(tools: Toolbox, outcome: HookOutcome, record: Record | None = None) -> None:
    """Note how a hook went; one that there is not has not run."""
    if outcome.ending == MISSING:
        return
    tools.note_event(
        "hook_ran",
        record=record,
        name=outcome.name,
        ok=outcome.ok,
        ending=str(outcome.ending),
        path=str(outcome.path),
        seconds=round(outcome.seconds, 3),
        text="" if outcome.ok else outcome.reason,
    )


def note_board_calls(tools: Toolbox, *, at_once: bool = False) -> None:
    """Note how quickly the board answered since the last time: once a minute, or ``at_once``."""
    now = time.monotonic()
    if at_once or now - tools.calls_noted_at >= CALLS_EVERY:
        tools.calls_noted_at = now
        counts = tools.board_meter.take()
        if counts is not None:
            tools.note_event(
                "board_calls",
                count=counts["count"],
                failed=counts["failed"],
                seconds=round(counts["seconds"], 4),
                slowest=round(counts["slowest"], 4),
                within=counts["within"],
            )


def outcome_of(record: Record) -> dict[str, Any]:
    """What every event that ends a take of a task says of it."""
    return {
        "title": record.task_title or "",
        "difficulty": difficulty_of(record),
        "model": record.model,
        "verdict": (record.verdict or {}).get("kind"),
        "no_change": is_no_change(record),
        "runs": int(record.agent_runs or 0),
        "cost_usd": record.cost_usd,
        "seconds": seconds_since_taken(record),
        **_where(record),
    }


def _where(record: Record) -> dict[str, Any]:
    found = whereabouts.of_record(record)
    return {"where": found.words, "work": found.to_json()} if found is not None else {}


def of_run(model: str | None, difficulty: str, run: AgentRun | None) -> dict[str, Any]:
    """What the end of an agent run says of it beside its verdict; ``run`` None: no agent was started."""
    tokens = run.tokens if run is not None else None
    return {
        "model": model,
        "model_id": (run.model if run is not None else "") or None,
        "difficulty": difficulty,
        "input_tokens": tokens.input if tokens else None,
        "output_tokens": tokens.output if tokens else None,
        "cache_read_tokens": tokens.cache_read if tokens else None,
        "cache_write_tokens": tokens.cache_write if tokens else None,
    }


def difficulty_of(record: Record) -> str:
    return str(record.task_data.get("difficulty") or record.task_data.get("skill_level") or "")


def tell_lost(tools: Toolbox, record: Record, reason: str) -> None:
    tools.tell("lost", record=record, **outcome_of(record), text=f"task {record.task_id}: {reason}")
