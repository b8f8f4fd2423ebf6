"""The figures of this host: what its events say, and how long its tasks are held."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpm_tools.events.figures import Evidence, Figures, evidence, figures
from hpm_tools.events.recorder import take_in
from hpm_tools.events.store import EventStore
from hpm_tools.events.tally import ENDINGS, READ
from hpm_tools.state.views import all_records

if TYPE_CHECKING:
    from hpm_tools.state.paths import StateDir


def figures_here(
    state: StateDir, *, now: float, since: float | None = None, by: str | None = None
) -> Figures:
    """The figures since ``since`` (None: all that is kept); raises as EventStore.read does."""
    records = [view.record for view in all_records(state) if view.record is not None]
    ages = [age for record in records if (age := record.age(now)) is not None]
    with EventStore(state.events) as store:
        take_in(store)
        return figures(store.read(since=since, names=READ), now=now, since=since, by=by, lock_ages=ages)


def evidence_here(state: StateDir) -> list[Evidence]:
    """How tasks of each difficulty fared with each model, as far back as events are kept."""
    with EventStore(state.events) as store:
        return evidence(store.read(names=ENDINGS))
