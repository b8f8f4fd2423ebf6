"""The environment a child gets: an allowlist, so that the board's key and other credentials never reach it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PERSON = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "LANG", "LANGUAGE"}
_PROXIES = {f"{scheme}_PROXY" for scheme in ("HTTP", "HTTPS", "ALL", "NO")}
_AUTHORITIES = {
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
}
_GIT_IDENTITY = {
    "GIT_AUTHOR_NAME",
    "GIT_AUTHOR_EMAIL",
    "GIT_COMMITTER_NAME",
    "GIT_COMMITTER_EMAIL",
    "EMAIL",
}
# Else an agent's git would lack the filters of the operator's, and stage other content.
_GIT_FILES = {"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_ATTR_NOSYSTEM"}
_MANAGERS = {
    "ASDF_DATA_DIR",
    "ASDF_DIR",
    "BUN_INSTALL",
    "FNM_DIR",
    "MISE_DATA_DIR",
    "NODENV_ROOT",
    "NVM_DIR",
    "N_PREFIX",
    "PNPM_HOME",
    "VOLTA_HOME",
}
"""Where version managers keep programs: their shims on PATH find nothing without."""
_NAMES = (
    _MANAGERS
    | _PERSON
    | _PROXIES
    | {name.lower() for name in _PROXIES}
    | _AUTHORITIES
    | _GIT_IDENTITY
    | _GIT_FILES
)
_PREFIXES = ("LC_", "XDG_", "ANTHROPIC_", "CLAUDE_")
_BOARD_KEYS = frozenset({"HEADLESS_PM_API_KEY", "API_KEY_HEADLESS_PM", "INVOKE_HPM_API_KEY", "API_KEY"})
_CLOUD_SWITCHES = {
    "CLAUDE_CODE_USE_BEDROCK": ("AWS_",),
    "CLAUDE_CODE_USE_VERTEX": ("GOOGLE_", "CLOUD_ML_", "VERTEX_", "GCLOUD_", "CLOUDSDK_"),
}
_OFF = frozenset({"", "0", "false", "no", "off"})


def base_environment(environ: Mapping[str, str], extra_names: Iterable[str] = ()) -> dict[str, str]:
    """The part of ``environ`` that an agent or hook may see, with ``TERM=dumb``.

    ``extra_names`` are variables the operator adds by name. The board's key is left out even then.
    Cloud credentials pass only when Bedrock or Vertex is switched on. ``CLAUDECODE`` is left out: it
    would make the CLI believe that it runs inside another one.
    """
    extra = frozenset(extra_names)
    prefixes = _PREFIXES + tuple(
        prefix
        for switch, cloud in _CLOUD_SWITCHES.items()
        if environ.get(switch, "").strip().lower() not in _OFF
        for prefix in cloud
    )
    allowed = {
        name: value
        for name, value in environ.items()
        if name in _NAMES or name in extra or name.startswith(prefixes)
    }
    for name in _BOARD_KEYS:
        allowed.pop(name, None)
    return allowed | {"TERM": "dumb"}


def helper_environment(environ: Mapping[str, str], extra_names: Iterable[str] = ()) -> dict[str, str]:
    """What the operator's own programs get, hooks and set-up: as an agent, without the agent's login."""
    extra = frozenset(extra_names)
    own = {
        name: value
        for name, value in environ.items()
        if name in extra or not name.startswith(("ANTHROPIC_", "CLAUDE_"))
    }
    return base_environment(own, extra)
