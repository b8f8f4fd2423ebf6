"""Who may see the page: the host that was asked for, the token or password, and that a form is our own.

A page on loopback is reachable from every site in the operator's browser: by a name that is made to point
here (so names are checked) and by forms that post here (so origin and a secret of the page are checked).

Cookies do not tell ports apart (RFC 6265, 8.5): a browser sends those of 127.0.0.1 to every server there, such as
one that an agent starts. So on loopback the page has a host name of its own, made anew at each start, below
``localhost`` (browsers resolve all of that to loopback: RFC 6761, 6.3), and only there a browser is let in.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
import time
from base64 import b64decode
from collections import deque
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not "no-referrer", under which a browser hides the origin of our own forms, too.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
GUESSES = 10
GUESSES_WITHIN = 60.0


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine by its spelling alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Access:
    """The secrets of one server: ``link`` opens the page once from its URL, ``password`` (if any) by a form.

    ``session`` is what the cookie holds afterwards, ``form`` what every form of the page carries. ``token`` is for
    programs, which send it in a header. ``name`` is the host that browsers must ask for, "" where any will do.
    """

    def __init__(self, host: str, port: int, password: str = "") -> None:
        self.host = host
        self.port = port
        self.password = password
        self.name = f"hpm-{secrets.token_hex(6)}.localhost" if is_loopback(host) else ""
        self.link: str | None = secrets.token_hex(16)
        self.token = secrets.token_hex(16)
        self.session = secrets.token_urlsafe(24)
        self.form = secrets.token_urlsafe(24)
        # Without a name of one's own dashboards of one host must not overwrite each other's.
        self.cookie = f"hpm-{port}"
        self._failures: deque[float] = deque(maxlen=GUESSES)

    def right_host(self, header: str) -> bool:
        """Whether the Host header names this server in a way that no foreign name can.

        Numeric addresses cannot be made to point elsewhere; of names only our own count.
        """
        try:
            name = (urlsplit(f"//{header}").hostname or "").lower()
        except ValueError:
            return False
        if is_loopback(self.host):
            return name in LOOPBACK_NAMES or name in (self.host, self.name)
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in {"localhost", self.host.lower(), *_own_names()}
        return True

    def own_name(self, header: str) -> bool:
        """Whether a browser that sends this Host header shows its cookie to no other server."""
        # With any port: a tunnel may have another one at the browser's end.
        return not self.name or (urlsplit(f"//{header}").hostname or "").lower() == self.name

    def use_link(self, given: str) -> bool:
        """Whether ``given`` is the link that was not used yet, which it then is."""
        if self.link is None or not same(given, self.link):
            return False
        self.link = None
        return True

    def new_link(self) -> str:
        self.link = secrets.token_hex(16)
        return self.link

    def right_origin(self, origin: str | None, host: str, site: str | None) -> bool:
        """Whether a request that changes something was made by our own page."""
        if site is not None and site != "same-origin":
            return False
        return origin is not None and urlsplit(origin).netloc == host and origin != "null"

    def right_token(self, given: str) -> bool:
        return same(given, self.token)

    def right_form(self, given: str) -> bool:
        return same(given, self.form)

    def right_session(self, cookies: str) -> bool:
        try:
            found = SimpleCookie(cookies).get(self.cookie)
        except CookieError:
            return False
        return found is not None and same(found.value, self.session)

    def right_password(self, given: str) -> bool:
        """Whether ``given`` is the password. After ten wrong ones within a minute no more are looked at."""
        if not self.password or self.too_many_guesses():
            return False
        if same(given, self.password):
            return True
        self._failures.append(time.monotonic())
        return False

    def too_many_guesses(self) -> bool:
        oldest = self._failures[0] if len(self._failures) == GUESSES else None
        return oldest is not None and time.monotonic() - oldest < GUESSES_WITHIN

    def right_authorization(self, header: str) -> bool:
        """``Bearer`` with the token or password, or ``Basic`` with the password under any user: for scrapers."""
        scheme, _, value = header.partition(" ")
        if scheme.lower() == "basic":
            try:
                _, _, given = b64decode(value, validate=True).decode().partition(":")
            except ValueError:
                return False
            return self.right_password(given)
        if scheme.lower() != "bearer":
            return False
        return self.right_token(value) or self.right_password(value)

    def set_cookie(self) -> str:
        """The header that keeps the session: gone with the browser, unreadable for scripts."""
        return f"{self.cookie}={self.session}; Path=/; HttpOnly; SameSite=Lax"


def same(given: str, wanted: str) -> bool:
    """Whether two texts are equal, in a time that does not tell how much of them is."""
    return hmac.compare_digest(given.encode(errors="replace"), wanted.encode())


def _own_names() -> set[str]:
    name = socket.gethostname().lower()
    return {name, name.partition(".")[0]}
