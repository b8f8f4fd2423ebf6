"""Every scenario of the campaign by its name."""

from __future__ import annotations

from tests.campaign.commands import COMMANDS
from tests.campaign.paused import PAUSED
from tests.campaign.scenarios import RUNNING

SCENARIOS = RUNNING | PAUSED | COMMANDS
