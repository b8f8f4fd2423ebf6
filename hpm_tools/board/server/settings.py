"""What a board server is started with; also the line of JSON that a parent process sends its child."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from hpm_tools.errors import BadData

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hpm_tools.board.server.behaviour import Behaviour


@dataclass(frozen=True, slots=True)
class Settings:
    """``lock_delay`` (seconds, between a racy lock's check and its write) and ``clock_offset_file`` (a file
    holding seconds to add to the clock, read at every use) are there for tests of clients."""

    db: str
    keys: tuple[str, ...]
    host: str = "127.0.0.1"
    port: int = 0
    upstream: bool = False
    lock_delay: float = 0.0
    clock_offset_file: str | None = None

    @property
    def behaviour(self) -> Behaviour:
        from hpm_tools.board.server.behaviour import EXACT, UPSTREAM

        return UPSTREAM if self.upstream else EXACT

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, line: bytes) -> Settings:
        try:
            fields = json.loads(line)
            return cls(**{**fields, "keys": tuple(fields["keys"])})
        except (ValueError, TypeError, KeyError) as error:
            raise BadData(f"the board server's settings are unusable: {error}") from error
