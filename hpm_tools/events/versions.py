"""The kinds of events that are kept, and the version of each, as commands/event_kinds.py declares them."""

from typing import Literal

Kind = Literal[
    "started",
    "resumed",
    "task_taken",
    "missed",
    "checkout_in_use",
    "waiting_for_checkout",
    "workspace",
    "agent_started",
    "agent_ended",
    "prompt_opened",
    "prompt_answered",
    "tampering",
    "work_outside",
    "limit_wait",
    "limit_over",
    "budget_reached",
    "backing_off",
    "board_unreachable",
    "waiting",
    "regained",
    "lost",
    "reported",
    "parked",
    "given_back",
    "salvaged",
    "task_finished",
    "health_failed",
    "health_restored",
    "pickup_paused",
    "pickup_resumed",
    "ended",
    "locked",
    "lock_forced",
    "put_back",
    "unlocked",
    "status_set",
    "step",
    "hook_ran",
    "agent_progress",
    "board_calls",
    "events_lost",
    "stopped",
    "notified",
]
"""What may be told: a type checker refuses any other name."""

VERSIONS: dict[Kind, int] = {}
"""Kind → version, for the kinds whose fields changed in a way that a reader must know of; all others are at 1."""
