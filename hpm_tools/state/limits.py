"""Usage limits of accounts on this host: what one runner learnt holds back every runner of that account."""

from __future__ import annotations

import os
import time

from hpm_tools.errors import HpmError
from hpm_tools.state import files, quickjson
from hpm_tools.state.paths import file_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hpm_tools.state.paths import StateDir

LONGEST = 8 * 86400.0
"""Seconds: the longest usage window is a week; a reset further away is a mistake, or a clock that was set."""
_READ_LIMIT = 64 << 10


class Limits:
    """The closed usage windows, one file per account with the newest sighting of each kind of window."""

    def __init__(self, state: StateDir) -> None:
        self._state = state

    def hold(self, account: str, resets_at: float, kind: str = "") -> None:
        """Remember that ``account``'s window of this ``kind`` (``five_hour``…) opens at ``resets_at``, Unix time."""
        self._state.prepare(self._state.limits)
        path = self._path(account)
        with files.Exclusive(path, create=True) as file:
            windows = _open_windows(_parse(file.read(_READ_LIMIT)), time.time())
            windows[kind] = {"resets_at": float(resets_at), "seen_at": time.time()}
            files.atomic_write(path, quickjson.dumps({"account": account, "windows": windows}))

    def until(self, account: str, model: str = "") -> float | None:
        """The Unix time at which every closed window of ``account`` is open again; None if none is closed.

        With a ``model``, windows of other model families (``seven_day_opus``) do not count.
        """
        now = time.time()
        windows = _open_windows(self._windows(account), now)
        ends = [
            min(window["resets_at"], now + LONGEST)
            for kind, window in windows.items()
            if _concerns(kind, model)
        ]
        return max(ends, default=None)

    def kinds(self, account: str) -> dict[str, float]:
        """The kinds of the closed windows, each with the Unix time at which it opens."""
        return {
            kind: window["resets_at"]
            for kind, window in _open_windows(self._windows(account), time.time()).items()
        }

    def clear(self, account: str) -> bool:
        """Forget what was seen; False if there was nothing."""
        try:
            files.remove(self._path(account))
        except FileNotFoundError:
            return False
        return True

    def _path(self, account: str) -> str:
        return os.path.join(self._state.limits, file_name(account) + ".json")

    def _windows(self, account: str) -> dict[str, Any]:
        try:
            return _parse(files.read_capped(self._path(account), _READ_LIMIT) or b"")
        except HpmError:
            return {}


def _parse(data: bytes) -> dict[str, Any]:
    """The windows by kind. A damaged file holds nobody back: the next call to the account will tell again."""
    try:
        found = quickjson.loads(data)
    except ValueError:
        return {}
    windows = found.get("windows") if isinstance(found, dict) else None
    return windows if isinstance(windows, dict) else {}


def _open_windows(windows: dict[str, Any], now: float) -> dict[str, Any]:
    return {kind: window for kind, window in windows.items() if _still_closed(window, now)}


def _still_closed(window: Any, now: float) -> bool:
    if not isinstance(window, dict):
        return False
    resets_at, seen_at = window.get("resets_at"), window.get("seen_at")
    if not isinstance(resets_at, int | float) or not isinstance(seen_at, int | float):
        return False
    # Seen in the future: the clock was set back since, and says nothing about when the window opens.
    return now < resets_at and seen_at <= now + 60.0 and now < seen_at + LONGEST


def _concerns(kind: str, model: str) -> bool:
    family = kind.rpartition("_")[2]
    return family not in ("opus", "sonnet", "haiku") or not model or family in model
