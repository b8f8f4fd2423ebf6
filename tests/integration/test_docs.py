"""README and docs are true: every shell and Python block is run in the order of its page, as a new user would, and passes."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import shutil
import subprocess
from collections import Counter
from typing import TYPE_CHECKING

import pytest
import yaml

from hpm_tools import registry
from hpm_tools.cli.arguments import GLOBAL
from tasks import ns
from tests.support.board_process import running_board
from tests.support.doc_blocks import FILES, RUN, SHELLS, blocks
from tests.support.frontends import PROJECT
from tests.support.messages_endpoint import MessagesEndpoint
from tests.support.newcomer import BOARD_KEY, Newcomer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.doc_blocks import Block

MADE_FROM_THE_CODE = {"commands.md"}
PAGES = [
    path
    for path in (PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md")))
    if path.name not in MADE_FROM_THE_CODE
]
EACH_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
FOR_THE_FIRST_DAY = ("README.md", "contributing.md")
"""Their blocks are run by `./inv test`, those of the other pages, which cost many seconds each, by `--all`."""
NEEDS = {"security.md": "bwrap"}
CRON_FIELDS = 5

MARKED = {
    ("README.md", "file"): 1,
    ("README.md", "shown"): 2,
    ("README.md", "until"): 1,
    ("contributing.md", "shown"): 1,
    ("cookbook.md", "exits"): 1,
    ("cookbook.md", "file"): 3,
    ("cookbook.md", "until"): 1,
    ("cookbook.md", "shown"): 1,
    ("operations.md", "file"): 2,
    ("operations.md", "shown"): 2,
    ("operations.md", "until"): 3,
    ("python.md", "file"): 1,
    ("security.md", "file"): 1,
    ("security.md", "shown"): 1,
    ("security.md", "until"): 1,
}
"""How many blocks of each page are not simply run; whoever marks one more says so here."""


def test_every_marked_block_is_counted() -> None:
    found = Counter((page.name, block.kind) for page in PAGES for block in blocks(page) if block.kind)
    assert found == MARKED
    unexplained = [
        block.where
        for page in PAGES
        for block in blocks(page)
        if block.kind in ("shown", "exits") and not block.why
    ]
    assert unexplained == []


@EACH_PAGE
def test_commands_in_the_text_exist(page: Path) -> None:
    """`hpm NAME …` between backquotes is a command with options that it has, or a group; `./inv NAME` one or a task of ours."""
    for program, code in re.findall(r"`(\./inv|invoke|hpm) ([^`]+)`", page.read_text(encoding="utf-8")):
        words = shlex.split(re.split(r" >| \\?\| |; ", code)[0])
        name = next((word for word in words if re.fullmatch(r"[a-z][a-z.]*", word)), None)
        if name is None:
            continue
        command = registry.find(name)
        if command is None:
            groups = {full.partition(".")[0] for full in registry.MODULES if "." in full}
            assert name in (groups if program == "hpm" else ns.task_names), code
        else:
            flags = {word.partition("=")[0] for word in words if word.startswith("--")}
            assert flags <= {option.flag for option in (*command.options, *GLOBAL)}, code
            after = [*words[words.index(name) + 1 :], "…"][0]
            # Only `hpm` takes a value without its option; Invoke would look for a task of that name.
            assert program == "hpm" or after.startswith(("-", "…")) or registry.find(after), code


def check_syntax(block: Block, path: Path) -> None:
    """``path`` has the block's text."""
    match block.language:
        case "yaml":
            assert yaml.safe_load(block.text), block.where
        case "json":
            assert json.loads(block.text), block.where
        case "ini":
            unit = configparser.ConfigParser(interpolation=None, strict=False)
            unit.optionxform = str  # type: ignore[method-assign,assignment]
            unit.read_string(block.text)
            assert unit.sections(), block.where
        case "crontab":
            for line in cron_lines(block):
                passes(["bash", "-n", "-c", line], block)
        case "python":
            compile(block.text, block.where, "exec")
        case shell:
            if shutil.which(shell):
                passes([shell, "-n", str(path)], block)


def cron_lines(block: Block) -> list[str]:
    """The commands of a crontab's jobs."""
    lines = [line for line in block.text.splitlines() if line.strip() and not line.startswith("#")]
    jobs = [line.split(None, CRON_FIELDS) for line in lines]
    assert all(len(job) == CRON_FIELDS + 1 for job in jobs), block.where
    assert not [job for job in jobs if "%" in job[-1]], f"{block.where}: cron makes a newline of %"
    return [job[-1] for job in jobs]


def passes(argv: list[str], block: Block) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, (block.where, argv, done.stdout, done.stderr)


def write_file(block: Block, newcomer: Newcomer) -> None:
    path = newcomer.home / block.what.removeprefix("~/")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_text(block.text, encoding="utf-8")
    if path.suffix == ".service" and shutil.which("systemd-analyze"):
        environment = {**os.environ, "HOME": str(newcomer.home), "XDG_RUNTIME_DIR": os.environ["TMPDIR"]}
        done = subprocess.run(
            ["systemd-analyze", "verify", "--user", "--man=no", str(path)],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, ""), (block.where, done.stderr)


def run(block: Block, newcomer: Newcomer) -> None:
    wanted = int(block.what) if block.kind == "exits" else 0
    until = block.what if block.kind == "until" else ""
    if block.language == "crontab":
        for line in cron_lines(block):
            code, told = newcomer.run_as_cron_does(line)
            assert code == wanted, f"{block.where}: {line}: exit code {code}\n{told}"
        return
    shell = "bash" if block.language in ("sh", "bash") else block.language
    if shutil.which(shell) is None and shell != "python":
        return
    code, told = newcomer.run(block.text, shell=shell, until=until)
    assert "Traceback" not in told, f"{block.where}\n{told}"
    assert code == wanted, f"{block.where}: exit code {code}\n{block.text}\n{told}"
    unsaid = [line for line in block.printed if line not in told.splitlines()]
    assert unsaid == [], f"{block.where}\n{told}"


@pytest.fixture
def newcomer(page: Path, tmp_path: Path) -> Iterator[Newcomer]:
    with (
        running_board(tmp_path, more_keys=(BOARD_KEY,)) as board,
        MessagesEndpoint({"rules": [{}]}) as endpoint,
    ):
        yield Newcomer(tmp_path, board, endpoint, installed=page.name != "README.md")


@EACH_PAGE
def test_the_blocks_of_a_page_have_no_fault_that_reading_shows(page: Path, tmp_path: Path) -> None:
    for block in blocks(page):
        if block.language in (*SHELLS, *FILES):
            (tmp_path / "block").write_text(block.text, encoding="utf-8")
            check_syntax(block, tmp_path / "block")


def is_run(block: Block) -> bool:
    return block.language in RUN and block.kind not in ("shown", "file")


def marks(page: Path) -> list[pytest.MarkDecorator]:
    needed = [pytest.mark.needs(NEEDS[page.name])] if page.name in NEEDS else []
    return needed if page.name in FOR_THE_FIRST_DAY else [*needed, pytest.mark.extended]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=marks(page)) for page in PAGES if any(map(is_run, blocks(page)))],
    ids=lambda page: page.name,
)
def test_the_blocks_of_a_page_do_what_they_say(page: Path, newcomer: Newcomer) -> None:
    for block in blocks(page):
        if block.kind == "file":
            write_file(block, newcomer)
        elif is_run(block):
            run(block, newcomer)
