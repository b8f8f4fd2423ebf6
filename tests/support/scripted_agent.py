"""An agent that does exactly what its task's description says, in JSON: for runs through CommandExecutor.

{"do": [{"write": ["a.txt", "text"]}, {"commit": "message"}, {"touch": "/flag"}, {"wait_for": "/flag"},
        {"run": ["git", "checkout", "main"]}, {"kill": 9}, {"ignore_term": true}],
 "outcome": {"status": "done", "summary": "…"}, "exit": 0, "as_qa": {the same for a task in dev_done}}

Every run adds a line "<pid> <cookie> <task> <status>" to the file named by HPM_TEST_STARTS, if set.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def main() -> int:
    task = json.loads(Path(os.environ["HPM_TASK_FILE"]).read_text(encoding="utf-8"))
    script = json.loads(task["description"])
    if task["status"] == "dev_done":
        script = script.get("as_qa", {})
    starts = os.environ.get("HPM_TEST_STARTS")
    if starts:
        with open(starts, "a", encoding="utf-8") as file:
            file.write(f"{os.getpid()} {os.environ['HPM_RUN_ID']} {task['id']} {task['status']}\n")
    for act in script.get("do", []):
        for name, value in act.items():
            perform(name, value)
    outcome = script.get("outcome", {"status": "done", "summary": "did as told"})
    if outcome is not None:
        Path(os.environ["HPM_OUTCOME_FILE"]).write_text(json.dumps(outcome), encoding="utf-8")
    return int(script.get("exit", 0))


def perform(name: str, value: Any) -> None:
    match name:
        case "write":
            path = Path(value[0])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(value[1], encoding="utf-8")
        case "commit":
            subprocess.run(["git", "add", "-A"], check=True)
            subprocess.run(["git", "commit", "-q", "-m", value], check=True)
        case "run":
            subprocess.run(value, check=True)
        case "touch":
            Path(value).touch()
        case "wait_for":
            deadline = time.monotonic() + 120
            while not Path(value).exists():
                if time.monotonic() > deadline:
                    raise SystemExit(f"{value} did not appear")
                time.sleep(0.02)
        case "kill":
            os.kill(os.getpid(), int(value))
        case "ignore_term":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        case "say":
            print(value, flush=True)
        case _:
            raise SystemExit(f"unknown act {name}")


if __name__ == "__main__":
    sys.exit(main())
