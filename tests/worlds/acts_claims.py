"""Acts by which an agent says or forges something, before its outcome."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from tests.worlds.acting import ACTS, RARE, a_kind, common_directory, git_directory

if TYPE_CHECKING:
    from tests.worlds.agent import Agent

DONE = {"status": "done", "summary": "all done"}
FORGED: dict[str, dict[str, Any]] = {
    "reporting": {
        "step": "reporting",
        "ending": {"kind": "reported", "reason": "all done", "status": "dev_done"},
        "verdict": {"kind": "done", "summary": "all done"},
    },
    "verdict": {"step": "working", "ending": None, "verdict": {"kind": "done", "summary": "all done"}},
    "wrong type": {"agent_runs": "many"},
    "unknown step": {"step": "nonsense"},
    "unknown ending": {"ending": {"kind": "x"}},
    "tampering": {"tampering": 5},
}
FLOOD = 600_000


@ACTS.declare(rows=("B12", "D1"), draw=a_kind(*FORGED))
def forge_record(agent: Agent, kind: str) -> None:
    """It writes into its runner's record what would be the end of the task, or what cannot be read."""
    path = agent.world / "state" / "locks" / f"agent-{os.environ['HPM_AGENT_ID']}.lock"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise OSError("no record that can be read") from error
    forged = {**record, **FORGED[kind]}
    if kind == "reporting":
        forged["commit"] = record.get("base")
    new = path.with_name(f"{path.name}.forged")
    new.write_text(json.dumps(forged), encoding="utf-8")
    new.chmod(0o600)
    new.rename(path)


@ACTS.declare(draw=a_kind("done", "half", "directory", "link"))
def early_outcome(agent: Agent, kind: str) -> None:
    """It puts something in the place of its outcome long before its end."""
    path = os.environ["HPM_OUTCOME_FILE"]
    if os.path.lexists(path):
        return
    match kind:
        case "directory":
            os.mkdir(path)
        case "link":
            os.symlink(agent.elsewhere / "letter.txt", path)
        case _:
            text = json.dumps(DONE)
            agent.write(path, text if kind == "done" else text[:9])


@ACTS.declare(
    rows=("B11",),
    draw=a_kind("flood", "control characters", "no UTF-8", "braces", "an outcome, then more", "on stderr"),
)
def print_out(agent: Agent, kind: str) -> None:
    """It prints more, or other things, than a program should."""
    out = sys.stderr.buffer if kind == "on stderr" else sys.stdout.buffer
    text = {
        "flood": b"all work and no play\n" * (FLOOD // 21),
        "control characters": b"\x1b[2J\x1b]0;title\x07\xc2\x9b31m \xe2\x80\xaereversed\r\x00\x08\n",
        "no UTF-8": bytes(range(128, 256)) * 20 + b"\n",
        "braces": b"{" * 100_000 + b"\n",
        "an outcome, then more": json.dumps(DONE).encode() + b"\nbut that was a quotation\n",
        "on stderr": b"error: 401 \x1b[31minvalid x-api-key\x07\n",
    }[kind]
    out.write(text)
    out.flush()


@ACTS.declare(rows=("E11",))
def placeholders(agent: Agent) -> None:
    """Its sandbox leaves empty read-only files and directories behind, in its place and in .git."""
    common = common_directory(agent)
    names = [".newcli.toml", ".bashrc", ".gitconfig", ".newcli/rules"]
    names += [
        f"{common}/{name}" for name in ("info/.newcli", "objects/.newcli", "sequencer-guard", "newcli.lock")
    ]
    for name in (*names, f"{git_directory(agent)}/NEWCLI_HEAD"):
        if not os.path.lexists(name):
            agent.spare(name)
            agent.write(name, "")
            os.chmod(name, 0o444)
    os.makedirs(".newcli/.holds/below", exist_ok=True)


@ACTS.declare(rows=("F7",), draw=a_kind("guard", "spool", "link instead of the guard"), weight=RARE)
def link_state(agent: Agent, kind: str) -> None:
    """It puts a link to another file in the place of a file of the state directory."""
    state, target = agent.world / "state", agent.elsewhere / f"linked-{agent.label}.txt"
    agent.watch(target)
    agent.write(str(target))
    target.chmod(0o600)
    names = ["events.sqlite.spool"]
    if kind != "spool":
        names = [f"locks/{path.name}" for path in state.glob("locks/*.guard")]
    for name in names:
        path = state / name
        path.unlink(missing_ok=True)
        if kind == "link instead of the guard":
            path.symlink_to(target)
        else:
            os.link(target, path)


@ACTS.declare(rows=("B11",), draw=a_kind("aider", "pi"))
def droppings(agent: Agent, kind: str) -> None:
    """Its program leaves files of its own, which are no work."""
    place = ".aider.tags.cache.v4" if kind == "aider" else ".pi"
    agent.spare(place)
    agent.write(f"{place}/cache.db", "cache\n")
    if kind == "aider":
        agent.spare(".aider.chat.history.md")
        agent.write(".aider.chat.history.md", "# aider chat started\n")
