"""What goes wrong: each fault is done while everything it concerns stands still, so that it happens at one moment."""

from __future__ import annotations

from tests.worlds.declared import Register
from tests.worlds.fault_board import BOARD
from tests.worlds.fault_places import PLACES
from tests.worlds.fault_processes import PROCESSES
from tests.worlds.fault_state import STATE

FAULTS: Register[..., None] = Register("fault", PROCESSES, BOARD, STATE, PLACES)
