"""What a host can be: where the runners run, and what they are allowed there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.worlds.declared import Register

if TYPE_CHECKING:
    from random import Random

    from tests.worlds.site import Site

HOST: Register[..., None] = Register("host")


def a_umask(chance: Random) -> dict[str, Any]:
    return {"mask": chance.choice(("000", "002", "077"))}


@HOST.declare(draw=a_umask)
def umask(site: Site, mask: str) -> None:
    """Runners start with another umask."""
    site.wrapper += ["sh", "-c", f'umask {mask}; exec "$@"', "sh"]


@HOST.declare(rows=("E1",))
def pid_1(site: Site) -> None:
    """Every command is process 1 of a container without init."""
    site.wrapper += ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
