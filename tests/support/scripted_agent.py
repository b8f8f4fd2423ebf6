"""An agent that does exactly what its task's description says, in JSON: for runs through CommandExecutor.

{"do": [{"write": ["a.txt", "text"]}, {"commit": "message"}, {"touch": "/flag"}, {"wait_for": "/flag"},
        {"run": ["git", "checkout", "main"]}, {"kill": 9}, {"ignore_term": true}],
 "outcome": {"status": "done", "summary": "…"}, "exit": 0, "as_qa": {the same for a task in dev_done}}

It imports little, for every run of a test starts it. Every run adds a line "<pid> <cookie> <task> <status>" to the file named by HPM_TEST_STARTS, if set.
"""

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main() -> int:
    with open(os.environ["HPM_TASK_FILE"], encoding="utf-8") as file:
        task = json.load(file)
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
        write(os.environ["HPM_OUTCOME_FILE"], json.dumps(outcome))
    return int(script.get("exit", 0))


def write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def run(*argv: str) -> None:
    if os.spawnvp(os.P_WAIT, argv[0], argv) != 0:
        raise SystemExit(f"{' '.join(argv)} failed")


def perform(name: str, value: Any) -> None:
    match name:
        case "write":
            os.makedirs(os.path.dirname(value[0]) or ".", exist_ok=True)
            write(value[0], value[1])
        case "commit":
            run("git", "add", "-A")
            run("git", "commit", "-q", "-m", value)
        case "run":
            run(*value)
        case "touch":
            with open(value, "a", encoding="utf-8"):
                os.utime(value)
        case "wait_for":
            import time

            deadline = time.monotonic() + 120
            while not os.path.exists(value):
                if time.monotonic() > deadline:
                    raise SystemExit(f"{value} did not appear")
                time.sleep(0.02)
        case "kill":
            os.kill(os.getpid(), int(value))
        case "ignore_term":
            import signal

            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        case "say":
            print(value, flush=True)
        case _:
            raise SystemExit(f"unknown act {name}")


if __name__ == "__main__":
    sys.exit(main())
