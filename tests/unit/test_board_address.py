"""Which addresses a board may have: the key goes there, and nowhere in the clear beyond this machine."""

from __future__ import annotations

import pytest

from hpm_tools.board.address import base_url
from hpm_tools.errors import Misconfigured


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://localhost:6969", "http://localhost:6969"),
        (" http://localhost:6969/ ", "http://localhost:6969"),
        ("http://127.0.0.1:6969/api/v1/", "http://127.0.0.1:6969"),
        ("http://[::1]:6969", "http://[::1]:6969"),
        ("https://pm.example.org/board/api/v1", "https://pm.example.org/board"),
    ],
)
def test_addresses_of_boards(url: str, base: str) -> None:
    assert base_url(url) == base


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:6969",
        "ftp://localhost",
        "http://",
        "http://localhost:99999",
        "http://localhost:x",
        "http://localhost:0",
        "http://[::1",
        "http://user:pw@localhost",
        "https://localhost?x=1",
        "https://localhost#x",
        "http://local host",
        "http://localhost/\x1b[31m",
        "http://192.168.1.2:6969",
        "http://localhost.example.org",
        "http://127.0.0.1.example.org",
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        base_url(url)
    assert "pw" not in caught.value.message
    assert "\x1b" not in caught.value.message


def test_plain_http_elsewhere_only_when_allowed() -> None:
    assert base_url("http://board.lan:6969", insecure=True) == "http://board.lan:6969"
    with pytest.raises(Misconfigured, match=r"plain http to board\.lan"):
        base_url("http://board.lan:6969")
