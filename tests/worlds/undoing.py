"""What a person does who takes the runners at their word: gives the commands that they printed, as they are printed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.worlds.site import Site

TOLD = re.compile(
    r"(?:; to undo it: |a new guard is made: |a file that names it is: |remove it: (?=rm )|may be moved: (?=mv ))"
    r"(.+)$",
    re.MULTILINE,
)
LONGEST = 20.0

KEEPS_WORK = ("update-ref", "-d")
"""A person does not delete the branch or tag that an agent made without having looked at it."""


def undo(site: Site) -> Iterator[str]:
    """Give each command that notes, comments or runners' output name for taking something back, the newest first."""
    for command in reversed(told(site)):
        words = shlex.split(command)
        if set(KEEPS_WORK) <= set(words):
            continue
        try:
            done = subprocess.run(
                ["sh", "-c", command],
                cwd=site.repo,
                env={**site.environment, "PATH": f"{site.environment['PATH']}:{os.defpath}"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=LONGEST,
            )
        except subprocess.TimeoutExpired:
            yield f"{command}: it hung"
        else:
            yield f"{command}: {done.returncode}"


def told(site: Site) -> list[str]:
    """The commands, each once, in the order in which they were told."""
    said = [
        text
        for row in site.board.sql("SELECT coalesce(notes, ''), coalesce(comments, '') FROM tasks ORDER BY id")
        for text in row
    ]
    said += [runner.output for runner in site.launched]
    found: dict[str, None] = {}
    for text in said:
        for match in TOLD.finditer(text):
            command = match[1]
            try:
                shlex.split(command)
            except ValueError:  # cut, or prose
                continue
            found[command] = None
    return list(found)
