"""Notices on their way out, in one file for all runners of this host: grouped and limited together, lost by no crash."""

from __future__ import annotations

import os
import time

from hpm_tools.errors import BadData
from hpm_tools.state import files, quickjson

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from hpm_tools.state.paths import StateDir

    Json = dict[str, Any]
    T = TypeVar("T")

HOUR = 3600.0
CLAIM_SECONDS = 60.0
"""For so long whoever sends has to say what became of it; then another may."""
MOST_WAITING = 500
MOST_TRIES = 3
RETRY_PAUSE = 60.0
_READ_LIMIT = 4 << 20
_MOST_TOLD = 500
_MOST_LOST = 10**9
_LATEST = 1e11


class Claim:
    """What one runner is to send now: ``notices``, oldest first; ``lost`` were given up since the last message."""

    __slots__ = ("key", "lost", "notices")

    def __init__(self, key: str, notices: list[Json], lost: int) -> None:
        self.key = key
        self.notices = notices
        self.lost = lost


class Outbox:
    """``window``: seconds that the first of several waits for others; ``hourly``: messages in an hour at most."""

    def __init__(self, state: StateDir, *, window: float, hourly: int) -> None:
        self._state = state
        self._window = window
        self._hourly = hourly
        self.path = state.outbox

    def add(self, notice: Json, key: str | None = None) -> bool:
        """Have ``notice`` sent; False if one of the same ``key`` was told within the hour, by any runner."""

        def change(box: Json, now: float) -> bool:
            if key is not None and now - HOUR < box["told"].get(key, 0.0) <= now:
                return False
            if key is not None:
                box["told"][key] = now
            if not box["waiting"]:
                box["due"] = now + self._window
            box["waiting"].append(notice)
            return True

        return self._change(change)

    def forget(self, kind: str) -> None:
        """What of this ``kind`` (the part of a key before the bar) was told is news again."""
        if os.path.exists(self.path):
            self._change(lambda box, _now: _forget(box["told"], kind))

    def waiting(self) -> bool:
        """Whether something is to be sent, or was being sent by somebody who may have died."""
        try:
            box = _parse(files.read_capped(self.path, _READ_LIMIT) or b"")
        except BadData:
            return False
        return bool(box["waiting"] or box["claim"])

    def claim(self, *, at_once: bool = False) -> Claim | float | None:
        """What to send now; or the seconds until there may be something; or None if nothing waits.

        ``at_once`` does not wait for others to join; the hourly limit holds all the same.
        """

        def change(box: Json, now: float) -> Claim | float | None:
            held = box["claim"]
            if held is not None:
                if now < held["until"] <= now + CLAIM_SECONDS:
                    return float(held["until"] - now)
                _take_back(box, now)
            if not box["waiting"]:
                return None
            # A time further ahead was written by a clock that has been set back since, or by nobody here.
            box["due"] = min(box["due"], now + max(self._window, RETRY_PAUSE * MOST_TRIES))
            left = box["due"] - now
            if left > 0 and not (at_once and not box["tries"]):
                return float(left)
            box["sent"] = [at for at in box["sent"] if now - HOUR < at <= now]
            if len(box["sent"]) >= self._hourly:
                return float(box["sent"][0] + HOUR - now)
            box["sent"].append(now)
            claim = Claim(os.urandom(8).hex(), box["waiting"], box["lost"])
            box["claim"] = {"key": claim.key, "until": now + CLAIM_SECONDS, "notices": claim.notices}
            box["waiting"] = []
            return claim

        return self._change(change)

    def settle(self, claim: Claim, *, sent: bool, problem: str = "") -> None:
        """Say what became of ``claim``: ``sent`` by at least one service, or to be tried again, up to three times.

        ``problem`` is what any service had to object, for `health`. Who says it so late that another took the
        claim back leaves the other's alone, and what was sent does not wait any more.
        """

        def change(box: Json, now: float) -> None:
            box["problem"] = {"at": now, "text": problem} if problem else None
            mine = box["claim"] is not None and box["claim"].get("key") == claim.key
            if mine and not sent:
                _take_back(box, now)
            elif sent:
                box["waiting"] = [notice for notice in box["waiting"] if notice not in claim.notices]
                if mine or box["claim"] is None:
                    box |= {"claim": None, "tries": 0, "lost": 0}

        self._change(change)

    def problem(self) -> tuple[float, str] | None:
        """When the last message failed at some service, and why; None if it did not."""
        try:
            problem = _parse(files.read_capped(self.path, _READ_LIMIT) or b"")["problem"]
        except BadData:
            return None
        return (problem["at"], problem["text"]) if problem else None

    def _change(self, change: Callable[[Json, float], T]) -> T:
        """What ``change`` returns for the box and the time, read once all who were here before have written."""
        self._state.prepare(self._state.home)
        with files.Exclusive(self.path, create=True) as file:
            try:
                box = _parse(file.read(_READ_LIMIT))
            except files.TooLarge:
                box = _parse(b"")
            result = change(box, time.time())
            surplus = len(box["waiting"]) - MOST_WAITING
            if surplus > 0:
                del box["waiting"][:surplus]
                box["lost"] += surplus
            box["told"] = dict(list(box["told"].items())[-_MOST_TOLD:])
            files.atomic_write(self.path, quickjson.dumps(box))
        return result


def _take_back(box: Json, now: float) -> None:
    """The claimed notices wait again, before newer ones; after the last try they are lost."""
    box["tries"] += 1
    if box["tries"] >= MOST_TRIES:
        box["lost"] += len(box["claim"]["notices"])
        box["tries"] = 0
    else:
        box["waiting"] = box["claim"]["notices"] + box["waiting"]
        box["due"] = now + RETRY_PAUSE * box["tries"]
    box["claim"] = None


def _forget(told: Json, kind: str) -> None:
    for key in [key for key in told if key.partition("|")[0] == kind]:
        del told[key]


_EMPTY: Json = {
    "waiting": [],
    "due": 0.0,
    "tries": 0,
    "claim": None,
    "sent": [],
    "told": {},
    "lost": 0,
    "problem": None,
}


def _parse(data: bytes) -> Json:
    """The box; an empty one for a damaged file, for notices are worth no failure."""
    try:
        found = quickjson.loads(data) if data else {}
    except ValueError:
        found = {}
    box = {**_fresh(), **found} if isinstance(found, dict) else _fresh()
    return box if _sound(box) else _fresh()


def _fresh() -> Json:
    return {**_EMPTY, "waiting": [], "sent": [], "told": {}}


def _sound(box: Json) -> bool:
    claim, problem = box["claim"], box["problem"]
    return (
        isinstance(box["waiting"], list)
        and all(_is_number(box[name]) for name in ("due", "tries", "lost"))
        and 0 <= box["tries"] < MOST_TRIES
        and 0 <= box["lost"] < _MOST_LOST
        and isinstance(box["sent"], list)
        and all(map(_is_number, box["sent"]))
        and isinstance(box["told"], dict)
        and all(map(_is_number, box["told"].values()))
        and (
            claim is None
            or (
                isinstance(claim, dict)
                and isinstance(claim.get("notices"), list)
                and _is_number(claim.get("until"))
            )
        )
        and (
            problem is None
            or (
                isinstance(problem, dict)
                and _is_number(problem.get("at"))
                and 0 <= problem["at"] < _LATEST
                and isinstance(problem.get("text"), str)
            )
        )
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
