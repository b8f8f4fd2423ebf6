"""Checks of single settings: the value in, the normalised value out, ValueError or HpmError if it is wrong."""

from __future__ import annotations

from hpm_tools import names
from hpm_tools.errors import UsageError

EMBEDDED = "embedded"
"""The ``api_url`` that asks the runner to start a board for its own lifetime."""

SHORTEST_PASSWORD = 12


def host_of(url: str) -> str:
    """The host of an http(s) URL in lower case, without port and brackets; "" if there is none.

    By hand, because urllib.parse costs a quick command more than all it does itself.
    """
    authority = url.partition("://")[2].partition("/")[0].partition("?")[0].partition("#")[0]
    host = authority.rpartition("@")[2]
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def is_loopback(url: str) -> bool:
    """True for the embedded board and for URLs whose host can only be this machine."""
    if url == EMBEDDED:
        return True
    host = host_of(url)
    quads = host.split(".")
    if len(quads) == 4 and all(part.isascii() and part.isdigit() and int(part) < 256 for part in quads):
        return quads[0] == "127"
    return host in ("localhost", "::1")


def api_url(url: str) -> str:
    """``embedded``, or an http(s) URL without credentials, query and fragment; trailing slashes go."""
    if url == EMBEDDED:
        return url
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() not in ("http", "https") or not host_of(url):
        raise ValueError("must be a URL such as http://localhost:6969, or 'embedded'")
    if "@" in rest.partition("/")[0]:
        raise ValueError("must not hold a user name or password; the key has its own setting")
    if "?" in rest or "#" in rest or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("must be a plain URL without query, fragment or blanks")
    port = rest.partition("/")[0].rpartition("]")[2].partition(":")[2]
    if port and not (port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"has the impossible port {port!r}")
    return f"{scheme.lower()}://{rest.rstrip('/')}"


def notices(kinds: tuple[str, ...]) -> tuple[str, ...]:
    """Kinds of notices that there are, each once."""
    for kind in kinds:
        if kind not in names.NOTICES:
            raise ValueError(f"must be of {', '.join(names.NOTICES)}, not {kind[:40]!r}")
    return tuple(dict.fromkeys(kinds))


def agent_id(text: str) -> str:
    """An agent's id (names.agent_id); the reason is worded to follow a setting's name."""
    try:
        return names.agent_id(text)
    except UsageError as error:
        raise ValueError(error.message.removeprefix("agent id ")) from None


def api_key(key: str) -> str:
    """A key that can stand in an HTTP header."""
    key = key.strip()
    if not key.isascii() or not key.isprintable():
        raise ValueError("holds characters that no HTTP header can carry")
    return key


def dashboard_password(password: str) -> str:
    """A password that is not guessed over a network."""
    if password and len(password) < SHORTEST_PASSWORD:
        raise ValueError(f"must have at least {SHORTEST_PASSWORD} characters")
    return password
