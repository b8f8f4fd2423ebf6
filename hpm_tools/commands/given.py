"""What a call hands over beside its options: JSON and files. Light: `lock --local` loads it."""

from __future__ import annotations

from hpm_tools.errors import BadData, NotFound
from hpm_tools.names import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hpm_tools.ui import TerminalUI


def input_waits() -> bool:
    """Whether a pipe or a file was handed in for somebody to read; a loop that reads from one is not meant."""
    import fcntl
    import os
    import stat
    import termios

    try:
        mode = os.fstat(0).st_mode
        if stat.S_ISREG(mode):
            return os.lseek(0, 0, os.SEEK_CUR) == 0 < os.fstat(0).st_size
        return stat.S_ISFIFO(mode) and fcntl.ioctl(0, termios.FIONREAD, bytes(4)) != bytes(4)
    except OSError:
        return False


def json_value(text: str, what: str, hint: str) -> Any:
    """The value of a JSON text; BadData saying that ``what`` is none, however it is broken."""
    import json

    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadData(f"{what} is not JSON: {error}", hint) from None


def text_of(ui: TerminalUI, source: str, what: str) -> str:
    """The text of the file ``source``, or of standard input for ``-``; NotFound or BadData if there is none."""
    if source == "-":
        return ui.read_stdin()
    from hpm_tools.ui import LARGEST_INPUT

    try:
        with open(source, "rb") as file:
            content = file.read(LARGEST_INPUT + 1)
        if len(content) > LARGEST_INPUT:
            raise BadData(
                f"{what} in {shown(source, 200)} has more than {LARGEST_INPUT >> 20} MiB", "pass less"
            )
        return content.decode("utf-8")
    except OSError as error:
        raise NotFound(
            f"cannot read {what} from {shown(source, 200)}: {error.strerror}",
            "name a file that can be read, or - for standard input",
        ) from None
    except UnicodeDecodeError:
        raise BadData(f"{what} in {shown(source, 200)} is not UTF-8 text", "save it as UTF-8") from None
