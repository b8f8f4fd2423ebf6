"""One reader for all viewers."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from hpm_tools.dashboard.watch import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable

WITHIN = 60.0


class Source:
    """Something to watch: each ``change`` is seen once, each rendering counted."""

    def __init__(self) -> None:
        self.number = 0
        self.rendered: list[tuple[str, int]] = []
        self.looks = 0
        self.breaks = False
        self._seen = 0

    def changed(self) -> bool:
        self.looks += 1
        if self.breaks:
            raise RuntimeError("broken on purpose")
        seen, self._seen = self._seen, self.number
        return seen != self.number

    def render(self, period: str) -> dict[str, str]:
        self.rendered.append((period, self.number))
        return {"changing": f"{period} {self.number}", "steady": period}


async def part(stream: AsyncGenerator[bytes, None]) -> dict[str, Any]:
    """The next part that the stream brings."""
    async for sent in stream:
        if sent.startswith(b"event: part\n"):
            assert sent.endswith(b"\n\n")
            found: dict[str, Any] = json.loads(sent.partition(b"data: ")[2])
            return found
    raise AssertionError("the stream has ended")


def played(scene: Awaitable[None]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(scene, WITHIN)

    asyncio.run(bounded())


def test_many_viewers_cost_one_rendering() -> None:
    source = Source()
    watch = Watch(source.changed, source.render)

    async def scene() -> None:
        viewers = [watch.follow("24h") for _ in range(50)]
        for viewer in viewers:
            assert {(await part(viewer))["id"], (await part(viewer))["id"]} == {"changing", "steady"}
        source.number = 1
        for viewer in viewers:
            assert (await part(viewer))["html"] == "24h 1"
        assert source.rendered == [("24h", 0), ("24h", 1)]
        for viewer in viewers:
            await viewer.aclose()

    played(scene())


def test_each_period_is_rendered_for_those_who_look_at_it() -> None:
    source = Source()
    watch = Watch(source.changed, source.render)

    async def scene() -> None:
        day, week = watch.follow("24h"), watch.follow("7d")
        for viewer, period in ((day, "24h"), (week, "7d")):
            assert [(await part(viewer))["html"] for _ in range(2)] == [f"{period} 0", period]
        await week.aclose()
        source.number = 1
        assert (await part(day))["html"] == "24h 1"
        assert ("7d", 1) not in source.rendered
        await day.aclose()

    played(scene())


def test_nobody_looks_when_the_last_viewer_has_gone() -> None:
    source = Source()
    watch = Watch(source.changed, source.render)

    async def scene() -> None:
        viewer = watch.follow("24h")
        await part(viewer)
        await viewer.aclose()
        looking = watch._looking
        assert looking is not None
        await looking
        looks = source.looks
        source.number = 5
        again = watch.follow("24h")
        assert (await part(again))["html"] == "24h 5"
        assert source.looks > looks
        await again.aclose()

    played(scene())


def test_what_breaks_ends_the_streams_and_is_told() -> None:
    """A browser comes back after a while; the next reader begins anew."""
    source = Source()
    watch = Watch(source.changed, source.render)

    async def scene() -> None:
        viewer = watch.follow("24h")
        await part(viewer)
        source.breaks = True
        await part(viewer)
        with pytest.raises(RuntimeError, match="broken on purpose"):
            await part(viewer)
        source.breaks = False
        again = watch.follow("24h")
        assert (await part(again))["html"] == "24h 0"
        await again.aclose()

    played(scene())


def test_closing_ends_every_stream() -> None:
    source = Source()
    watch = Watch(source.changed, source.render)

    async def scene() -> None:
        viewers = [watch.follow("24h") for _ in range(3)]
        for viewer in viewers:
            await part(viewer)
        watch.close()
        for viewer in viewers:
            left = [sent async for sent in viewer]
            assert all(b'"steady"' in sent for sent in left)

    played(scene())
