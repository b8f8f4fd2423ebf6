"""The embedded board: the real Headless PM server's API, right where that one is wrong.

Importing this package imports neither FastAPI nor SQLAlchemy; those stay in the child that ``start`` starts.
"""

# no failpoints in this package: a program of its own, whose acts are transactions

from hpm_tools.board.server.process import BoardProcess, require_extra, start
from hpm_tools.board.server.settings import Settings

__all__ = ["BoardProcess", "Settings", "require_extra", "start"]
