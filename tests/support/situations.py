"""Situations that a command can meet, each brought about at a desk; what they return are the call's options."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    from tests.support.contract import Row

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


VARYING = re.compile(r"\b[0-9a-f]{7,40}\b|\d{8}T\d+Z(-\w+)?|\d+(\.\d+)?| +")


def steady(row: Row, output: str) -> str:
    """What two equal calls of a command have in common."""
    return VARYING.sub("…", output) if row.varies else output


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


def task_of_nobody(place: Place) -> Words:
    """A task that is under work although no agent holds it."""
    task_id = place.task()
    place.board.put(task_id, "dev_001", "under_work")
    return ["--task-id", task_id]


def task_under_work_by_another(place: Place) -> Words:
    task_id = place.task()
    place.board.register("dev_002")
    place.board.lock(task_id, "dev_002")
    place.board.put(task_id, "dev_002", "under_work")
    return ["--task-id", task_id]


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


def declared_session(place: Place) -> Words:
    place.change(sessions=[{"agent_id": "dev_001", "role": "backend_dev"}])
    return []


def no_session(place: Place) -> Words:
    place.change(sessions=[])
    return []


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


def telling_people(place: Place) -> Words:
    """People are told through a service that takes everything."""
    place.change(notify={"urls": [place.receiver.url]})
    return []


def telling_nobody(place: Place) -> Words:
    place.change(notify={"urls": []})
    return []


def health(place: Place) -> Words:
    place.forget()
    return []


def one_event(place: Place) -> Words:
    """A task that was worked, whose end was written down."""
    task_id = place.task()
    place.must("run", *AS_DEV, "--single-task")
    return ["--task-id", task_id, "--event", "task_finished"]


def no_roles(place: Place) -> Words:
    return [*one_task(place), "--roles-dir", "/no/such/place"]


def free_port(place: Place) -> Words:
    return ["--port", 0, "--db", place.directory / "served.db"]


def taken_port(place: Place) -> Words:
    """The port of the desk's own board."""
    return ["--port", place.board.url.rpartition(":")[2], "--db", place.directory / "served.db"]
