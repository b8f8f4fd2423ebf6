"""Where the board's address and key are set, for hints: a person edits the place that the value came from."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpm_tools.errors import HpmError

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS, KEY = "HEADLESS_PM_API_URL", "HEADLESS_PM_API_KEY"


@dataclass(frozen=True, slots=True)
class Sources:
    """``address`` and ``key`` as a hint names them: a variable, or a setting and its file."""

    address: str = ADDRESS
    key: str = KEY

    @contextmanager
    def named(self) -> Iterator[None]:
        """Errors of the board's client name the variables: have them name these places instead."""
        try:
            yield
        except HpmError as error:
            error.hint = error.hint.replace(ADDRESS, self.address).replace(KEY, self.key)
            raise


VARIABLES = Sources()
