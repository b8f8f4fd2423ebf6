"""How many tokens one invocation used, as the CLI's result says, or else as its messages did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST = 1e12


@dataclass(frozen=True, slots=True)
class Tokens:
    """Counts of tokens: ``input`` is what was neither read from a cache nor written to it."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            self.input + other.input,
            self.output + other.output,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
        )


def of_usage(usage: Mapping[str, Any]) -> Tokens:
    """The tokens of the API's ``usage``: a message's, or a result's."""
    return Tokens(
        _count(usage, "input_tokens"),
        _count(usage, "output_tokens"),
        _count(usage, "cache_read_input_tokens"),
        _count(usage, "cache_creation_input_tokens"),
    )


def of_models(by_model: object) -> Tokens | None:
    """The sum of a result's usage by model; None if it has none.

    Unlike the result's ``usage`` it holds what helpers of another model used.
    """
    if not isinstance(by_model, dict) or not by_model:
        return None
    total = Tokens()
    for usage in by_model.values():
        if isinstance(usage, dict):
            total += Tokens(
                _count(usage, "inputTokens"),
                _count(usage, "outputTokens"),
                _count(usage, "cacheReadInputTokens"),
                _count(usage, "cacheCreationInputTokens"),
            )
    return total


def _count(usage: Mapping[str, Any], name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST else 0
