"""`notify.test`: whether people can be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.registry import Result, command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpm_tools.commands.results import NotifyTest
    from hpm_tools.notify.courier import Delivery
    from hpm_tools.ui import TerminalUI


@command("notify.test", example="hpm notify.test", args={})
def test(ui: TerminalUI) -> Result[NotifyTest]:
    """Send one message to every service of notify.urls.

    Says of each whether it took it. The services are named by their place in the setting and their kind. Exit
    code 0: all took it; 69: one cannot be reached or failed; 77: one refused the credentials; 78: none is
    configured, one is none that apprise knows, or apprise is not installed.
    """
    import time

    from hpm_tools.commands.common import toolbox
    from hpm_tools.errors import Misconfigured
    from hpm_tools.notify import courier
    from hpm_tools.notify.notices import Message, harmless

    tools = toolbox(ui, "notify")
    urls = tools.config.notify.urls
    if not urls:
        raise Misconfigured(
            "no service is configured to tell people of events",
            f'set its URL in {tools.state.config_file}, e.g. notify: {{urls: ["ntfy://topic"]}}',
        )
    moment = time.strftime("%Y-%m-%d %H:%M:%S")
    body = f"{moment} this is what notify.test sends\n— {harmless(tools.where)}"
    outcomes = courier.deliver(urls, Message("hpm: a test", body, "info"))
    lines = [_line(one, tools.clean(one.why)) for one in outcomes]
    data: NotifyTest = {
        "services": [
            {"service": one.service, "ok": one.ok, "why": tools.clean(one.why) or None} for one in outcomes
        ]
    }
    return Result(data, "\n".join(lines), _exit_code(outcomes))


def _line(outcome: Delivery, why: str) -> str:
    return f"{'ok' if outcome.ok else 'FAIL':4}  {outcome.service}" + (f": {why}" if why else "")


def _exit_code(outcomes: Sequence[Delivery]) -> int:
    from hpm_tools.errors import BOARD_UNREACHABLE, DONE, MISCONFIGURED, REFUSED

    if any(one.unknown for one in outcomes):
        return MISCONFIGURED
    if any(one.refused for one in outcomes):
        return REFUSED
    return DONE if all(one.ok for one in outcomes) else BOARD_UNREACHABLE
