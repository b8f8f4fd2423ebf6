"""What one invocation cost, for CLIs that report it per invocation, per session, or not at all.

The total of a resumed run is this invocation's up to CLI 2.1.240 and the whole session's in 2.1.330
(docs/claude-cli.md, Cost). A run that was ended from outside reports nothing; then its tokens are priced.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LAST_PER_INVOCATION = (2, 1, 240)
CHARACTERS_PER_TOKEN = 3.5

PRICES: dict[str, tuple[float, float]] = {
    "haiku": (0.5, 2.5),
    "sonnet": (2.0, 10.0),
    "opus": (4.0, 20.0),
    "fable": (8.0, 40.0),
}
"""US dollars per million input and output tokens by family, for estimates only (the CLI 2.1.330's own)."""
CACHE_READ = 0.1
CACHE_WRITE = 1.25
"""What cached tokens cost, as a part of the price of input."""


@dataclass(frozen=True, slots=True)
class Cost:
    """``invocation`` in US dollars (None: unknown), ``session``: the total to remember for the next resume."""

    invocation: float | None
    session: float
    estimated: bool = False


def settle(
    *,
    total: float | None,
    since_last: float | None,
    version: str,
    resumed: bool,
    previous: float,
    estimate: float | None,
) -> Cost:
    """The cost of one invocation.

    ``total`` and ``since_last`` are what the result reported, ``previous`` the session's total before,
    ``estimate`` the price of the tokens seen in the stream.
    """
    if total is None:
        return Cost(estimate, previous + (estimate or 0.0), estimated=True)
    if since_last is not None:
        return Cost(since_last, total)
    if resumed and total > previous and _version(version) > LAST_PER_INVOCATION:
        return Cost(total - previous, total)
    return Cost(total, previous + total if resumed else total)


def _version(text: str) -> tuple[float, ...]:
    parts = text.split(".")
    return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else (math.inf,)


def price(model: str, usage: Mapping[str, Any], written: int) -> float:
    """The estimated price in US dollars of one model message.

    ``usage`` counts its tokens; a message seen in a stream may not count its output yet, so at least
    the ``written`` characters are priced. An unknown model is priced as the dearest.
    """
    name = model.lower()
    family = [rates for word, rates in PRICES.items() if word in name]
    into, out = family[0] if family else max(PRICES.values())
    inputs = (
        _count(usage, "input_tokens")
        + _count(usage, "cache_read_input_tokens") * CACHE_READ
        + _count(usage, "cache_creation_input_tokens") * CACHE_WRITE
    )
    outputs = max(_count(usage, "output_tokens"), written / CHARACTERS_PER_TOKEN)
    return (inputs * into + outputs * out) / 1e6


def dollars(value: object) -> float | None:
    """``value`` if it is a sane amount of money, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 1e9 else None


def sum_of_models(usage: object) -> float | None:
    """The total of a result's usage by model; None if it holds no amount."""
    if not isinstance(usage, dict):
        return None
    amounts: Iterable[float | None] = (
        dollars(item.get("costUSD")) for item in usage.values() if isinstance(item, dict)
    )
    return sum(amount for amount in amounts if amount is not None)


def _count(usage: Mapping[str, Any], name: str) -> float:
    value = usage.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1e12 else 0
