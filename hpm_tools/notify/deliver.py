"""Sends one message to every service, in a process of its own: `python -m hpm_tools.notify.deliver`.

Reads {"urls": […], "title": …, "body": …, "severity": …, "limit": seconds} from stdin, for the URLs are secrets
that no argument and no environment may show; prints [{"service": …, "ok": …, "refused": …, "why": …}, …].
A service that does not answer within the limit has failed; the others are not kept waiting by it.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import threading
import time
from typing import Any

from hpm_tools.notify.courier import Delivery

REFUSED = re.compile(r"error[=: ]+(401|403)\b")
TEXT = "text"


class _Reasons(logging.Handler):
    """Keeps apprise's warnings, which alone say why a service failed, by the thread that sends."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.of_thread: dict[int, list[str]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        self.of_thread.setdefault(record.thread or 0, []).append(record.getMessage())

    def of(self, thread: threading.Thread) -> str:
        return "; ".join(self.of_thread.get(thread.ident or 0, []))


class _Sending:
    """One service that is being told, in a thread."""

    def __init__(self, number: int, service: Any, order: dict[str, Any]) -> None:
        self.name = f"{number}. {service.service_name}"
        self._service = service
        self._told = {"title": order["title"], "body": order["body"], "notify_type": order["severity"]}
        self._sent = False
        self._fault = ""
        self.thread = threading.Thread(target=self._send, daemon=True)
        self.thread.start()

    def _send(self) -> None:
        try:
            self._sent = bool(self._service.notify(**self._told, body_format=TEXT))
        except Exception as error:  # a plugin's fault is that service's failure
            self._fault = f"{type(error).__name__}: {error}"

    def outcome(self, reasons: _Reasons, until: float, limit: float) -> Delivery:
        self.thread.join(max(0.0, until - time.monotonic()))
        if self.thread.is_alive():
            return Delivery(self.name, ok=False, why=f"it did not answer within {limit:.0f} s")
        why = self._fault or reasons.of(self.thread) or "it gave no reason"
        refused = bool(REFUSED.search(why))
        return Delivery(self.name, ok=self._sent, why="" if self._sent else why, refused=refused)


def deliver(order: dict[str, Any]) -> list[Delivery]:
    """Send the message of ``order`` to all its services at the same time."""
    import apprise

    reasons = _Reasons()
    logger = logging.getLogger("apprise")
    logger.addHandler(reasons)
    logger.propagate = False
    asset = apprise.AppriseAsset(app_id="hpm", app_desc="hpm-tools", storage_mode="memory")
    until = time.monotonic() + order["limit"]
    begun: list[_Sending | Delivery] = []
    for number, url in enumerate(order["urls"], 1):
        service = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
        if service is None:
            begun.append(Delivery(f"{number}.", ok=False, why="no service knows this URL", unknown=True))
        else:
            begun.append(_Sending(number, service, order))
    return [
        one if isinstance(one, Delivery) else one.outcome(reasons, until, order["limit"]) for one in begun
    ]


def main() -> None:
    outcomes = deliver(json.load(sys.stdin))
    json.dump([outcome.to_json() for outcome in outcomes], sys.stdout)
    sys.stdout.flush()
    os._exit(0)  # a thread that waits for a service that never ends must not keep the process


if __name__ == "__main__":
    main()
