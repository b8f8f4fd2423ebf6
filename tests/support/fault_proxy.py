"""A board behind a bad network: requests are lost before it, answers after it, and what comes back may be anything.

Everything is drawn from a seed, so that a run can be repeated; ``told`` lists what was done to which request.
"""

from __future__ import annotations

import gzip
import random
import threading
from collections import Counter
from typing import TYPE_CHECKING, Self

from tests.support.fault_server import KEEP, RESET, FaultServer, answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tests.support.fault_server import Act, Request

MIB = b" " * (1 << 20)
ENDLESS_MIB = 40
BOMB = gzip.compress(b" " * (64 << 20))
ABSURD_WAITS = ("-5", "soon", "9" * 10_000, "Fri, 99 Abc 99999 99:99:99 GMT", "")
SLOW_SECONDS = 40


class LosingProxy(FaultServer):
    """Between a client and the board at ``url``: everything arrives, and one answer is lost.

    ``writes`` counts what was written, by what it is (``lock``, ``status dev_done``); the answer to the first
    that is ``lost`` never comes.
    """

    def __init__(self, url: str, lost: str = "") -> None:
        super().__init__(self._pass)
        self.board = url
        self.lost = lost
        self.writes: Counter[str] = Counter()

    def _pass(self, request: Request) -> Iterable[bytes | float | Act]:
        reply = request.forward(self.board)
        if request.method == "GET":
            return [reply, KEEP]
        name = request.path.rpartition("/")[2]
        name += f" {request.json['status']}" if name == "status" else ""
        self.writes[name] += 1
        return [RESET] if name == self.lost and self.writes[name] == 1 else [reply, KEEP]


class FaultProxy:
    """Between a client and the board at ``url``: each request meets a fault with probability ``share``.

    ``kinds`` are names of FAULTS; those of SLOW take half a minute each and come at most ``slow`` times.
    ``stranger`` is another host, to which redirects point; nothing must ever arrive there.
    """

    def __init__(
        self, url: str, seed: int, *, share: float = 0.25, kinds: Sequence[str] = (), slow: int = 0
    ) -> None:
        self.board = url
        self.seed = seed
        self.told: list[str] = []
        self._share = share
        self._slow = slow
        self._kinds = [name for name in (kinds or FAULTS) if slow or name not in SLOW]
        self._random = random.Random(seed)
        self._guard = threading.Lock()
        self.stranger = FaultServer(lambda request: [answer({"id": 1})])
        self.server = FaultServer(self._behave)

    @property
    def url(self) -> str:
        return self.server.url

    def __enter__(self) -> Self:
        self.stranger.__enter__()
        self.server.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self.server.__exit__(*exc)
        self.stranger.__exit__(*exc)

    def calm(self) -> None:
        """From now on nothing goes wrong."""
        self._share = 0.0

    def _behave(self, request: Request) -> Iterable[bytes | float | Act]:
        with self._guard:
            kind = self._random.choice(self._kinds) if self._random.random() < self._share else ""
            if kind in SLOW:
                self._slow -= 1
                if self._slow <= 0:
                    self._kinds = [name for name in self._kinds if name not in SLOW]
            if kind:
                self.told.append(f"{request.number} {request.method} {request.path}: {kind}")
        return FAULTS[kind](self, request) if kind else [request.forward(self.board), KEEP]


def unavailable(_: FaultProxy, request: Request) -> Iterable[bytes | float | Act]:
    return [answer("the database is away", status=503), KEEP]


def failed_after(proxy: FaultProxy, request: Request) -> Iterable[bytes | float | Act]:
    request.forward(proxy.board)
    return [answer("Internal Server Error", status=500), KEEP]


def too_many(_: FaultProxy, request: Request) -> Iterable[bytes | float | Act]:
    return [answer("slow down", status=429, headers={"Retry-After": "1"}), KEEP]


def too_many_by_date(_: FaultProxy, request: Request) -> Iterable[bytes | float | Act]:
    past = {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}
    return [answer("slow down", status=429, headers=past), KEEP]


def too_many_absurdly(_: FaultProxy, request: Request) -> Iterable[bytes | float | Act]:
    absurd = ABSURD_WAITS[request.number % len(ABSURD_WAITS)]
    return [answer("slow down", status=429, headers={"Retry-After": absurd}), KEEP]


def too_many_for_years(_: FaultProxy, request: Request) -> Iterable[bytes | float | Act]:
    return [answer("slow down", status=429, headers={"Retry-After": "99999999999"}), KEEP]


def reset_before(_: FaultProxy, request: Request) -> Iterable[bytes | float | Act]:
    return [RESET]


def reset_after(proxy: FaultProxy, request: Request) -> Iterable[bytes | float | Act]:
    request.forward(proxy.board)
    return [RESET]


def cut_short(proxy: FaultProxy, request: Request) -> Iterable[bytes | float | Act]:
    whole = request.forward(proxy.board)
    return [whole[: -max(1, len(whole) // 4)]]


def no_json(proxy: FaultProxy, request: Request) -> Iterable[bytes | float | Act]:
    request.forward(proxy.board)
    return [answer('{"id": 1, "title"', headers={"Content-Type": "application/json"}), KEEP]


def mistyped(proxy: FaultProxy, request: Request) -> Iterable[bytes | float | Act]:
    request.forward(proxy.board)
    return [answer({"id": "one", "task": [], "locked_by": {"agent": None}}), KEEP]


def login_page(_: FaultProxy, request: Request) -> Iterable[bytes | float | Act]:
    return [answer("<html><body>Please log in</body></html>", headers={"Content-Type": "text/html"}), KEEP]


def redirect(proxy: FaultProxy, request: Request) -> Iterable[bytes | float | Act]:
    elsewhere = f"http://127.0.0.1:{proxy.stranger.port}{request.target}"
    return [answer("", status=307, headers={"Location": elsewhere}), KEEP]


def endless(_: FaultProxy, request: Request) -> Iterator[bytes | float | Act]:
    yield answer(b"", length=ENDLESS_MIB << 24)
    for _number in range(ENDLESS_MIB):
        yield MIB


def gzip_bomb(_: FaultProxy, request: Request) -> Iterable[bytes | float | Act]:
    zipped = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    return [answer(BOMB, headers=zipped), KEEP]


def slow_loris(_: FaultProxy, request: Request) -> Iterator[bytes | float | Act]:
    yield answer(b"", length=1000)
    for _number in range(SLOW_SECONDS):
        yield b" "
        yield 1.0


FAULTS: dict[str, Callable[[FaultProxy, Request], Iterable[bytes | float | Act]]] = {
    "503": unavailable,
    "500 after": failed_after,
    "429": too_many,
    "429 by date": too_many_by_date,
    "429 absurd": too_many_absurdly,
    "429 for years": too_many_for_years,
    "reset before": reset_before,
    "reset after": reset_after,
    "cut short": cut_short,
    "no JSON": no_json,
    "mistyped": mistyped,
    "login page": login_page,
    "redirect": redirect,
    "endless": endless,
    "gzip bomb": gzip_bomb,
    "slow loris": slow_loris,
}
SLOW = ("slow loris", "429 for years")
