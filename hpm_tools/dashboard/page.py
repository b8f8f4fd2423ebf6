"""The page as HTML: whole for a browser that opens it, in parts for one that has it open."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hpm_tools.dashboard import drawing, matters, run_view, wording
from hpm_tools.text import counted, duration, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpm_tools.dashboard.now import AgentNow
    from hpm_tools.dashboard.outcomes import Outcome
    from hpm_tools.dashboard.picture import Picture
    from hpm_tools.state.prompts import Prompt

PERIODS = {
    "6h": ("6 hours", 6 * 3600.0),
    "24h": ("24 hours", 24 * 3600.0),
    "7d": ("7 days", 7 * 86400.0),
    "30d": ("30 days", 30 * 86400.0),
}
"""Name in the URL → name on the page, and seconds."""
DEFAULT_PERIOD = "24h"
PARTS = ("figures", "person", "agents", "charts", "outcomes", "queue", "health")
OUTCOMES_SHOWN = 30
MATTERS_SHOWN = 6
SAID = {
    "answered": "Answered: the runner goes on within a second.",
    "gone": "Nobody waits for that answer any more.",
    "refused": "That answer could not be given: the question may have changed. Look again.",
}
HEALTH_KINDS = {True: "ok", None: "warning", False: "failing"}


def environment() -> Environment:
    """The templates, with all text escaped and every wrong name an error."""
    made = Environment(
        loader=PackageLoader("hpm_tools.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        duration=duration,
        usd=wording.usd,
        words=wording.words,
        clock=wording.clock,
        day_and_time=wording.day_and_time,
    )
    return made


class Page:
    """Renders ``picture``. ``form`` is the secret that its forms carry; without one there are none."""

    def __init__(self, picture: Picture, form: str = "") -> None:
        self.picture = picture
        self.form = form
        self._templates = environment()

    def whole(self, period: str, said: str = "") -> str:
        """The page of ``period``; ``said`` is a key of SAID or nothing."""
        self.picture.changed()
        return self._render(
            "dashboard.html",
            title="hpm",
            where=self.picture.where,
            period=period,
            periods=PERIODS,
            live_url=f"/live?period={period}",
            said=SAID.get(said, ""),
            parts={name: Markup(html) for name, html in self._parts(period, live=False).items()},  # noqa: S704
        )

    def live_parts(self, period: str) -> dict[str, str]:
        """The parts for a page that is open already: its own clock fills in the times."""
        return self._parts(period, live=True)

    def run(self, run: str) -> str:
        """The page of one run; NotFound if nothing is known of it."""
        view = run_view.look(self.picture.tools, run, self.picture.events_of(run))
        return self._bare(
            "run.html",
            title=f"#{view.task} {view.title}",
            where=self.picture.where,
            view=view,
            branch_url=self.picture.branch_url(view.branch),
        )

    def door(self, password: bool, *, refused: bool) -> str:
        """What is shown to somebody who may not come in."""
        text = "Too many wrong passwords: wait a minute." if refused else ""
        if not text and not password:
            text = "Open it by the last URL that hpm dashboard printed: each opens it once."
        return self._bare(
            "door.html",
            title="hpm",
            where="",
            heading="This dashboard needs its password" if password else "This dashboard needs its token",
            text=text,
            password=password and not refused,
        )

    def _parts(self, period: str, *, live: bool) -> dict[str, str]:
        facts = self._facts(PERIODS[period][1])
        return {
            name: self._templates.get_template(f"{name}.html").render(
                live=live, now=time.time(), form=self.form, **facts
            )
            for name in PARTS
        }

    def _facts(self, seconds: float) -> dict[str, Any]:
        picture = self.picture
        window = picture.window(seconds)
        ended = window.ended
        return {
            "headline": drawing.headline(window, picture.agents),
            "questions": [question(prompt) for prompt in picture.questions],
            "matters": matters.find(picture),
            "matters_shown": MATTERS_SHOWN,
            "agents": picture.agents,
            "agents_said": _counted(picture.agents),
            "charts": drawing.draw(window),
            "outcomes": [self._outcome(it) for it in reversed(ended[-OUTCOMES_SHOWN:])],
            "outcomes_said": f"{min(len(ended), OUTCOMES_SHOWN)} of {len(ended)}" if ended else "",
            "queue": self._queue(),
            "health": self._health(),
        }

    def _bare(self, template: str, **facts: Any) -> str:
        """A page that is not live and shows no period."""
        return self._render(template, periods={}, period="", live_url="", said="", **facts)

    def _render(self, template: str, **facts: Any) -> str:
        return self._templates.get_template(template).render(now=time.time(), **facts)

    def _queue(self) -> dict[str, Any]:
        look = self.picture.queue
        if look.problem:
            return {"said": "", "problem": one_line(look.problem), "tasks": (), "unread": False}
        if look.found is None:
            return {"said": "", "problem": "", "tasks": (), "unread": True}
        queue = look.found
        said = f"{queue.count} for agents, {len(queue.pending)} pending"
        return {"said": said, "problem": "", "tasks": queue.tasks, "unread": False}

    def _health(self) -> dict[str, Any]:
        lines = [
            {
                "kind": HEALTH_KINDS[line.ok],
                "name": line.name,
                "text": one_line(line.text),
                "hint": one_line(line.hint),
            }
            for line in self.picture.health.found or ()
            if not line.name.startswith(matters.SHOWN_LIVE)
        ]
        failing = sum(line["kind"] == "failing" for line in lines)
        warnings = sum(line["kind"] == "warning" for line in lines)
        said = f"{failing} failing, {counted(warnings, 'warning')}" if failing or warnings else "all well"
        return {"said": said if lines else "", "lines": lines}

    def _outcome(self, ended: Outcome) -> dict[str, Any]:
        fields = {name: getattr(ended, name) for name in ended.__slots__}
        return {**fields, "key": ended.id, "branch_url": self.picture.branch_url(ended.branch)}


def question(prompt: Prompt) -> dict[str, Any]:
    """An open question as the templates take it."""
    return {
        "id": prompt.id,
        "agent": prompt.agent_id,
        "task": prompt.task_id,
        "at": prompt.opened_at,
        "question": one_line(prompt.question),
        "choices": prompt.choices,
        "default": prompt.default_choice,
    }


def _counted(agents: Sequence[AgentNow]) -> str:
    """How many agents are in which state: 3 working, 1 asking."""
    counts: dict[str, int] = {}
    for agent in agents:
        counts[agent.state] = counts.get(agent.state, 0) + 1
    return ", ".join(f"{count} {state}" for state, count in counts.items())
