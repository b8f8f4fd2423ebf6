"""Where the board is, and whether its key may be sent there."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from hpm_tools.errors import Misconfigured

API = "/api/v1"


def base_url(url: str, *, insecure: bool = False) -> str:
    """The board's root without trailing slash and without ``/api/v1``; Misconfigured if it may not be used.

    Plain http is for loopback only unless ``insecure``: the key would travel readably.
    """
    hint = "set HEADLESS_PM_API_URL to something like http://localhost:6969"
    text = url.strip()
    if not text.isascii() or not text.isprintable() or any(c in text for c in ' "<>\\^`{|}'):
        raise Misconfigured(f"the board's URL holds characters that no URL has: {url[:100]!r}", hint)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise Misconfigured(f"the board's URL cannot be read: {error}", hint) from None
    if parts.username is not None or parts.password is not None:
        raise Misconfigured(
            "the board's URL holds a user name or password", "the key goes into HEADLESS_PM_API_KEY"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise Misconfigured(f"the board's URL is no http or https address: {text[:100]!r}", hint)
    if parts.query or parts.fragment:
        raise Misconfigured(f"the board's URL has a query or a fragment: {text[:100]!r}", hint)
    if parts.scheme == "http" and not insecure and not is_loopback(parts.hostname):
        raise Misconfigured(
            f"the board's URL is plain http to {parts.hostname}, which would show the API key to the network",
            "use https, or a tunnel to localhost, or set insecure_http to true in ~/.headless-pm/config.yaml",
        )
    path = parts.path.rstrip("/").removesuffix(API)
    return f"{parts.scheme}://{parts.netloc}{path.rstrip('/')}"


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine by its spelling alone: a name that resolves to loopback proves nothing."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
