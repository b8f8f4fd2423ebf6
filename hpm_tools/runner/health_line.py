"""One finding of `health`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Line:
    """One finding; ``ok`` None is a warning. ``facts`` are for ``--json``."""

    name: str
    ok: bool | None
    text: str
    hint: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
