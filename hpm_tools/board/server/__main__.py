"""``python -m hpm_tools.board.server``: the child process of :func:`hpm_tools.board.server.start`."""

import sys

from hpm_tools.board.server.serving import serve_child
from hpm_tools.errors import HpmError

try:
    serve_child()
except HpmError as error:
    print(f"{error.message} ({error.hint})" if error.hint else error.message, file=sys.stderr)
    sys.exit(error.exit_code)
