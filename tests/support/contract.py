"""What each command promises in every situation that a script can meet: one row for each, checked by test_contract.

A row names, for every situation, either how to bring it about (a function that prepares the desk and returns
the command's arguments) or, as a sentence, why it cannot arise. Both front ends are held to the same row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpm_tools.state import prompts
from hpm_tools.state.guard import agent_guard, held
from hpm_tools.state.paths import StateDir
from tests.support.processes import bystander
from tests.support.receiver import Receiver
from tests.support.refusals import Done, hpm
from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from pathlib import Path

    from hpm_tools.state.guard import Guard
    from hpm_tools.state.prompts import Prompt
    from tests.support.board_process import BoardUnderTest

Words = list[object]
Prepare = Callable[["Place"], Words]

DEV = ("--agent-id", "dev_001")
AS_DEV = (*DEV, "--role", "backend_dev")
DONE: dict[str, Any] = {"status": "done", "summary": "did it", "no_change": True}


class Place(Desk):
    """A desk where situations are brought about; ``owner`` is a living process that may hold locks."""

    def __init__(self, directory: Path, board: BoardUnderTest, repo: Path, owner: int) -> None:
        self.owner = owner
        super().__init__(directory, board, repo)
        self.guards: list[Guard] = []
        self.hooks = directory / "hooks"
        self.hooks.mkdir(mode=0o755)
        self.receiver = Receiver()
        (self.hooks / "yes.sh").write_text("echo fine\n", encoding="utf-8")

    def must(self, *words: object) -> Done:
        done = hpm(self, *words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done

    def forget(self) -> None:
        """No task is offered and no agent holds one any more."""
        (self.state / "locks" / "agent-dev_001.lock").unlink(missing_ok=True)
        self.board.sql("UPDATE tasks SET status = 'pending', locked_by = NULL, locked_at = NULL")

    def task(self, **fields: Any) -> int:
        """A task that is offered, the only one, and dev_001 free to take it."""
        self.forget()
        self.board.register("dev_001")
        description = script({"write": ["a.txt", "a\n"]}, outcome=DONE)
        return int(self.board.add_task(**{"complexity": "major", "description": description, **fields})["id"])

    def locked(self, *more: object) -> int:
        """A task that dev_001 holds."""
        task_id = self.task()
        self.must("lock", *DEV, "--task-id", task_id, *more)
        return task_id


@contextmanager
def place_at(directory: Path, board: BoardUnderTest, repo: Path) -> Iterator[Place]:
    with bystander() as owner:
        place = Place(directory, board, repo, owner.pid)
        try:
            with place.receiver:
                yield place
        finally:
            for guard in place.guards:
                guard.release()


@dataclass(frozen=True, kw_only=True)
class Row:
    """``good``: a success, each time it is prepared. ``lacking``: calls without what is needed (2).

    ``nothing`` (3), ``held`` (75), ``unknown`` (65), ``down`` (69): a preparation, or why there is none.
    ``varies``: two equal calls print other tokens, times and numbers.
    """

    good: Prepare
    nothing: Prepare | str
    held: Prepare | str
    unknown: Prepare | str
    down: Prepare | str
    lacking: tuple[tuple[object, ...], ...] = ()
    varies: bool = False


def always(*words: object) -> Prepare:
    return lambda _place: list(words)


def held_by_living(*words: object) -> Prepare:
    """dev_001 holds a task for a process that lives and is not the caller's."""

    def prepare(place: Place) -> Words:
        place.locked("--owner-pid", place.owner)
        return list(words)

    return prepare


def with_nothing(*words: object) -> Prepare:
    def prepare(place: Place) -> Words:
        place.forget()
        return list(words)

    return prepare


def with_task(*words: object) -> Prepare:
    """``words`` and the number of an offered task."""
    return lambda place: [*words, place.task()]


def with_lock(*words: object) -> Prepare:
    def prepare(place: Place) -> Words:
        place.locked()
        return list(words)

    return prepare


def fresh_repository(place: Place) -> Words:
    for name in ("tasks.py", "invoke.yaml"):
        (place.repo / name).unlink(missing_ok=True)
    return []


def repository_with_settings(place: Place) -> Words:
    fresh_repository(place)
    (place.repo / "invoke.yaml").write_text("hpm: {role: qa}\n", encoding="utf-8")
    return []


def lock_by_json(place: Place) -> Words:
    task_id = place.task()
    return [*DEV, "--task", json.dumps(place.board.task(task_id))]


def lock_of_anothers(place: Place) -> Words:
    task_id = place.task()
    place.board.register("dev_002")
    place.board.lock(task_id, "dev_002")
    return [*DEV, "--task-id", task_id]


def local_lock(place: Place) -> Words:
    place.forget()
    place.must("lock", *DEV, "--task-id", 7, "--local")
    return []


