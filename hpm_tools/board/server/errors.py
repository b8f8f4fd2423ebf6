"""Answers to what went wrong: never a crash because of what a request contained."""

import json
import math
from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from sqlalchemy.exc import IntegrityError

from hpm_tools.board.server.behaviour import Behaviour
from hpm_tools.board.server.database import DatabaseBusy

Handler = Callable[[Request, Exception], Awaitable[Response]]


class UpstreamError(Exception):
    """A fault of the real server, reproduced: answered 500 without a traceback in the log."""


async def _invalid(_request: Request, error: Exception) -> Response:
    """422 as FastAPI words it, but written in ASCII: the offending input may be no valid Unicode, or NaN."""
    assert isinstance(error, RequestValidationError)  # noqa: S101  registered for this class only
    finite = {float: lambda number: number if math.isfinite(number) else str(number)}
    detail = jsonable_encoder(error.errors(), custom_encoder=finite)
    return Response(json.dumps({"detail": detail}), 422, media_type="application/json")


async def _plain(_request: Request, _error: Exception) -> Response:
    return PlainTextResponse("Internal Server Error", 500)


async def _busy(_request: Request, _error: Exception) -> Response:
    detail = "The board's database is held by another process; try again."
    return JSONResponse({"detail": detail}, 503, {"Retry-After": "1"})


async def _unexpected(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"detail": "Internal server error; see the server's log."}, 500)


def install(app: FastAPI, behaviour: Behaviour) -> None:
    handlers: dict[type[Exception], Handler] = {RequestValidationError: _invalid}
    if behaviour.plain_text_errors:
        handlers |= {UpstreamError: _plain, DatabaseBusy: _plain, IntegrityError: _plain, Exception: _plain}
    else:
        handlers |= {DatabaseBusy: _busy, Exception: _unexpected}
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
