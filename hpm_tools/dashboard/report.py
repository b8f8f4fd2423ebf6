"""The morning report: what was done since when, what it cost, and what needs a person now."""

from __future__ import annotations

import os
import time
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from markupsafe import Markup

from hpm_tools.dashboard import drawing, matters, wording
from hpm_tools.dashboard.page import environment, question
from hpm_tools.text import duration, one_line, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpm_tools.dashboard.drawing import Chart, Figure
    from hpm_tools.dashboard.matters import Matter
    from hpm_tools.dashboard.outcomes import Outcome
    from hpm_tools.dashboard.picture import Picture
    from hpm_tools.events.figures import Work
    from hpm_tools.state.prompts import Prompt

STYLE = os.path.join(os.path.dirname(__file__), "static", "dashboard.css")


@dataclass(frozen=True, slots=True)
class Report:
    """``since`` and ``made`` are Unix seconds; ``ended`` is in the order of time."""

    since: float
    made: float
    where: str
    work: Work
    figures: Sequence[Figure]
    charts: Sequence[Chart]
    questions: Sequence[Prompt]
    matters: Sequence[Matter]
    ended: Sequence[Outcome]


def gather(picture: Picture, since: float) -> Report:
    """Look at everything once."""
    made = time.time()
    picture.look_once()
    window = picture.window(made - since)
    return Report(
        since=since,
        made=made,
        where=picture.where,
        work=window.figures.work,
        figures=drawing.headline(window, picture.agents),
        charts=drawing.draw(window),
        questions=picture.questions,
        matters=matters.find(picture),
        ended=window.ended,
    )


def as_text(report: Report, width: int) -> str:
    """The report for a terminal of ``width`` columns."""
    figures = ", ".join(f"{it.name.lower()} {it.value} {it.aside}".strip() for it in report.figures)
    span = duration(report.made - report.since)
    parts = [f"since {wording.clock(report.since)} ({span}): {figures}"]
    needs = [f"{it.agent_id} asks: {one_line(it.question)}" for it in report.questions]
    needs += ["\n    ".join(filter(None, (f"{it.title}: {it.text}", it.hint))) for it in report.matters]
    if needs:
        parts.append("\n".join(["needs a person:", *(f"  {need}" for need in needs)]))
    if report.ended:
        parts.append(table(map(_row, report.ended), ("ENDED", "AGENT", "TOOK", "COST", "TASK"), width))
    return "\n\n".join(parts)


def _row(ended: Outcome) -> tuple[object, ...]:
    why = f": {ended.reason}" if ended.result != "done" and ended.reason else ""
    return (
        wording.words(ended.result),
        ended.agent,
        None if ended.seconds is None else duration(ended.seconds),
        None if ended.cost_usd is None else wording.usd(ended.cost_usd),
        f"{ended.task} {ended.title}{why}",
    )


def as_html(report: Report) -> str:
    """The report as one file that needs nothing else, runs no script and loads nothing."""
    with open(STYLE, encoding="utf-8") as file:
        style = file.read()
    allowed = b64encode(sha256(style.encode()).digest()).decode()
    return (
        environment()
        .get_template("report.html")
        .render(
            live=False,
            now=report.made,
            report=report,
            policy=f"default-src 'none'; style-src 'sha256-{allowed}'; base-uri 'none'; form-action 'none'",
            style=Markup(style),  # noqa: S704
            headline=report.figures,
            charts=report.charts,
            questions=[question(prompt) for prompt in report.questions],
            matters=report.matters,
            matters_shown=len(report.matters),
            form="",
        )
    )
