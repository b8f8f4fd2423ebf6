"""The sample commands and plain tasks, as Invoke sees them."""

import sys
from pathlib import Path

from invoke.context import Context
from invoke.tasks import task

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from hpm_tools.cli.namespaces import namespace
from tests.support import sample_commands


@task(positional=[])
def plain(_context: Context, word: str = "x") -> None:
    """An ordinary task beside the commands."""
    print(word)


sample_commands.offer()
ns = namespace(plain)
