"""Names and ids, validated once at the edge, before they become a path, an argument or a URL.

Every function returns the valid value or raises UsageError saying what is wrong and what is allowed.
Nothing is repaired: a repaired name could be somebody else's. Imports nothing but errors: the quickest
commands load it.
"""

from __future__ import annotations

from hpm_tools.errors import UsageError

ROLES = ("backend_dev", "frontend_dev", "fullstack_dev", "qa", "architect", "pm")
"""What an agent may be; ``fullstack_dev`` is ours, the board registers it as backend_dev."""

LEVELS = ("junior", "senior", "principal")
PARKED = "pending"
"""The status of a task that is offered to nobody: not yet, or not any more."""
UNDER_WORK = "under_work"
STATUSES = (
    PARKED,
    "created",
    UNDER_WORK,
    "dev_done",
    "qa_done",
    "documentation_done",
    "committed",
    "evaluation",
    "approved",
)

NOTICES = (
    "parked",
    "prompt",
    "auth_failure",
    "limit_reached",
    "limit_over",
    "budget_reached",
    "runner_stopped",
    "health_failed",
    "pickup_paused",
)
"""What people may be told of, wherever they are (notify.on)."""

MAX_TASK_ID = 2**63 - 1
"""The board's ids are SQLite integers."""

MAX_BRANCH_BYTES = 200
LONGEST_WAIT = 86_400
"""Seconds: beyond some centuries the operating system's clocks overflow."""

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_DIGITS = "0123456789"
_ALPHANUMERIC = frozenset(_LETTERS + _LETTERS.upper() + _DIGITS)
_AGENT_ID = _ALPHANUMERIC | frozenset("._-")
_HOOK_NAME = frozenset(_LETTERS + _DIGITS + "_-")
_NOT_IN_REFS = frozenset(" ~^:?*[\\")
_REF_KINDS = ("refs/", "heads/", "tags/", "remotes/")
"""What git puts before a short name to find it (gitrevisions(7)): a branch of that name would hide another."""
_PSEUDO_REFS = (
    "AUTO_MERGE",
    "BISECT_HEAD",
    "CHERRY_PICK_HEAD",
    "FETCH_HEAD",
    "MERGE_HEAD",
    "ORIG_HEAD",
    "REBASE_HEAD",
    "REVERT_HEAD",
    "BISECT_EXPECTED_REV",
    "MERGE_AUTOSTASH",
    "NOTES_MERGE_PARTIAL",
    "NOTES_MERGE_REF",
)
"""Git's own (gitglossary(7), "pseudoref"); in capitals any other that ends in HEAD counts like them."""
_AGENT_ID_FORM = "1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit, e.g. dev_001"
_BRANCH_FORM = "a name that git accepts as a branch, e.g. feature/login"


def shown(value: object, limit: int = 40) -> str:
    """``value`` as an error message may show it: quoted, pure ASCII, cut."""
    try:
        text = ascii(value)
    except ValueError:  # Python prints no number of more than 4300 digits
        text = "a huge number"
    return text if len(text) <= limit else text[:limit] + "…"


def agent_id(text: str) -> str:
    """An agent's id: ``[A-Za-z0-9][A-Za-z0-9._-]{0,63}`` without ``..`` and not ending in a dot."""
    if not isinstance(text, str) or not text:
        fault = "is empty" if text == "" else "is no text"
    elif len(text) > 64:
        fault = f"has {len(text)} characters"
    elif text[0] not in _ALPHANUMERIC:
        fault = "does not begin with a letter or digit"
    elif not _AGENT_ID.issuperset(text):
        fault = "has a character that is not allowed"
    elif ".." in text or text[-1] == ".":
        fault = "has '..' or a final '.'"
    else:
        return str.__str__(text)
    raise UsageError(f"agent id {shown(text)} {fault}", f"an agent id is {_AGENT_ID_FORM}")


