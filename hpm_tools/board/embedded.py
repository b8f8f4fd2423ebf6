"""A board for as long as a block runs: what ``HEADLESS_PM_API_URL=embedded`` and the demo use."""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING

from hpm_tools.board.server import BoardProcess, Settings, start
from hpm_tools.trees import delete_tree

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class EmbeddedBoard:
    """A server of our own on a free loopback port, with a key nobody else knows.

    ``db`` is kept; without one the board lives in a temporary directory that goes with it. The server's
    messages go to ``log``, by default ``board.log`` beside the database. Entering raises what
    :func:`hpm_tools.board.server.start` raises. The server ends with the block, or with this process
    however that dies.
    """

    def __init__(
        self,
        db: str | os.PathLike[str] | None = None,
        *,
        log: str | os.PathLike[str] | None = None,
        upstream: bool = False,
    ) -> None:
        self._db = None if db is None else os.path.abspath(os.fspath(db))
        self._log = None if log is None else os.path.abspath(os.fspath(log))
        self._upstream = upstream
        self._temporary: str | None = None
        self._process: BoardProcess | None = None
        self.key = secrets.token_urlsafe(24)

    @property
    def url(self) -> str:
        if self._process is None:
            raise RuntimeError("the embedded board has not been started")
        return self._process.url

    def __enter__(self) -> Self:
        if self._db is None:
            # no failpoint: a database for one process, with its clean-up
            self._temporary = tempfile.mkdtemp(prefix="hpm-board-")
        db = self._db or os.path.join(str(self._temporary), "board.sqlite")
        log = self._log or os.path.join(os.path.dirname(db), "board.log")
        try:
            self._process = start(Settings(db=db, keys=(self.key,), upstream=self._upstream), log=log)
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.stop()
        self._clean_up()

    def _clean_up(self) -> None:
        if self._temporary is not None:
            with suppress(OSError):
                # no failpoint: a database for one process, with its clean-up
                delete_tree(self._temporary)
