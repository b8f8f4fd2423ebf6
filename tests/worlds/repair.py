"""What a sensible person does who was told: follows what `health` says, and puts back what an agent changed in .git."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from typing import TYPE_CHECKING, Any

from tests.worlds import gitfiles
from tests.worlds.remains import git_directory
from tests.worlds.undoing import undo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.worlds.site import Site

FILES = ("config", "HEAD", "info/attributes", "info/exclude", "packed-refs")
COMMANDS = ("recover", "unlock", "retry", "worktree.remove", "worktree.prune", "worktree.restore")
"""The commands that a hint may name and a person gives as they are printed."""

PLACEHOLDER = "REF"
"""What stands in a hint for a name that the person is to choose."""
GIVEN = re.compile(rf"\bhpm ((?:{'|'.join(map(re.escape, COMMANDS))})\b[^;,`\n]*)")


def back_up(site: Site) -> None:
    """Remember the files by which a repository works, and the commit of its branch, which may be deleted."""
    place, site.backed_up = site.directory / "backup", git_directory(site)
    for name in FILES:
        found = site.backed_up / name
        if found.is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(found, place / name)
    references = gitfiles.references(str(site.backed_up))
    branch = references.get("HEAD", "").removeprefix("ref: ")
    if branch in references:
        words = ("update-ref", branch, references[branch])
        for told in ("has no commit", "which is not there any more"):
            site.ways_out.append((told, lambda: site.plain_git(*words)))


def repair(site: Site) -> list[str]:
    """Do it; what was done."""
    ledger = site.person("repair")
    done = [*undo(site), *put_back(site), *mend_host(site)]
    ledger.end("repair")
    # In no ledger: what is lost by a command of hpm is not the loss of the person who gave it.
    return [*done, *site.take_ways_out(), *follow_hints(site)]


def put_back(site: Site) -> Iterator[str]:
    """Put the files by which a repository works back where they differ, the lesser ones where something else stands."""
    place = site.directory / "backup"
    for name in FILES:
        kept, now = place / name, site.backed_up / name
        odd = now.is_symlink() or not now.is_file()
        differs = name in ("config", "HEAD") and (odd or now.read_bytes() != kept.read_bytes())
        if kept.is_file() and (differs or (odd and os.path.lexists(now))):
            if now.is_dir() and not now.is_symlink():
                shutil.rmtree(now)
            elif now.exists() or now.is_symlink():
                now.unlink()
            shutil.copy2(kept, now)
            yield name


def mend_host(site: Site) -> Iterator[str]:
    """Mend what is wrong with the host, each thing once."""
    while site.repairs:
        name, mend = site.repairs.popitem()
        mend()
        yield name


def follow_hints(site: Site) -> Iterator[str]:
    """Give the commands that the hints of `health` name."""
    for words in hinted(site):
        done = site.command(*words)
        yield f"hpm {' '.join(words)}: {done.code}"


def hinted(site: Site) -> list[list[str]]:
    """The commands that `health` names, each once, in its order."""
    facts: Any = site.facts("health")
    checks = facts.get("checks", []) if isinstance(facts, dict) else []
    found: list[list[str]] = []
    for check in checks:
        if check.get("ok") is not True:
            for text in GIVEN.findall(str(check.get("hint") or "")):
                words = command_of(text)
                if words and words not in found and PLACEHOLDER not in words:
                    found.append(words)
    return found


def command_of(text: str) -> list[str]:
    """The words of a command with which a hint goes on in prose: ``unlock --agent-id dev_001 gives it back``."""
    try:
        words = shlex.split(text)
    except ValueError:
        return []
    command, *rest = words
    taken = [command]
    for word in rest:
        expects = taken[-1].startswith("--") and taken[-1] not in ("--adopt", "--force", "--yes", "--salvage")
        if not (word.startswith("-") or expects or (command == "retry" and word.isdecimal())):
            break
        taken.append(word)
    return taken
