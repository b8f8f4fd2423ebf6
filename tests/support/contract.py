"""What each command promises in every situation that a script can meet: one row for each, checked by test_contract
and test_contract_refusals.

A row names, for every situation, either how to bring it about (a function of tests/support/situations.py that
prepares the desk and returns the command's options) or, as a sentence, why it cannot arise. Both front ends are
held to the same row.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.support import situations as at
from tests.support.situations import AS_DEV, DEV, Prepare, always, hook, with_lock, with_nothing, with_task


@dataclass(frozen=True)
class Otherwise:
    """A situation that this command answers with an exit code of its own."""

    code: int
    prepare: Prepare


Cell = Prepare | Otherwise | str


@dataclass(frozen=True, kw_only=True)
class Row:
    """``good``: a success, each time it is prepared. ``lacking``: calls without what is needed (2), beside those
    without an option that is required, or why nothing can lack.

    ``nothing`` (3), ``held`` (75), ``unknown`` (65), ``down`` (69): how it comes about, or why it cannot.
    ``varies``: two equal calls print other tokens, times and numbers. ``serves``: it ends when it is told to.
    """

    good: Prepare
    nothing: Cell
    held: Cell
    unknown: Cell
    down: Cell
    lacking: tuple[tuple[object, ...], ...] | str = ()
    varies: bool = False
    serves: bool = False


ASKS_NO_BOARD = "it asks no board"
LOOKS_ONLY = "it only looks"
TAKES_NOTHING = "it takes nothing"
NAMES_NOTHING = "it names nothing that could be missing"
NEEDS_NOTHING = "everything it takes has a default"
COMPLETION = Row(
    good=always(),
    lacking=NEEDS_NOTHING,
    nothing=LOOKS_ONLY,
    held=LOOKS_ONLY,
    unknown=NAMES_NOTHING,
    down=ASKS_NO_BOARD,
)

ROWS: dict[str, Row] = {
    "init": Row(
        good=at.fresh_repository,
        lacking=NEEDS_NOTHING,
        nothing="what is ready already is a success",
        held=TAKES_NOTHING,
        unknown=Otherwise(78, always("--repo", "/no/such/place")),
        down=ASKS_NO_BOARD,
    ),
    "trust": Row(
        good=at.repository_with_settings,
        lacking=NEEDS_NOTHING,
        nothing="what is trusted already is a success",
        held=TAKES_NOTHING,
        unknown=at.fresh_repository,
        down=ASKS_NO_BOARD,
    ),
    "lock": Row(
        good=at.lock_by_json,
        lacking=((*DEV,), (*DEV, "--task-id", 1, "--task", '{"id": 2}')),
        nothing=with_nothing(*DEV, "--task", "null"),
        held=at.lock_of_anothers,
        unknown=always(*DEV, "--task-id", 987),
        down=always(*DEV, "--task-id", 987),
        varies=True,
    ),
    "unlock": Row(
        good=with_lock(*DEV),
        nothing=with_nothing(*DEV),
        held=at.held_by_living(*DEV),
        unknown="a record that is not there is nothing to do (3)",
        down=with_lock(*DEV),
        varies=True,
    ),
    "locks": Row(
        good=at.local_lock,
        lacking=NEEDS_NOTHING,
        nothing="no record is an empty list",
        held=LOOKS_ONLY,
        unknown=NAMES_NOTHING,
        down=ASKS_NO_BOARD,
        varies=True,
    ),
    "worktree.add": Row(
        good=always("--task-id", 5),
        lacking=((),),
        nothing=with_nothing(*DEV),
        held=at.held_by_living(*DEV),
        unknown=always("--task-id", 6, "--base", "nosuch"),
        down=ASKS_NO_BOARD,
    ),
    "worktree.remove": Row(
        good=at.restorable_worktree,
        lacking=((),),
        nothing=with_nothing(*DEV),
        held=at.held_by_living(*DEV),
        unknown="a worktree that is gone already is a success",
        down=ASKS_NO_BOARD,
        varies=True,
    ),
    "worktree.list": Row(
        good=always(),
        lacking=NEEDS_NOTHING,
        nothing="no worktree is an empty list",
        held=LOOKS_ONLY,
        unknown=Otherwise(78, always("--repo", "/no/such/place")),
        down=ASKS_NO_BOARD,
    ),
    "worktree.restore": Row(
        good=at.restorable,
        nothing="it is told what to restore",
        held=TAKES_NOTHING,
        unknown=always("--ref", "refs/hpm/salvage/dev_001/1/nosuch"),
        down=ASKS_NO_BOARD,
        varies=True,
    ),
    "worktree.prune": Row(
        good=always(),
        lacking=NEEDS_NOTHING,
        nothing="a tidy place is a success",
        held=TAKES_NOTHING,
        unknown=NAMES_NOTHING,
        down=ASKS_NO_BOARD,
    ),
    "claude.exec": Row(
        good=at.prompt,
        lacking=((),),
        nothing=with_nothing(*DEV),
        held=at.held_by_living(*DEV),
        unknown=always("--prompt-file", "nowhere"),
        down=at.placed,
    ),
    "claude.model": Row(
        good=always("--difficulty", "senior"),
        nothing=LOOKS_ONLY,
        held=LOOKS_ONLY,
        unknown=Otherwise(2, always("--difficulty", "nosuch")),
        down=ASKS_NO_BOARD,
    ),
    "claude.check": Row(
        good=always(),
        lacking=NEEDS_NOTHING,
        nothing=LOOKS_ONLY,
        held=LOOKS_ONLY,
        unknown="a missing CLI is its finding (78): see test_bad_agent",
        down=ASKS_NO_BOARD,
    ),
    "finish": Row(
        good=at.agent_ended,
        nothing=with_nothing(*DEV),
        held=at.held_by_living(*DEV),
        unknown=always(*DEV, "--verdict", "nowhere"),
        down=at.agent_ended,
    ),
    "hooks.run": Row(
        good=hook("yes"),
        nothing=with_nothing(*DEV, "--name", "pre_task"),
        held="it reads the record and changes nothing",
        unknown=hook("nosuch"),
        down=ASKS_NO_BOARD,
    ),
    "hooks.list": Row(
        good=always(),
        lacking=NEEDS_NOTHING,
        nothing=LOOKS_ONLY,
        held=LOOKS_ONLY,
        unknown=Otherwise(78, always("--hooks-dir", "/no/such/place")),
        down=ASKS_NO_BOARD,
    ),
    "health": Row(
        good=at.health,
        lacking=NEEDS_NOTHING,
        nothing=LOOKS_ONLY,
        held=LOOKS_ONLY,
        unknown=NAMES_NOTHING,
        down="a dead board is one of its findings (1): see test_bad_board",
        varies=True,
    ),
    "run": Row(
        good=at.one_task,
        lacking=((), ("--role", "qa"), DEV, ("--session", "dev_001", "--agent-id", "dev_002")),
        nothing=with_nothing(*AS_DEV, "--single-task"),
        held=at.running_elsewhere,
        unknown=Otherwise(78, at.no_roles),
        down=always(*AS_DEV, "--single-task"),
        varies=True,
    ),
    "sessions": Row(
        good=at.declared_session,
        lacking=NEEDS_NOTHING,
        nothing=at.no_session,
        held=LOOKS_ONLY,
        unknown=Otherwise(78, always("--repo", "/no/such/place")),
        down=ASKS_NO_BOARD,
    ),
    "retry": Row(
        good=at.task_of_nobody,
        lacking=((),),
        nothing=with_task("--task-id"),
        held=at.task_under_work_by_another,
        unknown=always("--task-id", 987),
        down=always("--task-id", 987),
    ),
    "recover": Row(
        good=with_lock(*DEV, "--adopt"),
        nothing=with_nothing(*DEV),
        held=at.held_by_living(*DEV),
        unknown="a record that is not there is nothing to do (3)",
        down=with_lock(*DEV, "--adopt"),
        varies=True,
    ),
    "events": Row(
        good=at.one_event,
        lacking=(("--since", "soon"), ("--event", "parkd")),
        nothing="no event is an empty answer",
        held=LOOKS_ONLY,
        unknown=NAMES_NOTHING,
        down=ASKS_NO_BOARD,
        varies=True,
    ),
    "metrics": Row(
        good=always("--since", "1h", "--by", "role"),
        lacking=(("--since", "soon"), ("--by", "weather")),
        nothing="no event gives figures, too",
        held=LOOKS_ONLY,
        unknown=NAMES_NOTHING,
        down=ASKS_NO_BOARD,
        varies=True,
    ),
    "prompts": Row(
        good=at.open_question,
        lacking=NEEDS_NOTHING,
        nothing=at.no_question,
        held=LOOKS_ONLY,
        unknown=NAMES_NOTHING,
        down=ASKS_NO_BOARD,
        varies=True,
    ),
    "answer": Row(
        good=at.answering("retry"),
        lacking=(("--agent-id", "asker_001"),),
        nothing=always("--agent-id", "nobody_001", "--choice", "retry"),
        held=at.answering("retry", answered="skip"),
        unknown=at.answering("retry", "--prompt", "nosuch"),
        down=ASKS_NO_BOARD,
        varies=True,
    ),
    "pm.register": Row(
        good=always(*AS_DEV),
        nothing="registering again is a success",
        held=TAKES_NOTHING,
        unknown=NAMES_NOTHING,
        down=always(*AS_DEV),
    ),
    "pm.next": Row(
        good=at.offered("--role", "backend_dev"),
        lacking=((),),
        nothing=with_nothing("--role", "backend_dev"),
        held="a look claims nothing",
        unknown=NAMES_NOTHING,
        down=always("--role", "backend_dev"),
        varies=True,
    ),
    "pm.task": Row(
        good=with_task("--task-id"),
        nothing="no task of that number is not found (65)",
        held=LOOKS_ONLY,
        unknown=always("--task-id", 987),
        down=always("--task-id", 987),
    ),
    "pm.tasks": Row(
        good=at.offered("--status", "created"),
        lacking=NEEDS_NOTHING,
        nothing="no task is an empty list",
        held=LOOKS_ONLY,
        unknown=NAMES_NOTHING,
        down=always(),
        varies=True,
    ),
    "pm.status": Row(
        good=with_task("--agent-id", "pm1", "--status", "pending", "--task-id"),
        nothing="a status that is set already is a success",
        held="the board lets anybody set a status",
        unknown=always("--agent-id", "pm1", "--status", "pending", "--task-id", 987),
        down=always("--agent-id", "pm1", "--status", "pending", "--task-id", 987),
    ),
    "pm.comment": Row(
        good=with_task(*DEV, "--comment", "hello", "--task-id"),
        lacking=((*DEV, "--task-id", 1), (*DEV, "--task-id", 1, "--comment", " ")),
        nothing="a comment is always something",
        held="anybody may comment",
        unknown=always(*DEV, "--comment", "hello", "--task-id", 987),
        down=always(*DEV, "--comment", "hello", "--task-id", 987),
        varies=True,
    ),
    "pm.add": Row(
        good=always("--title", "A task", "--role", "backend_dev", "--pending"),
        lacking=(("--title", "A task", "--role", "fullstack_dev"),),
        nothing="a task is always something",
        held=TAKES_NOTHING,
        unknown="an epic or feature that is not there is made",
        down=always("--title", "A task", "--role", "backend_dev"),
        varies=True,
    ),
    "notify.test": Row(
        good=at.telling_people,
        lacking=NEEDS_NOTHING,
        nothing=Otherwise(78, at.telling_nobody),
        held=TAKES_NOTHING,
        unknown="a URL that no service knows is its finding (78)",
        down=ASKS_NO_BOARD,
    ),
    "pm.serve": Row(
        good=at.free_port,
        lacking=NEEDS_NOTHING,
        nothing="a board without tasks is a board",
        held=Otherwise(73, at.taken_port),
        unknown=Otherwise(73, lambda place: ["--port", 0, "--db", place.directory / "no" / "where" / "x.db"]),
        down="it is the board",
        varies=True,
        serves=True,
    ),
    "dashboard": Row(
        good=always("--port", 0),
        lacking=NEEDS_NOTHING,
        nothing="a page on which nothing is going on is a page",
        held=Otherwise(73, lambda place: ["--port", place.board.url.rpartition(":")[2]]),
        unknown=Otherwise(78, always("--host", "0.0.0.0")),
        down="the page says so",
        varies=True,
        serves=True,
    ),
    "report": Row(
        good=always("--since", "1h"),
        lacking=NEEDS_NOTHING,
        nothing="a quiet night is a report too",
        held=LOOKS_ONLY,
        unknown=Otherwise(73, always("--html", "/no/such/place/report.html")),
        down="a dead board is one of its findings",
        varies=True,
    ),
    "demo": Row(
        good=always(),
        lacking=NEEDS_NOTHING,
        nothing="it brings its tasks along",
        held="its board and its repository are its own",
        unknown=NAMES_NOTHING,
        down="its board is its own",
        varies=True,
    ),
    "completion.words": Row(
        good=always("--word=lock", "--word=--agent-id", "--word="),
        lacking=NEEDS_NOTHING,
        nothing=LOOKS_ONLY,
        held=LOOKS_ONLY,
        unknown=NAMES_NOTHING,
        down=ASKS_NO_BOARD,
    ),
    **{f"completion.{shell}": COMPLETION for shell in ("bash", "zsh", "fish")},
}
"""Every command of the registry."""
