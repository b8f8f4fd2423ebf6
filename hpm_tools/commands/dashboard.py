"""`dashboard` and `report`: what the agents do and what came of it, as a live page and as a morning's report."""

from __future__ import annotations

import os
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING

from hpm_tools.commands.common import REPO
from hpm_tools.commands.prompts import open_prompt
from hpm_tools.errors import CannotCreate, Misconfigured, UsageError
from hpm_tools.registry import Arg, Result, command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpm_tools.commands.results import MorningReport
    from hpm_tools.dashboard.access import Access
    from hpm_tools.dashboard.report import Report
    from hpm_tools.state.paths import StateDir
    from hpm_tools.ui import TerminalUI

DEFAULT_PORT = 6970


@command(
    "dashboard",
    example="hpm dashboard --open",
    streams=True,
    args={
        "port": Arg("the port to listen on; 0 takes a free one", metavar="N"),
        "host": Arg(
            "the address to listen on; other than loopback only with dashboard.password", metavar="ADDRESS"
        ),
        "open": Arg("open it in the browser"),
        "repo": REPO,
    },
)
def dashboard(
    ui: TerminalUI,
    *,
    port: int = DEFAULT_PORT,
    host: str = "127.0.0.1",
    open: bool = False,
    repo: str | None = None,
) -> None:
    """Serve a live page of agents, tasks, cost and health.

    Prints its URL and serves until it is interrupted. The URL opens it once, in one browser; the next one is
    printed then. Questions of runners can be answered on the page. /metrics has the figures for Prometheus.
    """
    from hpm_tools.commands.common import toolbox
    from hpm_tools.dashboard.access import Access, is_loopback
    from hpm_tools.dashboard.extra import require_extra

    require_extra()
    if not 0 <= port <= 65535:
        raise UsageError(f"--port {port} is no port", "choose one from 1 to 65535, or 0 for a free one")
    tools = toolbox(ui, "dashboard", repo=repo)
    password = tools.config.dashboard.password
    if not is_loopback(host):
        if not password:
            raise Misconfigured(
                f"whoever reaches {host} could see and answer everything: a password is needed",
                f"set dashboard.password in {tools.state.config_file}, or use a tunnel to loopback",
            )
        ui.warn(f"listening on {host}: the traffic is not encrypted; a tunnel to loopback would be")
    from hpm_tools.dashboard.picture import Picture
    from hpm_tools.dashboard.server import Dashboard, serve
    from hpm_tools.listening import listen

    with listen(host, port) as listener:
        access = Access(host, listener.getsockname()[1], password)
        shown = access.name or (f"[{host}]" if ":" in host else host)
        url = f"http://{shown}:{access.port}/"
        app = Dashboard(Picture(tools), access)
        app.app.on_used = lambda: _say_next_link(ui, url, access)
        with _opening(tools.state, f"{url}?token={access.link}") if open else nullcontext() as opening:
            serve(app, listener, lambda: _ready(ui, url, access, opening))


def _ready(ui: TerminalUI, url: str, access: Access, opening: str | None) -> None:
    """Say where the page is; ``opening`` is the file that leads a browser there."""
    _say_link(ui, url, access)
    if not ui.json:
        ui.note(f"programs send the header: Authorization: Bearer {access.token}")
    ui.note("Ctrl-C ends it")
    if opening is not None:
        import webbrowser

        webbrowser.open(f"file://{opening}")


def _say_link(ui: TerminalUI, url: str, access: Access) -> None:
    address = f"{url}?token={access.link}"
    if ui.json:
        ui.event("serving_dashboard", url, url=address, token=access.token)
    else:
        ui.line(address)


def _say_next_link(ui: TerminalUI, url: str, access: Access) -> None:
    access.new_link()
    ui.note("that URL was used; the next browser needs this one:")
    _say_link(ui, url, access)


@contextmanager
def _opening(state: StateDir, address: str) -> Iterator[str]:
    """A file of ours alone that leads to ``address``: a browser's arguments can be read by everybody in ps."""
    from html import escape

    from hpm_tools.state.files import atomic_write

    state.prepare(state.home)
    path = os.path.join(state.home, f"open-{os.getpid()}.html")
    text = f'<!doctype html><meta http-equiv="refresh" content="0; url={escape(address)}">\n'
    atomic_write(path, text.encode())
    try:
        yield path
    finally:
        with suppress(OSError):
            # no failpoint: its link is worth nothing once the server has ended
            os.unlink(path)


@command(
    "report",
    example="hpm report --since yesterday --html report.html",
    args={
        "since": Arg(
            "from when on: a span (90m, 24h, 7d), today, yesterday, or a local time", metavar="WHEN"
        ),
        "html": Arg("also write it, with charts, as one file for a browser", metavar="FILE"),
        "repo": REPO,
    },
)
def report(
    ui: TerminalUI, *, since: str = "yesterday", html: str | None = None, repo: str | None = None
) -> Result[MorningReport]:
    """Say what was done, what it cost, and what needs you.

    Parked tasks, open questions, salvaged work and failed health need a person. A board that does not answer is
    one of the findings.
    """
    import time

    from hpm_tools.commands.common import toolbox
    from hpm_tools.dashboard.extra import require_extra
    from hpm_tools.events.moments import moment

    begin = moment(since, time.time())
    require_extra("jinja2")
    from hpm_tools.dashboard import report as reports
    from hpm_tools.dashboard.picture import Picture

    tools = toolbox(ui, "report", repo=repo)
    made = reports.gather(Picture(tools), begin)
    if html is not None:
        _write(html, reports.as_html(made))
    return Result(_as_json(made), reports.as_text(made, ui.width))


def _as_json(report: Report) -> MorningReport:
    return {
        "since": report.since,
        "made": report.made,
        "finished": report.work.finished,
        "no_change": report.work.no_change,
        "cost_usd": report.work.usd,
        "questions": [open_prompt(prompt) for prompt in report.questions],
        "needs_a_person": [
            {"what": it.title, "kind": it.kind, "text": it.text, "hint": it.hint, "since": it.at}
            for it in report.matters
        ],
        "ended": [
            {
                "result": it.result,
                "task": it.task,
                "title": it.title,
                "agent": it.agent,
                "role": it.role,
                "reason": it.reason,
                "at": it.at,
                "seconds": it.seconds,
                "cost_usd": it.cost_usd,
                "where": it.where,
                "branch": it.branch,
                "commit": it.commit,
                "run": it.run,
            }
            for it in report.ended
        ],
    }


def _write(path: str, text: str) -> None:
    try:
        # no failpoint: a page that was asked for, and can be asked for again
        with open(
            path, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)
        ) as file:
            file.write(text)
    except OSError as error:
        raise CannotCreate(f"cannot write {path}: {error.strerror}", "name another --html FILE") from error
