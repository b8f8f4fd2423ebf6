"""The demo's agent: does what a task's title says with a few files, or checks what another agent did.

It speaks the contract of CommandExecutor: the task as JSON in the file HPM_TASK_FILE, the outcome as
JSON into the file HPM_OUTCOME_FILE. It leaves its work uncommitted for minor tasks, as agents do.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any


def main() -> int:
    task = json.loads(Path(os.environ["HPM_TASK_FILE"]).read_text(encoding="utf-8"))
    sys.stdin.read()
    outcome = check(task) if task["status"] == "dev_done" else build(task)
    Path(os.environ["HPM_OUTCOME_FILE"]).write_text(json.dumps(outcome), encoding="utf-8")
    return 0


def module_of(task: dict[str, Any]) -> Path:
    found = re.search(r"\b(\w+\.py)\b", task["description"])
    return Path(found.group(1) if found else f"task_{task['id']}.py")


def build(task: dict[str, Any]) -> dict[str, Any]:
    path = module_of(task)
    print(f"writing {path}", flush=True)
    name = path.stem
    path.write_text(
        f'"""{task["title"]}."""\n\n\ndef {name}(who: str) -> str:\n    return f"{name}, {{who}}"\n',
        encoding="utf-8",
    )
    if task["complexity"] == "major":
        git("add", "--", str(path))
        git("commit", "--quiet", "-m", task["title"])
    return {"status": "done", "summary": f"Wrote {path} with the function {name}."}


def check(task: dict[str, Any]) -> dict[str, Any]:
    path = module_of(task)
    print(f"checking {path}", flush=True)
    program = f"import {path.stem}; print({path.stem}.{path.stem}('world'))"
    ran = subprocess.run(
        [sys.executable, "-B", "-c", program], capture_output=True, text=True, check=False, encoding="utf-8"
    )
    if ran.returncode:
        return {"status": "rejected", "summary": f"{path} does not work.", "findings": [ran.stderr[-500:]]}
    return {"status": "done", "summary": f"{path} works: it says {ran.stdout.strip()!r}."}


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True)


if __name__ == "__main__":
    sys.exit(main())
