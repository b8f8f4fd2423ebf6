"""From an HTTP answer to what it means: a typed value, or the error that fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, TypeVar

import msgspec

from hpm_tools.board.errors import BadAnswer, Refusal
from hpm_tools.errors import BadData, NotFound, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpm_tools.board.transport import Answer

T = TypeVar("T")


class _Detail(msgspec.Struct):
    detail: str | list[_Fault]


class _Fault(msgspec.Struct):
    msg: str
    loc: list[str | int] = []


class _Identity(msgspec.Struct):
    id: int


NO_SUCH_PATH = "Not Found"
"""What FastAPI answers where a server has no such path at all; of a task that is gone the board says more."""


def expect_success(answer: Answer, legible: Callable[[bytes | str], str], *, keyed: bool = True) -> None:
    """Raise what a 3xx or 4xx answer means; the board's own reason is part of the message.

    ``keyed``: there is an API key to send."""
    if 200 <= answer.status < 300:
        return
    if answer.status < 400:
        _redirected(answer, legible)
    reason = legible(_reason(answer.body))
    message = f"{answer.what}: {reason}"
    match answer.status:
        case 401:
            problem = (
                "the board refused the API key" if keyed else "no API key is set, and the board wants one"
            )
            raise Refused(
                f"{answer.what}: {problem} ({reason})",
                "set HEADLESS_PM_API_KEY to the key of this board",
                http_status=answer.status,
            )
        case 403:
            raise Refused(message, "use an agent id whose role may do this", http_status=answer.status)
        case 404 | 410 if not _is_json(answer.body) or reason == NO_SUCH_PATH:
            # A proxy's page, or another program at that address: not the board's word that something was deleted.
            raise BadAnswer(
                f"{answer.what}: answered {answer.status}, and not as a board does: {reason}",
                http_status=answer.status,
            )
        case 404 | 410:
            raise NotFound(
                message,
                "hpm pm.tasks lists the tasks; an unknown agent registers with hpm pm.register --agent-id A --role R",
                http_status=answer.status,
            )
        case 409 | 423:
            raise Refusal(message, "try again later", http_status=answer.status)
        case _:
            raise BadData(
                f"{answer.what}: answered {answer.status}: {reason}",
                "the board does not accept this; hpm health shows whether it is one",
                http_status=answer.status,
            )


def _is_json(body: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(body), dict)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return False


def decode(answer: Answer, type_: type[T], legible: Callable[[bytes | str], str]) -> T:
    """The answer's JSON as ``type_``; BadAnswer says what came instead."""
    try:
        return msgspec.json.decode(answer.body, type=type_)
    except msgspec.ValidationError as error:
        raise BadAnswer(f"{answer.what}: not what a board answers: {legible(str(error))}") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise _no_json(answer, legible) from None


def rows(
    answer: Answer,
    type_: type[T],
    legible: Callable[[bytes | str], str],
    on_bad: Callable[[int | None, str], None],
) -> list[T]:
    """The answer's JSON array as a list of ``type_``; invalid rows go to ``on_bad(id, problem)`` instead."""
    try:
        return msgspec.json.decode(answer.body, type=list[type_])  # type: ignore[valid-type]
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        good: list[T] = []
    for raw in decode(answer, list[msgspec.Raw], legible):
        try:
            good.append(msgspec.json.decode(raw, type=type_))
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            on_bad(_id_of(raw), legible(str(error)))
    return good


def _id_of(raw: msgspec.Raw) -> int | None:
    try:
        return msgspec.json.decode(raw, type=_Identity).id
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def _reason(body: bytes) -> bytes | str:
    """The server's words: ``detail`` is a text, or FastAPI's list of what is wrong where."""
    try:
        detail = msgspec.json.decode(body, type=_Detail).detail
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return body
    if isinstance(detail, str):
        return detail
    return "; ".join(f"{'.'.join(map(str, fault.loc))}: {fault.msg}" for fault in detail)


def _redirected(answer: Answer, legible: Callable[[bytes | str], str]) -> NoReturn:
    target = legible(answer.headers.get("Location", "nowhere"))
    raise BadAnswer(
        f"{answer.what}: redirected to {target}, which is not followed, for the API key would go along",
        "set HEADLESS_PM_API_URL to the board's own address",
        http_status=answer.status,
    )


def _no_json(answer: Answer, legible: Callable[[bytes | str], str]) -> BadAnswer:
    kind = legible(answer.headers.get("Content-Type", "no content type"))
    return BadAnswer(
        f"{answer.what}: no JSON but {kind}: {legible(answer.body)}",
        "see whether HEADLESS_PM_API_URL is the address of a board",
    )
