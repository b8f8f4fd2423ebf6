"""Handing a message to the process that sends it, and what became of it at each service."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from hpm_tools.errors import CannotCreate, Misconfigured
from hpm_tools.extras import install_command
from hpm_tools.process.capture import capture
from hpm_tools.process.env import helper_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpm_tools.notify.notices import Message

LIMIT = 10.0
"""Seconds in which a service must have taken a message."""
START = 15.0
"""Seconds that the sending process may take besides, to start and to end, on a busy machine."""
LARGEST_ANSWER = 1 << 20


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a message at one service, which is named by its place in ``notify.urls`` and its kind.

    ``refused``: it does not accept the URL's credentials. ``unknown``: the URL is none that apprise knows.
    ``why`` is the service's own text.
    """

    service: str
    ok: bool
    why: str = ""
    refused: bool = False
    unknown: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def require_extra() -> None:
    """Misconfigured unless apprise is there."""
    if find_spec("apprise") is None:
        raise Misconfigured(
            "notifications are configured, but apprise, which sends them, is not installed",
            install_command("apprise"),
        )


def deliver(urls: Sequence[str], message: Message, limit: float = LIMIT) -> list[Delivery]:
    """Send ``message`` to every service within ``limit`` seconds; one Delivery for each.

    In a process of its own: a service may answer drop by drop for ever, which no thread can be freed from.
    Raises HpmError when that process cannot be started or does not end as it should.
    """
    require_extra()
    order = {"urls": list(urls), "limit": limit, **asdict(message)}
    answer = capture(
        [sys.executable, "-P", "-m", "hpm_tools.notify.deliver"],
        cwd="/",
        env=helper_environment(os.environ, ("PYTHONPATH",)),
        stdin=json.dumps(order).encode(),
        timeout=limit + START,
        limit=LARGEST_ANSWER,
    )
    try:
        return [Delivery(**row) for row in json.loads(answer.out)]
    except (ValueError, TypeError):
        said = answer.err.decode(errors="replace").strip().rpartition("\n")[2]
        raise CannotCreate(f"the message could not be sent: {said or f'exit code {answer.rc}'}") from None


def failures(outcomes: Sequence[Delivery]) -> str:
    """The services that failed, each with its reason; "" when none did."""
    return "; ".join(f"{one.service}: {one.why}" for one in outcomes if not one.ok)
