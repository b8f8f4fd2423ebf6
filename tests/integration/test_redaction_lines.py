"""Secrets that an agent prints as programs encode them: in hexadecimal, and in lines of a fixed length."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

import pytest

from tests.support.repos import make_repo
from tests.support.runners import Desk, script

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.board_process import BoardUnderTest

TOKEN = "T0ken8sEcret4Path2Part9x7"
SERVICE = f"json://127.0.0.1:9/{TOKEN}"
PIPED = f"printf 'the addresses that are told of all this: {SERVICE}' |"
DUMP = "import sys; text = sys.stdin.buffer.read().hex(); print(*(text[at:at + 60] for at in range(0, len(text), 60)), sep='\\n')"


@pytest.mark.fault("F6")
@pytest.mark.parametrize("encoding", ["base64", "hexadecimal"])
def test_run_log_is_without_a_secret_that_is_encoded_in_lines(
    tmp_path: Path, exact_board: BoardUnderTest, encoding: str
) -> None:
    desk = Desk(tmp_path / "desk", exact_board, make_repo(tmp_path / "repo").root)
    desk.change(notify={"urls": [SERVICE], "on": ["runner_stopped"]})
    program = "base64" if encoding == "base64" else f'python3 -c "{DUMP}"'
    act = {"run": ["sh", "-ec", f"{PIPED} {program}"]}
    desk.board.add_task(complexity="minor", description=script({"say": "it says:"}, act))
    desk.run_single()
    (path,) = (desk.state / "runs").glob("*.jsonl")
    said = path.read_text(encoding="utf-8").partition("it says:")[2]
    joined = re.sub(r"\s", "", said.partition("[redacted]")[0])
    decoded = base64.b64decode(joined + "=" * (-len(joined) % 4)) if encoding == "base64" else b""
    if encoding == "hexadecimal":
        decoded = binascii.unhexlify(joined[: len(joined) // 2 * 2])
    assert decoded.startswith(b"the addresses")
    assert TOKEN[:8].encode() not in decoded
