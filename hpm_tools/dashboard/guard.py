"""The door before every route: host, secret and origin are checked, and every answer carries the headers."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from hpm_tools.dashboard.access import HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from hpm_tools.dashboard.access import Access
    from hpm_tools.dashboard.page import Page

OPEN_PATHS = ("/static/dashboard.css", "/static/icon.svg")
"""What the page that asks for the password needs itself."""
LARGEST_FORM = 16 << 10
READING = ("GET", "HEAD")


class Guard:
    """Wraps the application; only requests that ``access`` lets in reach it."""

    def __init__(self, app: ASGIApp, access: Access, page: Page) -> None:
        self.on_used: Callable[[], None] = lambda: None
        """Called once the link was used."""
        self.app = app
        self.access = access
        self.page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        answer = await self._answer(Request(scope, receive))
        await (answer or self.app)(scope, receive, send_guarded)

    async def _answer(self, request: Request) -> Response | None:
        """What is answered in the application's place; None lets the request in."""
        host = request.headers.get("host", "")
        if not self.access.right_host(host):
            return PlainTextResponse("this dashboard is not served under that name\n", 421)
        if not self.access.own_name(host) and "authorization" not in request.headers:
            # Not by which name: whoever asks here may be anybody on this machine.
            return PlainTextResponse("open the dashboard by the URL that hpm dashboard printed\n", 421)
        if request.method not in READING:
            origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
            if request.method != "POST" or not self.access.right_origin(origin, host, site):
                return PlainTextResponse("only the dashboard's own page may send this\n", 403)
        if request.url.path in OPEN_PATHS:
            return None
        if request.url.path == "/login" and request.method == "POST":
            return await self._login(request)
        if "token" in request.query_params and request.method in READING:
            return self._by_token(request)
        if self._known(request, host):
            return None
        return self._door(request, 401)

    def _known(self, request: Request, host: str) -> bool:
        if self.access.own_name(host) and self._has_session(request):
            return True
        authorization = request.headers.get("authorization")
        return (
            authorization is not None
            and request.method in READING
            and self.access.right_authorization(authorization)
        )

    def _has_session(self, request: Request) -> bool:
        return self.access.right_session(request.headers.get("cookie", ""))

    def _by_token(self, request: Request) -> Response:
        """Keep the session in a cookie and go where the URL leads without its token, which is used up by that.

        Not by a HEAD, as programs send that look at a link before a person opens it.
        """
        if not self.access.own_name(request.headers.get("host", "")):
            return PlainTextResponse("open the dashboard by the URL that hpm dashboard printed\n", 421)
        if request.method != "GET" or not (
            self._has_session(request) or self._use_link(request.query_params["token"])
        ):
            return self._door(request, 401)
        rest = [(name, value) for name, value in request.query_params.multi_items() if name != "token"]
        # The path as it is, not a URL built from it: "//elsewhere" would lead there.
        path = "/" + request.url.path.lstrip("/")
        return self._let_in(f"{path}?{urlencode(rest)}" if rest else path)

    def _use_link(self, given: str) -> bool:
        used = self.access.use_link(given)
        if used:
            self.on_used()
        return used

    async def _login(self, request: Request) -> Response:
        form = await read_form(request)
        if self.access.right_password(form.get("password", "")):
            return self._let_in("/")
        return self._door(request, 429 if self.access.too_many_guesses() else 401)

    def _let_in(self, path: str) -> Response:
        return RedirectResponse(path, 303, {"Set-Cookie": self.access.set_cookie()})

    def _door(self, request: Request, status: int) -> Response:
        if request.url.path not in ("/", "/login"):
            headers = {"WWW-Authenticate": 'Basic realm="hpm"'} if self.access.password else {}
            return PlainTextResponse(
                "open the dashboard by the URL that hpm dashboard printed\n", 401, headers
            )
        return HTMLResponse(self.page.door(bool(self.access.password), refused=status == 429), status)


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a small form, the last of each name; empty for one that is too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_FORM:
            return {}
    fields = parse_qs(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=50)
    return {name: values[-1] for name, values in fields.items()}
