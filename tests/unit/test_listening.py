"""The address at which the board and the dashboard are served."""

from __future__ import annotations

import socket

import pytest

from hpm_tools.errors import CannotCreate
from hpm_tools.listening import listen


def test_no_answer_waits_for_the_acknowledgement_of_its_header() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_port_that_is_taken_is_no_traceback() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(CannotCreate, match=f"cannot listen on 127.0.0.1:{port}"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 70, "ü" * 70, "\udcff", "fe80::1", "::1%nowhere"])
def test_a_host_that_cannot_be_had_is_no_traceback(host: str) -> None:
    with pytest.raises(CannotCreate, match="cannot listen on "):
        listen(host, 0)
