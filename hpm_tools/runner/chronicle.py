"""Where the events of one agent go: into the state directory's file."""

from __future__ import annotations

import os
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hpm_tools.errors import HpmError
from hpm_tools.state.paths import board_slug

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpm_tools.config import Configuration
    from hpm_tools.events.recorder import Recorder
    from hpm_tools.events.versions import Kind
    from hpm_tools.state.paths import StateDir
    from hpm_tools.ui import TerminalUI

WAIT_FOR_WRITERS = 0.5
"""Seconds for which the events' thread waits for another writer before it looks whether it is to end."""


class Chronicle:
    """One agent's events. ``clean`` takes the secrets out of a text."""

    def __init__(
        self,
        config: Configuration,
        state: StateDir,
        ui: TerminalUI,
        agent_id: str,
        clean: Callable[[str], str],
    ) -> None:
        self.host = os.uname().nodename
        self._config = config
        self._state = state
        self._ui = ui
        self._agent_id = agent_id
        self._clean = clean
        self._board = board_slug(config.api_url)

    @cached_property
    def events(self) -> Recorder:
        """Where what happens is written down; made at the first event."""
        from hpm_tools.events.recorder import Recorder
        from hpm_tools.events.store import EventStore

        try:
            self._state.prepare(self._state.home)
        except HpmError as error:
            self._ui.debug(f"events cannot be kept: {error.message}")
        kept = self._config.events
        store = EventStore(self._state.events, wait=WAIT_FOR_WRITERS)
        return Recorder(store, clean=self._clean, keep_days=kept.keep_days, most=kept.most)

    def note(
        self,
        event: Kind,
        text: str = "",
        *,
        role: str = "",
        run: str | None = None,
        data: dict[str, Any] | None = None,
    ) -> None:
        """Keep that something happened; ``data`` are the kind's own fields. Never raises, never waits."""
        data = data or {}
        if not self._config.events.enabled:
            return
        from hpm_tools.events.store import Stored
        from hpm_tools.events.versions import VERSIONS

        self.events.emit(
            Stored(
                at=time.time(),
                v=VERSIONS.get(event, 1),
                event=event,
                agent=self._agent_id,
                role=role,
                board=self._board,
                task=data.get("task"),
                run=run,
                host=self.host,
                data={"text": text, **{name: value for name, value in data.items() if name != "task"}},
            )
        )
