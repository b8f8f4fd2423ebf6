"""How long to wait before asking the board again, and when to stop: urllib3's Retry with full bounds."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from urllib3.exceptions import InvalidHeader, MaxRetryError
from urllib3.util.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_RETRY_AFTER = 60.0
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 8.0


class Backoff(Retry):
    """Exponential pauses with jitter from the first one on, so that agents started together part."""

    @classmethod
    def of(cls, retries: int) -> Backoff:
        """At most ``retries`` repetitions of whatever fails."""
        return cls(total=retries, allowed_methods=None, backoff_factor=FIRST_PAUSE, backoff_max=LONGEST_PAUSE)

    def after_failure(self, method: str, url: str) -> Backoff | None:
        """The policy for the rest of the call after one more failure; None when its repetitions are used up."""
        try:
            return self.increment(method, url)
        except MaxRetryError:
            return None

    def get_backoff_time(self) -> float:
        failures = max(1, len(self.history))
        longest = min(self.backoff_max, self.backoff_factor * 2.0 ** (failures - 1))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311

    def pause(self, headers: Mapping[str, str]) -> float:
        """Seconds to wait now: what Retry-After asks (seconds or a date, at most 60), else the next pause.

        A Retry-After is stretched, never shortened, by some jitter: it was told to every waiting agent.
        """
        asked = self._retry_after(headers.get("Retry-After"))
        if not asked:
            return self.get_backoff_time()
        return min(LONGEST_RETRY_AFTER, asked + random.uniform(0.0, 0.5))  # noqa: S311

    def _retry_after(self, text: str | None) -> float:
        if text is None:
            return 0.0
        try:
            return min(LONGEST_RETRY_AFTER, float(self.parse_retry_after(text)))
        except (InvalidHeader, ValueError, OverflowError, TypeError):
            return 0.0
