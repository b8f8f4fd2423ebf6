"""Whether the libraries of the page are there. Imports none of them."""

from __future__ import annotations

from hpm_tools.errors import Misconfigured
from hpm_tools.extras import install_command

LIBRARIES = ("starlette", "uvicorn", "jinja2", "prometheus_client")


def require_extra(*libraries: str) -> None:
    """Raise Misconfigured, with the way out, if any of the page's libraries (or of those named) is missing."""
    from importlib.util import find_spec

    missing = [name for name in libraries or LIBRARIES if find_spec(name) is None]
    if missing:
        raise Misconfigured(
            f"the dashboard needs the extra 'dashboard', of which {', '.join(missing)} is missing",
            install_command("hpm-tools[dashboard]"),
        )