def agent_ended(place: Place) -> Words:
    place.locked()
    place.must("claude.exec", *DEV)
    return [*DEV]


def placed(place: Place) -> Words:
    """dev_001's agent can start: its worktree is there."""
    place.locked()
    place.must("worktree.add", *DEV)
    return [*DEV]


def restorable_worktree(place: Place) -> Words:
    """A worktree with unfinished work in it."""
    path = place.must("worktree.add", "--task-id", 7).stdout.strip()
    with open(f"{path}/left.txt", "a", encoding="utf-8") as file:
        file.write("unfinished\n")
    return ["--task-id", 7]


def hook(name: str) -> Prepare:
    return lambda place: ["--name", name, "--hooks-dir", place.hooks]


def one_task(place: Place) -> Words:
    place.task()
    return [*AS_DEV, "--single-task"]


def offered(*words: object) -> Prepare:
    def prepare(place: Place) -> Words:
        place.task()
        return list(words)

    return prepare


def prompt(place: Place) -> Words:
    text = "printf '%s' '" + json.dumps(DONE) + '\' >"$HPM_OUTCOME_FILE"'
    place.configure(executor="command", executor_command=["sh", "-c", text])
    path = place.directory / "prompt"
    path.write_text("Do nothing.\n", encoding="utf-8")
    return ["--prompt-file", path]


def running_elsewhere(place: Place) -> Words:
    """dev_001 is at work in a living process, this one, that holds its guard."""
    guard = agent_guard(StateDir(str(place.state)), "dev_001")
    assert guard.acquire()
    place.guards.append(guard)
    return [*AS_DEV, "--single-task"]


def restorable(place: Place) -> Words:
    return ["--ref", place.must("worktree.remove", *restorable_worktree(place)).stdout.strip()]


def asked(place: Place) -> Prompt:
    """The question of an agent whose runner lives, in this process."""
    state = StateDir(str(place.state))
    if not held(state.guard_file("asker_001")):
        guard = agent_guard(state, "asker_001")
        assert guard.acquire()
        place.guards.append(guard)
    choices = ("retry", "skip", "release", "stop")
    return prompts.waiting(state, "asker_001") or prompts.ask(
        state,
        "asker_001",
        run_id="run",
        task_id=1,
        task_title="A task",
        question="What now?",
        choices=choices,
        default_choice="release",
    )


def open_question(place: Place) -> Words:
    asked(place)
    return []


def no_question(place: Place) -> Words:
    prompts.withdraw(StateDir(str(place.state)), "asker_001")
    return []


def answering(choice: str, *more: object, answered: str = "") -> Prepare:
    def prepare(place: Place) -> Words:
        asked(place)
        if answered:
            prompts.answer(StateDir(str(place.state)), "asker_001", answered)
        return ["--agent-id", "asker_001", "--choice", choice, *more]

    return prepare


def told(place: Place) -> Words:
    """People are told through a service that takes everything."""
    place.change(notify={"urls": [place.receiver.url]})
    return []


def health(place: Place) -> Words:
    place.forget()
    return []


def one_event(place: Place) -> Words:
    """A task that was worked, whose end was written down."""
    task_id = place.task()
    place.must("run", *AS_DEV, "--single-task")
    return ["--task-id", task_id, "--event", "task_finished"]


ASKS_NO_BOARD = "it asks no board"
LOOKS_ONLY = "it only looks"
TAKES_NOTHING = "it takes nothing"
NAMES_NOTHING = "it names nothing that could be missing"
COMPLETION = Row(
    good=always(), nothing=LOOKS_ONLY, held=LOOKS_ONLY, unknown=NAMES_NOTHING, down=ASKS_NO_BOARD
)

