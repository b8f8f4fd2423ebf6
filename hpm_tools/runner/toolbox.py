"""The components that one agent's work needs, each made when first used.

The commands and the runner hold the same toolbox, which is why `run` can do nothing that no command can.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hpm_tools.errors import Held, HpmError, Misconfigured
from hpm_tools.runner.stop import Stop
from hpm_tools.state.guard import agent_guard
from hpm_tools.state.last_seen import LastSeen
from hpm_tools.state.paths import StateDir, board_slug
from hpm_tools.state.persistence import TaskPersistence
from hpm_tools.state.tasklog import TaskLog

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hpm_tools.board.client import Board
    from hpm_tools.board.heartbeat import Heartbeat
    from hpm_tools.config import Configuration
    from hpm_tools.events.recorder import Recorder
    from hpm_tools.events.versions import Kind
    from hpm_tools.executor.base import Executor
    from hpm_tools.executor.model import ModelMapper
    from hpm_tools.hook.runner import HookRunner
    from hpm_tools.meter import Meter
    from hpm_tools.runner.chronicle import Chronicle
    from hpm_tools.runner.notifying import Notifier
    from hpm_tools.state.guard import Guard
    from hpm_tools.state.record import Record
    from hpm_tools.ui import TerminalUI
    from hpm_tools.worktree.bounds import Bounds
    from hpm_tools.worktree.locks import RepositoryGuard
    from hpm_tools.worktree.repository import Repository
    from hpm_tools.worktree.worktrees import GitWorktree

FINISHED_WITHIN = 2.0
"""Seconds for which git goes on reading files after a signal asked to stop."""


class Toolbox:
    """The configuration, the agent and the components of one command or runner; ``close()`` stops its threads and guards."""

    def __init__(
        self,
        config: Configuration,
        ui: TerminalUI,
        agent_id: str,
        *,
        stop: Stop | None = None,
        model: str | None = None,
    ) -> None:
        self.config = config
        self.ui = ui
        self.agent_id = agent_id
        self.stop = stop or Stop()
        self.model = model
        self.heartbeat: Heartbeat | None = None
        self.task_guard: Guard | None = None
        self.checkout_guard: RepositoryGuard | None = None
        self.budgets_told: set[tuple[str, str]] = set()
        self.calls_noted_at = time.monotonic()
        self.judged_run: str | None = None
        """The run whose agent this very process has judged: no record has to be believed for it."""
        self._who: tuple[str, str] | None = None
        ui.conceal(self.secrets)

    @cached_property
    def state(self) -> StateDir:
        return StateDir(self.config.home)

    @cached_property
    def persistence(self) -> TaskPersistence:
        from hpm_tools.runner.record_check import objection

        return TaskPersistence(
            self.agent_id,
            self.state,
            objection=lambda record: objection(self, record),
            tell=self.ui.warn,
        )

    @cached_property
    def secrets(self) -> frozenset[str]:
        """What is never written down, by whatever component this toolbox holds."""
        return self.config.secrets(os.environ)

    def clean(self, text: str) -> str:
        """Somebody else's ``text`` without secrets and control characters."""
        from hpm_tools.redaction import redact
        from hpm_tools.text import for_terminal

        return redact(for_terminal(text), self.secrets)

    @cached_property
    def board(self) -> Board:
        from hpm_tools.board.connect import connect

        return connect(self.config, self.state.home, self.ui.warn, LastSeen(self.state, self.board_key))

    @property
    def board_meter(self) -> Meter:
        """How quickly the board answered; asking makes no connection."""
        from hpm_tools.meter import Meter

        return self.board.calls.transport.meter if "board" in self.__dict__ else Meter()

    @cached_property
    def repository(self) -> Repository:
        from hpm_tools.config import require_repository
        from hpm_tools.config.trust import TrustStore
        from hpm_tools.worktree import droppings, git
        from hpm_tools.worktree.repository import Repository

        repository = Repository.discover(require_repository(self.config))
        git.approved.update(TrustStore(self.state).git_settings(str(repository.root)))
        droppings.patterns[:] = self.config.worktree.droppings
        return repository

    def bounds(self) -> Bounds:
        """How much is taken into git at once; a signal ends what takes longer than a moment (Interrupted).

        What is done sooner is finished: the task is then reported and need not be resumed.
        """
        from hpm_tools.worktree.bounds import Bounds

        begun, limits = time.monotonic(), self.config.worktree

        def heed() -> None:
            if time.monotonic() - begun > FINISHED_WITHIN:
                self.stop.check()

        return Bounds(limits.max_files, limits.max_bytes, heed)

    @cached_property
    def worktrees(self) -> GitWorktree:
        from hpm_tools.worktree.worktrees import GitWorktree

        settings = self.config.worktree
        worktrees = GitWorktree(
            self.repository,
            base=self.config.worktree_base,
            copy=settings.copy,
            setup=settings.setup,
            regenerable=settings.regenerable,
            setup_timeout=settings.setup_timeout,
            clean=self.clean,
            bounds=self.bounds,
        )
        worktrees.should_stop = self.stop.reason
        return worktrees

    @cached_property
    def hooks(self) -> HookRunner:
        from hpm_tools.hook.runner import HookRunner

        return HookRunner.from_config(self.config, api_url=self.board.url)

    @cached_property
    def executor(self) -> Executor:
        if self.config.executor == "command":
            from hpm_tools.executor.command import CommandExecutor

            return CommandExecutor.from_config(self.config)
        from hpm_tools.executor.claude import ClaudeExecutor

        return ClaudeExecutor.from_config(self.config)

    @cached_property
    def agent_environment(self) -> dict[str, str]:
        """A git identity for agents where the operator has none, for their commits would fail without."""
        return self.repository.git.author()

    @cached_property
    def models(self) -> ModelMapper:
        from hpm_tools.executor.model import ModelMapper

        return ModelMapper(self.config.models)

    @property
    def role(self) -> str:
        return self._identity()[0]

    @property
    def level(self) -> str:
        return self._identity()[1]

    @property
    def board_role(self) -> str:
        """The role to register as."""
        from hpm_tools.board.models import board_role

        return board_role(self.role)

    @property
    def polled_roles(self) -> Sequence[str]:
        """The board's roles whose tasks this agent may take."""
        from hpm_tools.board.models import polled_roles

        return polled_roles(self.role)

    def _identity(self) -> tuple[str, str]:
        if self._who is None:
            self._who = self._configured_identity() or self._registered_identity()
        return self._who

    def _configured_identity(self) -> tuple[str, str] | None:
        if self.config.role:
            return self.config.role, self.config.level
        return None

    def _registered_identity(self) -> tuple[str, str]:
        for agent in self.board.agents():
            if agent.agent_id == self.agent_id:
                return agent.role, agent.level
        raise Misconfigured(
            f"the board does not know the agent {self.agent_id}, so its role is unknown",
            f"register it first: hpm pm.register --agent-id {self.agent_id} --role backend_dev",
        )

    def resume_as(self, record: Record) -> None:
        """Work as the role and level that took the recorded task."""
        if record.role:
            self._who = (record.role, record.level or self.config.level)

    @property
    def board_key(self) -> str:
        return board_slug(self.config.api_url)

    def task_log(self, task_id: int, created_at: str) -> TaskLog:
        return TaskLog(self.state, self.board_key, task_id, created_at)

    def log_of(self, record: Record) -> TaskLog:
        return self.task_log(int(record.task_id), record.created_at or "")

    @cached_property
    def chronicle(self) -> Chronicle:
        from hpm_tools.runner.chronicle import Chronicle

        return Chronicle(self.config, self.state, self.ui, self.agent_id, self.clean)

    @property
    def events(self) -> Recorder:
        return self.chronicle.events

    @property
    def where(self) -> str:
        """The host and the board, for people elsewhere."""
        return f"{self.chronicle.host}, {self.board_key}"

    @cached_property
    def notifier(self) -> Notifier | None:
        """What tells people elsewhere of events; None where nobody wants to know, or it cannot."""
        if not self.config.notify.urls:
            return None
        from hpm_tools.runner.notifying import notifier_for

        return notifier_for(self)

    def note_event(self, event: Kind, text: str = "", *, record: Record | None = None, **data: Any) -> None:
        """Keep that something happened, for `hpm events` and the figures; ``data`` are the kind's own fields.

        ``record`` is the take of the task that it belongs to; without one ``task`` may name the task.
        """
        role = (self._who or self._configured_identity() or ("", ""))[0]
        if record is not None:
            data["task"] = int(record.task_id)
        self.chronicle.note(event, text, role=role, run=record.run_id if record else None, data=data)
        if self.notifier is not None:
            self.notifier.consider(event, text, data, agent=self.agent_id, where=self.where)

    def tell(self, event: Kind, text: str = "", *, record: Record | None = None, **data: Any) -> None:
        """Keep an event and show it to whoever watches: the one source of what `run` prints."""
        self.note_event(event, text, record=record, **data)
        if record is not None:
            data = {"task": record.task_id, **data}
        self.ui.event(event, text, **data)

    def close(self) -> None:
        """Stop the heartbeat and release the guards; safe to call twice."""
        from hpm_tools.runner.telling import note_board_calls

        self.end_heartbeat()
        note_board_calls(self, at_once=True)
        if self.task_guard is not None:
            self.task_guard.release()
        if self.checkout_guard is not None:
            self.checkout_guard.release()
        self.task_guard = self.checkout_guard = None

    @contextmanager
    def command_guard(self, wait: float = 0.0, *, force: bool = False) -> Iterator[bool]:
        """Hold the agent's guard for one command; Held (75) while a runner or another command has it.

        ``force`` goes on without it. Gives whether it is held.
        """
        guard = agent_guard(self.state, self.agent_id)
        held = guard.acquire(wait=wait)
        if not held and not force:
            raise self._at_work()
        try:
            yield held
        except HpmError as error:
            from hpm_tools.runner.held_up import add_whereabouts

            add_whereabouts(self, error, "the same command")
            raise
        finally:
            guard.release()

    def _at_work(self) -> Held:
        from hpm_tools.state.prompts import waiting

        prompt = waiting(self.state, self.agent_id)
        if prompt is None:
            return Held(
                f"agent {self.agent_id} is at work in another process", "hpm locks shows who holds it"
            )
        return Held(
            f"agent {self.agent_id}'s runner waits for an answer: {prompt.question}",
            prompt.how_to_answer,
        )

    def begin_heartbeat(self, record: Record) -> None:
        """Register every minute from now on and watch that the board's lock stays ours."""
        from hpm_tools.board.heartbeat import Heartbeat
        from hpm_tools.board.lease import DEFAULT_BEFORE, UNDER_WORK

        if self.heartbeat is None:
            self.heartbeat = Heartbeat(
                self.board,
                self.agent_id,
                self.board_role,
                self.level,
                task_id=int(record.task_id),
                created_at=record.created_at,
                locked_at=record.board_locked_at,
                likely=(UNDER_WORK, record.board_status_before or DEFAULT_BEFORE),
                target_role=record.task_data.get("target_role"),
                every=self.config.heartbeat_interval,
            )
            self.heartbeat.start()

    def keep_alive(self) -> None:
        """Register once, where no heartbeat does: the board forgets the locks of silent agents."""
        if self.heartbeat is None:
            try:
                self.board.register(self.agent_id, self.board_role, self.level)
            except HpmError:
                return

    def end_heartbeat(self) -> None:
        if self.heartbeat is not None:
            self.heartbeat.stop()
            self.heartbeat = None

    def lost_reason(self) -> str | None:
        return self.heartbeat.lost if self.heartbeat is not None else None
