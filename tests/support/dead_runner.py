"""A small runner to be killed: it supervises one shell script and tells on stdout what it started.

Usage: python dead_runner.py COOKIE SCRIPT [--on-term kill_all]
It prints the child as a JSON line once the script has said ``ready``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hpm_tools.process.supervise import Child, Clocks, kill_all, supervise


def main(cookie: str, script: str) -> None:
    """Supervise ``sh -c script`` until somebody ends us."""
    facts: dict[str, object] = {}

    def journal(child: Child) -> None:
        facts.update(pid=child.pid, start=child.start, pgid=child.pgid)

    def tell(line: bytes) -> None:
        if line == b"ready":
            print(json.dumps(facts), flush=True)

    def leave(number: int, _frame: object) -> None:
        kill_all()
        os._exit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    supervise(
        ["sh", "-c", script],
        cwd=None,
        env={"PATH": os.environ["PATH"]},
        cookie=cookie,
        clocks=Clocks(grace=5),
        on_spawn=journal,
        on_line=tell,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
