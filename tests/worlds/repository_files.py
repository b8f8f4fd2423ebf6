"""Files that few repositories have, and those that git ignores."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

from tests.worlds.checkout import COMMITTED, LEFT, REPOSITORY, add, append, git, put

if TYPE_CHECKING:
    from random import Random

    from tests.worlds.site import Site

ODD_NAMES = {
    "newline": "two\nlines.txt",
    "not UTF-8": os.fsdecode(b"latin-\xe9.txt"),
    "dash": "-rf",
    "long": "l" * 251 + ".txt",
    "tab and quote": 'a\t"quoted".txt',
    "blanks": " blanks at both ends ",
    "colon": ":(top)colon.txt",
    "star": "*.txt",
    "backslash": "back\\slash.txt",
    "escape": "\x1b[31mred.txt",
    "decomposed": "u\u0308n.txt",
    "deep": "d/" * 60 + "end.txt",
    "dots": "..gitignore..",
    "as git's": ".GIT-not/config",
}
OUTPUTS = ("node_modules", ".next", "coverage", "obj", "DerivedData", ".turbo", "target", "logs")
PRECIOUS = (".env", "local.sqlite", "notes.private")


def odd_names_of(chance: Random) -> dict[str, Any]:
    return {
        "names": sorted(chance.sample(sorted(ODD_NAMES), chance.choice((1, 2, 4)))),
        "tracked": chance.random() < 0.5,
    }


@REPOSITORY.declare(draw=odd_names_of, rows=("C3",), weight=2.0, stage=COMMITTED)
def odd_names(site: Site, names: list[str], tracked: bool) -> None:
    """Files have names that no program expects."""
    for name in names:
        if tracked:
            add(site, {ODD_NAMES[name]: f"named oddly: {name}\n"})
        else:
            put(site, {ODD_NAMES[name]: f"named oddly, in no commit: {name}\n"})


@REPOSITORY.declare(stage=COMMITTED)
def case_twins(site: Site) -> None:
    """Two files differ in the case of their names only, and a file and a directory."""
    add(
        site,
        {"Twin.txt": "upper\n", "twin.txt": "lower\n", "Doc": "a file\n", "doc/a.txt": "in a directory\n"},
    )


def special_kinds(chance: Random) -> dict[str, Any]:
    kinds = ("fifo", "socket", "empty directory", "sparse file", "no permission", "deep tree", "hard link")
    return {"kinds": sorted(chance.sample(kinds, chance.choice((1, 2)))), "ignored": chance.random() < 0.3}


@REPOSITORY.declare(draw=special_kinds, rows=("D4", "D6", "F7", "C7"), weight=2.0, stage=LEFT)
def special_files(site: Site, kinds: list[str], ignored: bool) -> None:
    """What is no plain file lies in the checkout, in no commit."""
    place = site.repo / "special"
    place.mkdir(exist_ok=True)
    if ignored:
        append(site, ".gitignore", "special/\n")
    if "fifo" in kinds:
        os.mkfifo(place / "fifo")
    if "socket" in kinds:
        # By a short name: an address has room for 107 bytes.
        with socket.socket(socket.AF_UNIX) as bound:
            descriptor = os.open(place, os.O_RDONLY)
            bound.bind(f"/proc/self/fd/{descriptor}/socket")
            os.close(descriptor)
    if "empty directory" in kinds:
        (place / "empty" / "er").mkdir(parents=True)
    if "sparse file" in kinds:
        with (place / "core.img").open("wb") as file:
            file.truncate(300 << 30)
    if "no permission" in kinds:
        put(site, {"special/closed.txt": "nobody may read it\n"})
        (place / "closed.txt").chmod(0)
    if "deep tree" in kinds:
        put(site, {"special/" + "d/" * 200 + "end.txt": "at the end\n"})
    if "hard link" in kinds:
        os.link(site.elsewhere / "letter.txt", place / "letter.txt")


@REPOSITORY.declare(stage=COMMITTED)
def executable_bits(site: Site) -> None:
    """A program is committed as one, and another is one on the disk only."""
    put(site, {"bin/tool": "#!/bin/sh\necho tool\n", "bin/other": "#!/bin/sh\necho other\n"})
    (site.repo / "bin" / "tool").chmod(0o755)
    add(site, {"bin/tool": "#!/bin/sh\necho tool\n", "bin/other": "#!/bin/sh\necho other\n"})
    (site.repo / "bin" / "other").chmod(0o755)


LINKS = {
    "outside": "{elsewhere}/letter.txt",
    "outside directory": "{elsewhere}",
    "relative outside": "../../elsewhere/letter.txt",
    "directory": "src",
    "dangling": "nowhere/at/all",
    "itself": "a-link",
    "git": ".git/config",
}


def a_link(chance: Random) -> dict[str, Any]:
    return {"target": chance.choice(sorted(LINKS)), "tracked": chance.random() < 0.7}


@REPOSITORY.declare(draw=a_link, rows=("D2", "F7"), weight=2.0, stage=COMMITTED)
def link(site: Site, target: str, tracked: bool) -> None:
    """A symbolic link lies in the checkout."""
    place = site.repo / "a-link"
    if not place.is_symlink():
        place.symlink_to(LINKS[target].format(elsewhere=site.elsewhere))
    if tracked:
        git(site, "add", "a-link")
        git(site, "commit", "-q", "-m", "Add a link")


@REPOSITORY.declare(rows=("D2",), stage=COMMITTED)
def src_is_a_link(site: Site) -> None:
    """A directory of the repository is a link to another one."""
    if (site.repo / "src").is_dir() and not (site.repo / "src").is_symlink():
        git(site, "mv", "src", "real-src")
        if not (site.repo / "src").exists():
            (site.repo / "src").symlink_to("real-src")
            git(site, "add", "src")
        git(site, "commit", "-q", "-m", "Move the sources, leave a link")


def some_ignored(chance: Random) -> dict[str, Any]:
    return {
        "outputs": sorted(chance.sample(OUTPUTS, chance.choice((1, 2, 3)))),
        "precious": sorted(chance.sample(PRECIOUS, chance.choice((0, 1, 2)))),
        "where": chance.choice((".gitignore", "info/exclude", "global")),
    }


@REPOSITORY.declare(draw=some_ignored, rows=("C7",), weight=3.0, stage=COMMITTED)
def ignored_tree(site: Site, outputs: list[str], precious: list[str], where: str) -> None:
    """Build outputs and private files lie in the checkout, ignored."""
    rules = "".join(f"{name}/\n" for name in outputs) + "".join(f"{name}\n" for name in precious)
    if where == ".gitignore":
        append(site, ".gitignore", rules)
    elif where == "info/exclude":
        path = site.git_directory / "info" / "exclude"
        path.parent.mkdir(exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(rules)
    else:
        ignore = site.home / ".config" / "git" / "ignore"
        ignore.parent.mkdir(parents=True, exist_ok=True)
        ignore.write_text(rules, encoding="utf-8")
    for name in outputs:
        put(site, {f"{name}/part-{number}/index.js": f"built {name} {number}\n" for number in range(3)})
        put(site, {f"{name}/.gitkeep": ""})
    put(site, {name: f"kept by nobody else: {name}\n" for name in precious})
