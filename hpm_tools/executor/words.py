"""What an agent says, made fit to be kept and passed on: without secrets first, of bounded size after that.

In this order, for a secret that is cut in two is found no more. Without bounds an agent could make a
record that is too large to be written, and its task would be begun again for ever.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hpm_tools.redaction import Redactor, redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hpm_tools.executor.base import AgentRun

    Clean = Callable[[str], str]

LONGEST_SUMMARY = 8_000
LONGEST_TEXT = 16_000
LONGEST_LINE = 2_000
MOST_LINES = 100
"""Characters of a text or of one finding, error or denial, and how many of those."""


def cleaner(secrets: Iterable[str]) -> Clean:
    """A function that takes ``secrets`` out of a text; not for several threads at once."""
    redactor = Redactor(secrets)
    return lambda text: redacted(text, redactor)


def fit_to_keep(run: AgentRun, clean: Clean) -> AgentRun:
    """``run`` with every text that the agent or its program chose cleaned, then cut."""
    said = run.outcome
    if said is not None:
        summary = shortened(clean(said.summary), LONGEST_SUMMARY)
        said = replace(said, summary=summary, findings=_lines(said.findings, clean))
    denials = run.denials[:MOST_LINES]
    return replace(
        run,
        outcome=said,
        result_text=shortened(clean(run.result_text), LONGEST_TEXT),
        stderr_tail=clean(run.stderr_tail),
        errors=_lines(run.errors, clean),
        denials=tuple(replace(x, what=shortened(clean(x.what), LONGEST_LINE)) for x in denials),
    )


def _lines(texts: Iterable[str], clean: Clean) -> tuple[str, ...]:
    lines = [clean(text) for text in texts]
    kept = [shortened(line, LONGEST_LINE) for line in lines[:MOST_LINES]]
    return (*kept, *([f"and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else []))


def shortened(text: str, longest: int) -> str:
    """``text``, or its beginning and an ellipsis."""
    return text if len(text) <= longest else text[: longest - 2] + " …"
