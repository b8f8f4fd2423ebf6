"""One reader for all viewers: it looks for changes while somebody watches, and renders each part once."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

LOOK = 0.2
"""Seconds between two looks; a look that found nothing costs a query and a stat."""
REST = 2.0
"""How many times as long as the last look took is rested after it, when everything changes all the time."""
BEAT = 15.0
"""Seconds after which a silent viewer is written to, which finds out those who left."""


class Watch:
    """Follows what ``changed`` sees and hands out the parts that ``render(period)`` makes anew.

    ``changed()`` says whether there is anything new since it was last called. Both run in worker threads,
    never at the same time, and only while there is a viewer. All methods are for the event loop's thread.
    """

    def __init__(self, changed: Callable[[], bool], render: Callable[[str], Mapping[str, str]]) -> None:
        self._changed = changed
        self._render = render
        self._parts: dict[str, dict[str, tuple[int, str]]] = {}
        self._version = 0
        self._viewers: dict[asyncio.Event, str] = {}
        self._looking: asyncio.Task[None] | None = None
        self._closed = False

    async def follow(self, period: str) -> AsyncGenerator[bytes, None]:
        """Server-sent events: all parts of ``period`` first, then each as it changes."""
        woken = asyncio.Event()
        seen: dict[str, int] = {}
        self._viewers[woken] = period
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_on())
        looking = self._looking
        try:
            while not self._closed and not looking.done():
                woken.clear()
                for name, (version, html) in self._parts.get(period, {}).items():
                    if seen.get(name) != version:
                        seen[name] = version
                        yield message({"id": name, "html": html, "now": time.time()})
                try:
                    await asyncio.wait_for(woken.wait(), BEAT)
                except TimeoutError:
                    yield b": still here\n\n"
            if looking.done():
                looking.result()
        finally:
            del self._viewers[woken]

    def close(self) -> None:
        """End every viewer's stream."""
        self._closed = True
        self._wake()

    async def _look_on(self) -> None:
        try:
            while self._viewers and not self._closed:
                began = time.monotonic()
                periods = set(self._viewers.values())
                changed = await asyncio.to_thread(self._changed)
                for period in periods:
                    if changed or period not in self._parts:
                        self._note(period, await asyncio.to_thread(self._render, period))
                await asyncio.sleep(max(LOOK, REST * (time.monotonic() - began)))
        finally:
            self._looking = None
            self._parts.clear()
            self._wake()

    def _note(self, period: str, rendered: Mapping[str, str]) -> None:
        parts = self._parts.setdefault(period, {})
        for name, html in rendered.items():
            if name not in parts or parts[name][1] != html:
                self._version += 1
                parts[name] = (self._version, html)
        self._wake()

    def _wake(self) -> None:
        for viewer in self._viewers:
            viewer.set()


def message(data: Mapping[str, object]) -> bytes:
    """One server-sent event with a part of the page."""
    return f"event: part\ndata: {json.dumps(data)}\n\n".encode()