ROWS: dict[str, Row] = {
    "init": Row(
        good=fresh_repository,
        nothing="what is ready already is a success",
        held=TAKES_NOTHING,
        unknown="a directory that is no repository is a matter of configuration (78)",
        down=ASKS_NO_BOARD,
    ),
    "trust": Row(
        good=repository_with_settings,
        nothing="what is trusted already is a success",
        held=TAKES_NOTHING,
        unknown=fresh_repository,
        down=ASKS_NO_BOARD,
    ),
    "lock": Row(
        good=lock_by_json,
        lacking=((*DEV,), (*DEV, "--task-id", 1, "--task", '{"id": 2}')),
        nothing=with_nothing(*DEV, "--task", "null"),
        held=lock_of_anothers,
        unknown=always(*DEV, "--task-id", 987),
        down=always(*DEV, "--task-id", 987),
        varies=True,
    ),
    "unlock": Row(
        good=with_lock(*DEV),
        nothing=with_nothing(*DEV),
        held=held_by_living(*DEV),
        unknown="a record that is not there is nothing to do (3)",
        down=with_lock(*DEV),
        varies=True,
    ),
    "locks": Row(
        good=local_lock,
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
        held=held_by_living(*DEV),
        unknown=always("--task-id", 6, "--base", "nosuch"),
        down=ASKS_NO_BOARD,
    ),
    "worktree.remove": Row(
        good=restorable_worktree,
        lacking=((),),
        nothing=with_nothing(*DEV),
        held=held_by_living(*DEV),
        unknown="a worktree that is gone already is a success",
        down=ASKS_NO_BOARD,
        varies=True,
    ),
    "worktree.list": Row(
        good=always(), nothing=LOOKS_ONLY, held=LOOKS_ONLY, unknown=NAMES_NOTHING, down=ASKS_NO_BOARD
    ),
    "worktree.restore": Row(
        good=restorable,
        nothing="it is told what to restore",
        held=TAKES_NOTHING,
        unknown=always("--ref", "refs/hpm/salvage/dev_001/1/nosuch"),
        down=ASKS_NO_BOARD,
        varies=True,
    ),
    "worktree.prune": Row(
        good=always(),
        nothing="a tidy place is a success",
        held=TAKES_NOTHING,
        unknown=NAMES_NOTHING,
        down=ASKS_NO_BOARD,
    ),
    "claude.exec": Row(
        good=prompt,
        lacking=((),),
        nothing=with_nothing(*DEV),
        held=held_by_living(*DEV),
        unknown=always("--prompt-file", "nowhere"),
        down=placed,
    ),
    "claude.model": Row(
        good=always("--difficulty", "senior"),
        nothing=LOOKS_ONLY,
        held=LOOKS_ONLY,
        unknown="an unknown difficulty is a wrong call (2)",
        down=ASKS_NO_BOARD,
    ),
    "claude.check": Row(
        good=always(),
        nothing=LOOKS_ONLY,
        held=LOOKS_ONLY,
        unknown="a missing CLI is a matter of configuration (78)",
        down=ASKS_NO_BOARD,
    ),
    "finish": Row(
        good=agent_ended,
        lacking=(),
        nothing=with_nothing(*DEV),
        held=held_by_living(*DEV),
        unknown=always(*DEV, "--verdict", "nowhere"),
        down=agent_ended,
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
        nothing=LOOKS_ONLY,
        held=LOOKS_ONLY,
        unknown="a missing directory is a matter of configuration",
        down=ASKS_NO_BOARD,
    ),
    "health": Row(
        good=health,
        nothing=LOOKS_ONLY,
        held=LOOKS_ONLY,
        unknown=NAMES_NOTHING,
        down="a dead board is one of its findings (1)",
        varies=True,
    ),
    "run": Row(
        good=one_task,
        nothing=with_nothing(*AS_DEV, "--single-task"),
        held=running_elsewhere,
        unknown="missing role instructions are a matter of configuration (78)",
        down=always(*AS_DEV, "--single-task"),
        varies=True,
    ),
    "recover": Row(
        good=with_lock(*DEV, "--adopt"),
        nothing=with_nothing(*DEV),
        held=held_by_living(*DEV),
        unknown="a record that is not there is nothing to do (3)",
        down=with_lock(*DEV, "--adopt"),
        varies=True,
    ),
    "events": Row(
        good=one_event,
        lacking=(("--since", "soon"),),
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
        good=open_question,
        nothing=no_question,
        held=LOOKS_ONLY,
        unknown=NAMES_NOTHING,
        down=ASKS_NO_BOARD,
        varies=True,
    ),
    "answer": Row(
        good=answering("retry"),
        lacking=(("--agent-id", "asker_001"),),
        nothing=always("--agent-id", "nobody_001", "--choice", "retry"),
        held=answering("retry", answered="skip"),
        unknown=answering("retry", "--prompt", "nosuch"),
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
        good=offered("--role", "backend_dev"),
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
        good=offered("--status", "created"),
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
        good=told,
        nothing="without a service it is a matter of configuration (78)",
        held=TAKES_NOTHING,
        unknown="a URL that no service knows is a matter of configuration (78)",
        down=ASKS_NO_BOARD,
    ),
    "completion.words": Row(
        good=always("--word=lock", "--word=--agent-id", "--word="),
        nothing=LOOKS_ONLY,
        held=LOOKS_ONLY,
        unknown=NAMES_NOTHING,
        down=ASKS_NO_BOARD,
    ),
    **{f"completion.{shell}": COMPLETION for shell in ("bash", "zsh", "fish")},
}
"""Every command but those in ALONE."""

ALONE = {"pm.serve", "demo"}
"""Commands that have a test of their own each: one ends only when it is told to, one takes seconds."""