def task_id(text: str | int) -> int:
    """A task's id on the board: a positive decimal integer of at most 63 bits."""
    if isinstance(text, str) and 0 < len(text) <= 19 and frozenset(_DIGITS).issuperset(text):
        number = int(text)
    elif isinstance(text, int) and not isinstance(text, bool):
        number = int(text)  # an IntEnum, too: a record knows its numbers by their type
    else:
        number = 0
    if 0 < number <= MAX_TASK_ID:
        return number
    raise UsageError(
        f"task id {shown(text)} is not a positive whole number", "e.g. 12; hpm pm.tasks lists them"
    )


def wait(seconds: str | int) -> int:
    """How long to wait for something: 0 to LONGEST_WAIT seconds."""
    if isinstance(seconds, int) and 0 <= seconds <= LONGEST_WAIT:
        return seconds
    raise UsageError(f"a wait of {shown(seconds)} seconds is not possible", f"0 to {LONGEST_WAIT} are")


def task_count(number: str | int) -> int:
    """How many tasks to do: at least one."""
    if isinstance(number, int) and not isinstance(number, bool) and number >= 1:
        return int(number)
    raise UsageError(
        f"--max-tasks must be 1 or more, not {shown(number)}", "leave it out to go on until stopped"
    )


def branch(text: str) -> str:
    """A branch name, as ``git check-ref-format --branch`` accepts it, and stricter.

    Refused beyond git's rules: invisible and unassigned characters, more than 200 bytes, and what git reads
    as something else: ``FETCH_HEAD`` and its like, ``refs/…`` and ``tags/…``, 40 or 64 hexadecimal digits.
    """
    fault = _branch_fault(text)
    if fault:
        raise UsageError(f"branch {shown(text)} {fault}", f"use {_BRANCH_FORM}")
    return text


def is_branch(text: object) -> bool:
    """Whether ``branch`` accepts it: for names that the board offers, where there is another way."""
    return isinstance(text, str) and not _branch_fault(text)


def _branch_fault(text: str) -> str:
    if not isinstance(text, str) or not text:
        return "is empty"
    if not text.isprintable() or not _NOT_IN_REFS.isdisjoint(text):
        return "has a space, a control or invisible character, or one of ~ ^ : ? * [ \\"
    if len(text.encode()) > MAX_BRANCH_BYTES:
        return f"is longer than {MAX_BRANCH_BYTES} bytes"
    if text[0] == "-":
        return "begins with '-'"
    # Where the file system ignores case `head` is HEAD, too.
    if text.upper() in ("HEAD", "@"):
        return "means the current commit"
    if text.upper() in _PSEUDO_REFS or (text.isupper() and text.endswith("_HEAD")):
        return "is a name that git itself writes to"
    if text.lower().startswith(_REF_KINDS):
        return f"begins with {text.partition('/')[0]}/, which git reads as another kind of name"
    if ".." in text or "@{" in text or text[-1] == ".":
        return "has '..' or '@{' or ends in '.'"
    for part in text.split("/"):
        if not part or part[0] == "." or part.endswith(".lock"):
            return "has a part between slashes that is empty, begins with '.' or ends in '.lock'"
    if len(text) in (40, 64) and frozenset(_DIGITS + "abcdefABCDEF").issuperset(text):
        return "looks like a commit id"
    return ""


def hook_name(text: str) -> str:
    """A hook's name without suffix: ``[a-z0-9_-]{1,64}``."""
    if isinstance(text, str) and 0 < len(text) <= 64 and _HOOK_NAME.issuperset(text):
        return text
    raise UsageError(
        f"hook name {shown(text)} is not allowed",
        "a hook name is 1 to 64 lower-case letters, digits, '_' or '-', e.g. pre_task",
    )


def role(text: str) -> str:
    """One of ROLES."""
    return _one_of("role", text, ROLES)


def level(text: str) -> str:
    """One of LEVELS: an agent's skill level, or a task's difficulty."""
    return _one_of("level", text, LEVELS)


def status(text: str) -> str:
    """One of STATUSES: a task's status on the board."""
    return _one_of("status", text, STATUSES)


def _one_of(what: str, text: str, valid: tuple[str, ...]) -> str:
    if text in valid:
        return str.__str__(text)  # of an Enum its value: str() of that would be its name
    raise UsageError(f"unknown {what} {shown(text)}", f"valid are: {', '.join(valid)}")
