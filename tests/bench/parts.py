"""What one task cannot do without, each done alone and as plainly as possible."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode, urlsplit

from tests.support.board_process import API

if TYPE_CHECKING:
    from tests.support.board_process import BoardUnderTest


class Connection:
    """One kept connection to a board, on which requests follow each other."""

    def __init__(self, board: BoardUnderTest) -> None:
        place = urlsplit(board.url)
        self._headers = {"X-API-Key": board.key, "Content-Type": "application/json"}
        self._connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ok(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """The JSON of a request that must be answered 200."""
        data = None if body is None else json.dumps(body).encode()
        self._connection.request(method, f"{API}{path}?{urlencode(query)}", data, self._headers)
        answer = self._connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {said!r}")
        return json.loads(said)
