"""Files that are not stored as they lie there: attributes, filters, large files."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any

from tests.worlds.checkout import COMMITTED, CONFIGURED, REPOSITORY, add, append, git, put, set_up
from tests.worlds.ledger import blob

if TYPE_CHECKING:
    from random import Random

    from tests.worlds.site import Site

ROT = """[filter "rot"]
\tclean = tr a-zA-Z n-za-mN-ZA-M
\tsmudge = tr a-zA-Z n-za-mN-ZA-M
"""
REQUIRED = "\trequired = true\n"
PATTERNS = ("*.rot", "README.md", "*.txt", "deep/**")


def rot13(content: bytes) -> bytes:
    return codecs.encode(content.decode("latin-1"), "rot13").encode("latin-1")


def with_crlf(content: bytes) -> bytes:
    return content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def a_filter(chance: Random) -> dict[str, Any]:
    return {
        "where": chance.choice(("repository", "global", "system", "included")),
        "required": chance.random() < 0.5,
        "pattern": chance.choice(PATTERNS),
    }


@REPOSITORY.declare(draw=a_filter, rows=("D3", "E5", "B3"), weight=3.0, stage=CONFIGURED)
def filter_of_content(site: Site, where: str, required: bool, pattern: str) -> None:
    """A filter stores files as others than they are, as git-crypt does."""
    text = ROT + (REQUIRED if required else "")
    if where == "included":
        set_up(site, "global", f'[include]\n\tpath = "{site.elsewhere}/filters"\n')
        (site.elsewhere / "filters").write_text(text, encoding="utf-8")
    else:
        set_up(site, where, text)
    site.smudges.append(rot13)
    append(site, ".gitattributes", f"{pattern} filter=rot\n")
    add(site, {"secret.rot": "nobody reads this in a commit\n"})
    if where == "repository":
        site.ways_out.append(("hpm trust", lambda: site.command("trust", "--repo", str(site.repo))))


@REPOSITORY.declare(rows=("D3",), stage=COMMITTED)
def filter_of_nobody(site: Site) -> None:
    """Attributes name a filter that no configuration sets."""
    append(site, ".gitattributes", "*.nobody filter=nobody\n")
    add(site, {"a.nobody": "stored as it is\n"})


ATTRIBUTES = {
    "crlf": ("*.txt", "text eol=crlf"),
    "auto": ("*", "text=auto"),
    "lf": ("*.md", "text eol=lf"),
    "ident": ("*.py", "ident"),
    "export": ("*.txt", "export-subst"),
    "ignore on export": ("src", "export-ignore"),
    "utf-16": ("*.u16", "text working-tree-encoding=UTF-16LE"),
    "unknown encoding": ("*.enc", "text working-tree-encoding=KLINGON"),
    "binary": ("*.txt", "binary"),
    "merge": ("*.md", "merge=nobody"),
    "diff": ("*.md", "diff=nobody -diff"),
    "macro": ("*.py", "odd"),
}


def some_attributes(chance: Random) -> dict[str, Any]:
    return {
        "names": sorted(chance.sample(sorted(ATTRIBUTES), chance.choice((1, 2)))),
        "where": chance.choice((".gitattributes", "info/attributes")),
        "stored": chance.choice(("as told", "before")),
    }


@REPOSITORY.declare(draw=some_attributes, rows=("B3",), weight=3.0, stage=COMMITTED)
def attributes(site: Site, names: list[str], where: str, stored: str) -> None:
    """Attributes change how files lie there; what was stored before they came counts as modified after each checkout."""
    files: dict[str, str | bytes] = {
        "lines.txt": "one\r\ntwo\r\n",
        "notes.md": "# Notes\r\n",
        "src/id.py": "# $Id$\n# $Id: 0123456789012345678901234567890123456789 $\n",
        "a.u16": "sixteen\n".encode("utf-16-le"),
        "a.enc": "klingon\n",
        "when.txt": "$Format:%H$\n",
    }
    if stored == "before":
        add(site, files)
    lines = "[attr]odd text -ident\n" if "macro" in names and where == ".gitattributes" else ""
    lines += "".join(f"{ATTRIBUTES[name][0]} {ATTRIBUTES[name][1]}\n" for name in names)
    if where == ".gitattributes":
        append(site, where, lines)
    else:
        path = site.git_directory / where
        path.parent.mkdir(exist_ok=True)
        path.write_text(lines, encoding="utf-8")
    site.smudges += [with_crlf, lambda content: content.decode("utf-8", "replace").encode("utf-16-le")]
    if stored == "as told":
        put(site, files)
        # One by one: git stores nothing of them all if the encoding of one is unknown.
        git(site, "add", "-f", "--", *(name for name in files if name != "a.enc"))
        git(site, "add", "-f", "--", "a.enc")
        git(site, "commit", "-q", "-m", "Add files of all kinds")
    git(site, "checkout", "-q", "--", ".")  # so that it lies there as in any fresh checkout


LFS = """#!/bin/sh
# Like git-lfs: content is in a local store, by its hash; what is not there stays a pointer.
store={store}
if [ "$1" = clean ]; then
    cat > "$store/new.$$"
    oid=$(sha256sum < "$store/new.$$" | cut -c1-64)
    mv "$store/new.$$" "$store/$oid"
    printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%s\\n' "$oid"
    exit
fi
pointer=$(cat)
oid=${{pointer##*sha256:}}
[ -f "$store/$oid" ] && exec cat "$store/$oid"
printf '%s\\n' "$pointer"
"""
LFS_SETTINGS = (
    '[filter "lfs"]\n\tclean = git-lfs clean -- %f\n\tsmudge = git-lfs smudge -- %f\n\trequired = true\n'
)
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\n"


def large_files_of(chance: Random) -> dict[str, Any]:
    where = chance.choice(("global", "system", "repository", "nowhere"))
    return {"where": where, "pattern": chance.choice(("*.bin", "README.md"))}


@REPOSITORY.declare(draw=large_files_of, rows=("E5", "F9", "B3"), weight=2.0, stage=CONFIGURED)
def large_files(site: Site, where: str, pattern: str) -> None:
    """Large files are stored as pointers: one whose content is at hand, and one whose content is not."""
    store, program = site.directory / "bin" / "lfs", site.directory / "bin" / "git-lfs"
    store.mkdir(parents=True)
    program.write_text(LFS.format(store=store), encoding="utf-8")
    program.chmod(0o755)
    site.more["PATH"] = f"{program.parent}:{site.environment['PATH']}"
    site.stores.append(store)
    away = POINTER.format((blob(b"away") * 2)[:64])
    put(site, {".lfsconfig": "[lfs]\n\turl = http://127.0.0.1:1/\n", "away.bin": away})
    git(site, "add", ".lfsconfig", "away.bin")  # before the filter is there: a pointer is stored as it is
    git(site, "commit", "-q", "-m", "Add a large file of which only the pointer is here")
    if where != "nowhere":
        set_up(site, where, LFS_SETTINGS)
    append(site, ".gitattributes", f"{pattern} filter=lfs\n")
    add(site, {"here.bin": "content\n" * 50})
    if where == "repository":
        site.ways_out.append(("hpm trust", lambda: site.command("trust", "--repo", str(site.repo))))
