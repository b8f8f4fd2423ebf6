"""Where our board and the real server part: one code base, and one object that decides."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The real server's faults, each off by default; ``--upstream`` switches all of them on.

    What a flag changes is found by searching for its name.
    """

    racy_lock: bool = False
    """The lock is checked, then written, and answers 200 for whoever wrote; 409 to the holder too. The
    first registration of an agent is checked, then written, as well. /health advertises no exact lock and
    ``expect_lock`` is ignored like any unknown parameter."""
    polls_hold_threads: bool = False
    """``next`` sleeps in 5 s steps on one of the 40 worker threads, and shutting down waits for it."""
    seen_by_register_only: bool = False
    """``last_seen``, on which locks depend, is refreshed by POST /register alone."""
    lock_outlives_skipped_work: bool = False
    """Only leaving ``under_work`` clears a lock; a holder's created → dev_done keeps it, so that qa is never
    offered the task."""
    lists_by_status_and_role_alone: bool = False
    """There is no reading of a single task: ``task_id`` is ignored like any unknown parameter."""
    notes_overwrite_comments: bool = False
    reuses_ids: bool = False
    creators_undeletable: bool = False
    """DELETE of an agent that ever created a task answers 500."""
    zoned_since_is_empty: bool = False
    """GET /changes with a time zone answers 200 and an empty list."""
    plain_text_errors: bool = False
    """A 500 is text/plain, and a database that stays locked is one; ours is a 503 in JSON."""
    dashboard_degrades_health: bool = False
    """/health says ``degraded`` whenever DASHBOARD_PORT is set, for there is no dashboard to run."""
    development_keys: tuple[str, ...] = ()
    """Keys accepted beside the configured ones."""


EXACT = Behaviour()
UPSTREAM = Behaviour(
    racy_lock=True,
    polls_hold_threads=True,
    seen_by_register_only=True,
    lock_outlives_skipped_work=True,
    lists_by_status_and_role_alone=True,
    notes_overwrite_comments=True,
    reuses_ids=True,
    creators_undeletable=True,
    zoned_since_is_empty=True,
    plain_text_errors=True,
    dashboard_degrades_health=True,
    development_keys=("development-key", "XXXXXX"),
)
