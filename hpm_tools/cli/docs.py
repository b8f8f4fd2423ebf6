"""docs/commands.md, made from the registry and checked against it, so that it cannot drift."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_type_hints

from hpm_tools import registry
from hpm_tools.cli.arguments import GLOBAL
from hpm_tools.cli.helptext import explanation, spelling, usage
from hpm_tools.commands.event_kinds import name_of
from hpm_tools.commands.events import EVENTS, KEPT_ONLY
from hpm_tools.config import Configuration

if TYPE_CHECKING:
    from hpm_tools.config.settings import Setting
    from hpm_tools.registry import Command, Option

AS_RUN = """Each line has `id`, `at`, `v`, `agent`, `role`, `board`, `run` and `host`, too. Its events are those of
[run](#run), and:

"""
COMMON_FIELDS = ("event", "time", "text")

HEAD = """\
# Commands

Made from the code by `./inv docs`; `./inv lint` fails when it is out of date.

Every command is there twice: `hpm NAME` starts quickly and is made for scripts, `invoke NAME` is a task of
[Invoke](https://www.pyinvoke.org) and can be called several times in one go. Both take the same options and
print the same output. In Python each is a [function](python.md#commands-as-functions).

- `hpm --list` names the commands, `hpm --list pm` or `hpm pm` those of a group; `hpm help NAME` explains one, as
  `hpm NAME --help` does. `python -m hpm_tools` is `hpm` where its program is not on PATH.
- Standard output carries the result and nothing else; messages for people go to standard error, in colour
  only on a terminal and never with `NO_COLOR`.
- `--json` prints exactly one JSON object (`run --json`: one per line), as the schema that each command links
  to says. Fields may be added; ignore those that you do not know. An error is the last line of standard error
  ([schemas/error.json](schemas/error.json)): `{"error": {"code": …, "message": …, "hint": …}}`, with `details`
  where there are any.
- With a closed standard output nothing is done (73): a token that nobody hears of would be lost.
- Calling a command twice is safe: it says what it found. Exceptions are `pm.add`, `pm.comment` and
  `claude.exec` without an agent.
- A value that begins with a dash is written `--option=-value`. Standard input is read where a value is `-`, and
  for what a command cannot do without: the prompt of `claude.exec` without an agent, the text of `pm.comment`. All
  other calls leave it alone, so that `while read -r id; do hpm …; done <ids` keeps its input.

## Exit codes

| code | meaning |
| --- | --- |
| 0 | done |
| 1 | the thing itself failed: a hook said no; the agent was blocked, rejected the work, did nothing or used its budget |
| 2 | the call is wrong (plain `invoke` answers an unknown task or option, and one without its value, with its own 1) |
| 3 | nothing to do: no task, no lock |
| 65 | bad data: not what it claims to be, or not there |
| 69 | the board cannot be reached |
| 70 | a fault of hpm-tools itself; the message names a crash log |
| 73 | a file, directory, worktree or branch could not be made |
| 75 | held by somebody else, limited or overloaded: try later |
| 77 | refused: authentication or permission |
| 78 | configuration |
| 124 | timed out or stalled |
| 128 + n | ended by signal n (130: Ctrl-C, 141: nobody reads the output, 143: SIGTERM) |
"""

SETTINGS_HEAD = """\
## Settings

Where a setting may stand, the strongest place first, for `hpm` and for `invoke` alike:

| place | whose |
| --- | --- |
| option of the command | |
| `HEADLESS_PM_…`, as the table below names it | |
| `INVOKE_HPM_…`, the same with another beginning: `INVOKE_HPM_CLAUDE_TIMEOUT` | |
| the file of `hpm -f FILE COMMAND` or `invoke -f FILE TASK`, or that `INVOKE_RUNTIME_CONFIG` names | yours |
| `~/.headless-pm/config.yaml` | yours |
| `~/.invoke.yaml` | yours |
| `/etc/invoke.yaml` | the machine's administrator's |
| the repository's `invoke.yaml` | the repository's |
| `invoke.yaml` beside a `tasks.py` elsewhere that `invoke` reads, for its tasks alone | as the repository's |
| `ns.configure({"hpm": …})` in the `tasks.py`, for its tasks alone | as the repository's |
| default | |

`hpm health --json` shows each effective value and where it came from. In Invoke's files the settings stand under
`hpm:`, the rest of such a file is Invoke's. Instead of `.yaml` each may end in `.yml`, `.json` or `.py`: the first of
these that exists counts, as for Invoke. A `.py` file that mentions `hpm` is executed, but never a repository's. What is
wrong in any place ends the command with 78 and a line that names the place; so does a file of yours that others can write.
A file of `-f` that does not exist is a wrong call (2), with Invoke as well, which by itself ignores that.

Lists and mappings are JSON in the environment. Relative paths are seen from the start directory, in a file from that
file's directory.

Invoke merges the same places for itself before a task begins, and ends with a traceback where it cannot: at an
`INVOKE_HPM_…` for what a file or `ns.configure` sets to a list (`UncastableEnvVar`) or a number (if it is none), and at an
empty `hpm:` in one file beside settings in another (`AmbiguousMergeError`). `hpm` takes these; for `invoke` use
`HEADLESS_PM_…`, and take the empty line out.

The key is looked for in `HEADLESS_PM_API_KEY`, `API_KEY_HEADLESS_PM`, `INVOKE_HPM_API_KEY`, `API_KEY` (only for a board
on this machine), the files above, and last under the same names in `.env` of the start directory, from which nothing
else is taken. `HEADLESS_PM_HOME` can only be set in the environment.

Settings marked *free* count in a repository's file by themselves, all others there only after `hpm trust --repo DIR`;
the same holds for `ns.configure` and the file beside a `tasks.py`, which `invoke trust` approves. Settings marked
*config.yaml* count in no other file, approved or not: there they are ignored with a warning. An option, or the variable
that the table names, sets them as well.

| setting | environment | default | meaning |
| --- | --- | --- | --- |
"""


def commands_page() -> str:
    """The whole page as Markdown."""
    commands = list(registry.all_commands())
    listed = [f"| [`{c.name}`](#{_anchor(c.name)}) | {_cell(c.summary)} |" for c in commands]
    parts = [
        HEAD,
        "## Always\n\n" + _table(GLOBAL),
        "\n".join(["## All commands\n", "| command | does |", "| --- | --- |", *listed, ""]),
        *(_section(command) for command in commands),
        SETTINGS_HEAD + "\n".join(_setting(path, field) for path, field in Configuration.schema()) + "\n",
    ]
    return "\n".join(parts)


def _section(command: Command) -> str:
    parts = [f"### {command.name}\n", command.summary + "\n"]
    if command.description:
        parts.append(command.description + "\n")
    parts.append("```text\n" + usage(command) + "\n```\n")
    if command.options:
        parts.append(_table(command.options))
    parts.append("```sh\n" + command.example + "\n```\n")
    parts.append(f"`--json`: [schemas/{command.name}.json](schemas/{command.name}.json)\n")
    if command.name == "events":
        parts.append(AS_RUN + _events(KEPT_ONLY))
    elif command.name in EVENTS:
        parts.append(_events(EVENTS[command.name]))
    return "\n".join(parts)


def _events(events: tuple[type, ...]) -> str:
    """What the lines of a command that streams mean: ``event``, the fields beside time and text, the meaning."""
    rows = []
    for kind in events:
        hints = get_type_hints(kind)
        fields = [name for name in hints if name not in COMMON_FIELDS]
        shown = ", ".join(f"`{field}`" for field in fields)
        rows.append(f"| `{name_of(kind)}` | {shown} | {_cell(kind.__doc__ or '')} |")
    return "\n".join(["| event | beside `time` and `text` | meaning |", "| --- | --- | --- |", *rows, ""])


def _table(options: list[Option] | tuple[Option, ...]) -> str:
    rows = [f"| `{_cell(spelling(option))}` | {_cell(explanation(option))} |" for option in options]
    return "\n".join(["| option | meaning |", "| --- | --- |", *rows, ""])


def _setting(path: str, field: Setting) -> str:
    from_file_alone = field.file_only or (field.secret and field.operators_own)
    variable = "" if from_file_alone else f"`HEADLESS_PM_{path.upper().replace('.', '_')}`"
    notes = [field.help]
    if field.choices:
        notes.append("one of " + ", ".join(field.choices))
    if field.free:
        notes.append("*free*")
    if field.operators_own:
        notes.append("*config.yaml*")
    return f"| `{path}` | {variable} | {_default(field)} | {_cell('; '.join(notes))} |"


def _default(field: Setting) -> str:
    default = field.default
    if default is None or default in ("", ()):
        return ""
    if isinstance(default, tuple):
        default = ", ".join(default)
    elif isinstance(default, dict):
        default = ", ".join(f"{key}: {value}" for key, value in default.items())
    elif isinstance(default, bool):
        default = str(default).lower()
    elif isinstance(default, float):
        default = f"{default:g}"
    return f"`{default}`"


def _anchor(name: str) -> str:
    """GitHub's anchor of a heading: dots go."""
    return name.replace(".", "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
