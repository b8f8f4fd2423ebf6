"""Making and removing a worktree of a large repository, beside what plain git takes for it."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.bench.lab import Place
from tests.bench.measure import in_pairs, median
from tests.bench.report import Line
from tests.support.board_process import running_board

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bench.lab import Lab
    from tests.bench.measure import Program

SECTION = "worktrees"
FILES = 20_000


def measure(lab: Lab) -> Iterator[Line]:
    files = 500 if lab.quick else FILES
    directory = lab.fresh("worktrees")
    with running_board(directory) as board:
        place = Place(directory / "desk", board, _large_repository(directory / "repo", files))
        plain = place.directory / "plain"
        git_add = place.program("git worktree add", "git", "worktree", "add", "-q", "-B", "plain", plain)
        git_remove = place.program("git worktree remove", "git", "worktree", "remove", plain)
        add = place.command("worktree.add", "worktree.add", "--task-id", 1)
        remove = place.command("worktree.remove", "worktree.remove", "--task-id", 1)
        for program in (git_add, add):
            program.run()
        yield _line(lab, replace(add, before=(remove,)), replace(git_add, before=(git_remove,)), files)
        git_remove.run()
        yield _line(lab, replace(remove, before=(add,)), replace(git_remove, before=(git_add,)), files)


def _line(lab: Lab, program: Program, reference: Program, files: int) -> Line:
    pairs = in_pairs(program, reference, lab.rounds(3))
    return Line(
        SECTION,
        f"{program.name}, {files} files",
        median(pairs.of),
        against=reference.name,
        ratio=pairs.ratio,
        cpu_ratio=pairs.cpu_ratio,
        samples=[sample.wall for sample in pairs.of],
    )


def _large_repository(root: Path, files: int) -> Path:
    """One commit with so many small files, fifty to a directory."""
    root.mkdir()
    lines = [
        b"commit refs/heads/main",
        b"committer Test <test@example.invalid> 1700000000 +0000",
        b"data 5",
        b"begin",
    ]
    for number in range(files):
        text = f"file {number}\n".encode() * 20
        lines += [
            f"M 100644 inline d{number // 50:03}/f{number:05}.txt".encode(),
            b"data %d" % len(text),
            text,
        ]
    for argv, given in (
        (["git", "init", "-q", "-b", "main"], b""),
        (["git", "fast-import", "--quiet"], b"\n".join(lines) + b"\n"),
        (["git", "reset", "-q", "--hard"], b""),
    ):
        subprocess.run(argv, cwd=root, input=given, check=True)
    return root
