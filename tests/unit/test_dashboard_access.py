"""Who is let in to the dashboard: names, origins, secrets."""

from __future__ import annotations

import socket
from base64 import b64encode

import pytest

from hpm_tools.dashboard.access import GUESSES, Access

PASSWORD = "correct horse battery"


@pytest.mark.parametrize(
    ("header", "right"),
    [
        ("127.0.0.1:6970", True),
        ("localhost:6970", True),
        ("LOCALHOST", True),
        ("[::1]:6970", True),
        ("evil.example:6970", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("192.168.1.5:6970", False),
        ("user@localhost", True),
        ("localhost@evil.example", False),
        ("", False),
        ("[::1", False),
    ],
)
def test_a_page_on_loopback_answers_to_loopbacks_names_only(header: str, right: bool) -> None:
    assert Access("127.0.0.1", 6970).right_host(header) is right


@pytest.mark.parametrize(
    ("header", "right"),
    [
        ("192.168.1.5:6970", True),
        ("[fe80::1]:6970", True),
        ("localhost:6970", True),
        (socket.gethostname(), True),
        ("evil.example", False),
        ("", False),
    ],
)
def test_a_page_for_the_network_answers_to_addresses_and_its_own_name(header: str, right: bool) -> None:
    """A foreign name can be made to point here, a number cannot."""
    assert Access("0.0.0.0", 6970, PASSWORD).right_host(header) is right


@pytest.mark.parametrize(
    ("origin", "site", "right"),
    [
        ("http://localhost:6970", "same-origin", True),
        ("http://localhost:6970", None, True),
        ("http://localhost:8000", None, False),
        ("http://localhost:6970", "same-site", False),
        ("http://evil.example", "cross-site", False),
        ("null", None, False),
        (None, None, False),
    ],
)
def test_only_the_pages_own_forms_count(origin: str | None, site: str | None, right: bool) -> None:
    assert Access("127.0.0.1", 6970).right_origin(origin, "localhost:6970", site) is right


def test_the_cookie_of_another_dashboard_does_not_open_this_one() -> None:
    access, other = Access("127.0.0.1", 6970), Access("127.0.0.1", 6971)
    mine, theirs = (it.set_cookie().partition(";")[0] for it in (access, other))
    assert access.right_session(mine)
    assert access.right_session(f"{theirs}; {mine}; x=y")
    assert not access.right_session(theirs)
    assert not access.right_session("")
    assert not access.right_session(f"{access.cookie}=")
    for word in ("HttpOnly", "SameSite=Lax", "Path=/"):
        assert word in access.set_cookie()


def test_scrapers_send_the_token_or_the_password() -> None:
    access = Access("127.0.0.1", 6970, PASSWORD)
    basic = b64encode(f"prometheus:{PASSWORD}".encode()).decode()
    for header in (f"Bearer {access.token}", f"bearer {PASSWORD}", f"Basic {basic}"):
        assert access.right_authorization(header), header
    for header in ("Bearer", "Bearer x", "Basic x", "Basic eA==", f"Digest {access.token}", ""):
        assert not access.right_authorization(header), header


def test_without_a_password_none_is_right() -> None:
    access = Access("127.0.0.1", 6970)
    assert not access.right_password("")
    assert not access.right_authorization("Basic " + b64encode(b"x:").decode())
    assert not access.right_authorization("Bearer ")


def test_guesses_are_few() -> None:
    access = Access("0.0.0.0", 6970, PASSWORD)
    for _ in range(GUESSES):
        assert not access.right_password("wrong")
    assert access.too_many_guesses()
    assert not access.right_password(PASSWORD)
