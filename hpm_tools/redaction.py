"""Keeping secrets out of what is written down: known values in every usual disguise, and known token forms.

The list of forms follows actions/runner (HostContext.cs: base64 at three shifts, JSON and URI escapes)
and buildkite/agent (values of at least six characters, passwords in URLs).
"""

from __future__ import annotations

import base64
import html
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MARK = "[redacted]"
MARK_BYTES = MARK.encode()
SHORTEST = 6
"""Shorter values are left alone: replacing every ``true`` would destroy the text."""

_SECRET_WORDS = frozenset(
    (
        "TOKEN",
        "SECRET",
        "PASSWORD",
        "PASSWD",
        "PASSPHRASE",
        "KEY",
        "APIKEY",
        "CREDENTIAL",
        "CREDENTIALS",
        "PAT",
        "COOKIE",
        "AUTHORIZATION",
    )
)
_SECRET_ENDINGS = ("_CONNECTION_STRING", "_HEADERS", "_AUTH", "_PASS")

_TOKEN = re.compile(rb"(?:sk-ant-|gh[opsru]_|github_pat_|glpat-|xox[a-z]-)[A-Za-z0-9_-]{10,}")
_TOKEN_REST = re.compile(rb"[A-Za-z0-9_-]*")
_AWS_KEY = re.compile(rb"(?=((?:AKIA|ASIA)[A-Z0-9]{16}))")
_ESCAPE = re.compile(rb"%[0-9A-F]{2}")
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_WHOLE_LINE = 16
_SHORTEST_TOKEN = 8
_BREAK = rb"(?:\\r)?(?:\\n)?\r?\n?"
_LONGEST_BREAK = 6
"""What stands between two lines, in JSON too: base64(1), xxd(1) and MIME break what they encode (at 76 characters, 60)."""
_SHORTEST_LINE = 60
_SHORTEST_BROKEN = 10
_PIECE = 24
"""Bytes that are whole somewhere between two breaks of SHORTEST_LINE."""
_LONGEST_START = 24
"""No token form needs more bytes than this before it is known to be one."""


def secret_values(environ: Mapping[str, str]) -> set[str]:
    """The values that must not be written down: of variables named like secrets, and passwords in URLs.

    A variable is named like a secret if one of the words of its name is TOKEN, KEY, SECRET, PASSWORD
    or the like. The run's cookie and other plain variables are no secrets.
    """
    values = set()
    for name, value in environ.items():
        upper = name.upper()
        if not _SECRET_WORDS.isdisjoint(upper.split("_")) or upper.endswith(_SECRET_ENDINGS):
            values.add(value)
        elif "://" in value and "@" in value:
            values.update(_url_passwords(value))
    return {value for value in values if len(value) >= SHORTEST}


def _url_passwords(url: str) -> Iterator[str]:
    try:
        password = urlsplit(url.strip()).password
    except ValueError:
        return
    if password:
        yield password
        yield unquote(password)


def url_secrets(url: str) -> set[str]:
    """What of a URL that is a secret as a whole must be written down nowhere: itself, its password, its tokens.

    A token is a long part of letters and digits alike: no host, no channel and no word.
    """
    authority, *rest = re.split(r"[/?#]+", url.partition("://")[2])
    login, _, host = authority.rpartition("@")
    user, _, password = login.partition(":")
    words = [user, host, *(word for part in rest for word in re.split("[&=:]+", part))]
    parts = [word for word in words if _is_token(unquote(word))]
    return {url, *filter(None, (password, unquote(password))), *parts, *map(unquote, parts)}


def _is_token(word: str) -> bool:
    mixed = any(map(str.isdigit, word)) and any(map(str.isalpha, word))
    return len(word) >= _SHORTEST_TOKEN and "." not in word and mixed


def redact(text: str, secrets: Iterable[str]) -> str:
    """``text`` with every secret, disguised or not, and every well-known token replaced by MARK."""
    return redacted(text, Redactor(secrets))


def redacted(text: str, redactor: Redactor) -> str:
    """``text`` as ``redactor``, which must stand at the beginning of a stream, lets it through."""
    data = text.encode("utf-8", "surrogatepass")
    clean = redactor.feed(data) + redactor.flush()
    try:
        return clean.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:  # a secret that is no text has cut a character in two
        return clean.decode("utf-8", "replace")


class Redactor:
    """Redacts a stream of bytes whose secrets may be cut anywhere by the chunks it arrives in.

    ``feed(data)`` returns what can be written already, ``flush()`` the rest; together they are what
    redacting the whole at once gives. At most the longest secret's length is held back.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms = sorted(
            {form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
        )
        encoded = {form for secret in secrets if len(secret) >= SHORTEST for form in _encoded(secret)}
        self._broken = [_Broken(form) for form in sorted(encoded) if len(form) >= _SHORTEST_BROKEN]
        longest = max([_LONGEST_START, *map(len, self._forms)])
        self._hold = longest - 1 + (_room(longest) if self._broken else 0)
        self._buffer = b""
        self._covered = -1
        self._in_token = False

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; return those in which no secret can begin any more."""
        self._buffer += data
        return self._take(len(self._buffer) - self._hold, final=False)

    def flush(self) -> bytes:
        """The end of the stream: return what was held back."""
        rest = self._take(len(self._buffer), final=True)
        self._covered, self._in_token = -1, False
        return rest

    def _take(self, safe: int, *, final: bool) -> bytes:
        """Return ``buffer[:safe]`` redacted and forget it.

        ``_covered``: where in the buffer the last marked secret ends; -1 if it ended before the last byte
        returned. Secrets that overlap or touch share one mark, so that no rest of either shows.
        """
        if safe <= 0:
            return b""
        buffer, out, end = self._buffer, bytearray(), self._covered
        if self._in_token and (rest := _TOKEN_REST.match(buffer, end)):
            end = rest.end()
        self._in_token = self._in_token and end == len(buffer)
        for start, stop in self._spans(safe):
            if start > end:
                out += buffer[max(end, 0) : start] + MARK_BYTES
            end = max(end, stop)
        if end < safe:
            out += buffer[max(end, 0) : safe]
        self._buffer, self._covered = buffer[safe:], max(end - safe, -1)
        self._in_token = self._in_token and not final
        return bytes(out)

    def _spans(self, safe: int) -> list[tuple[int, int]]:
        """Where secrets lie that begin before ``safe``, in order; notes a token that may go on beyond the end."""
        buffer, spans = self._buffer, []
        for form in self._forms:
            last = safe + len(form) - 1
            start = buffer.find(form, 0, last)
            while start >= 0:
                spans.append((start, start + len(form)))
                start = buffer.find(form, start + 1, last)
        if b"\n" in buffer or b"\\n" in buffer:
            spans += [span for broken in self._broken for span in broken.spans(buffer) if span[0] < safe]
        for pattern in (_AWS_KEY, _TOKEN):
            for match in pattern.finditer(buffer):
                if match.start() >= safe:
                    break
                spans.append((match.start(), match.end(match.lastindex or 0)))
                self._in_token = self._in_token or (pattern is _TOKEN and match.end() == len(buffer))
        return sorted(spans)


class _Broken:
    """Finds an encoded secret that is written in several lines: by a piece that is whole, then by what stands beside it."""

    def __init__(self, form: bytes) -> None:
        size = min(len(form) // 2, _PIECE)
        self._form = form
        self._pieces = [(start, start + size) for start in range(0, len(form) - size + 1, size)]

    def spans(self, buffer: bytes) -> Iterator[tuple[int, int]]:
        for first, last in self._pieces:
            piece = self._form[first:last]
            at = buffer.find(piece)
            while at >= 0:
                # Compiled where a piece was found only: that takes longer than most commands have to tell.
                start = max(0, at - first - _room(first))
                before = re.search(_broken(self._form[:first]) + rb"\Z", buffer[start:at])
                after = re.compile(_broken(self._form[last:], before=True)).match(buffer, at + last - first)
                if before and after:
                    yield start + before.start(), after.end()
                at = buffer.find(piece, at + 1)


def _broken(part: bytes, *, before: bool = False) -> bytes:
    """A pattern for ``part`` with a line break after each byte, or ``before`` each."""
    bytes_of = [re.escape(part[at : at + 1]) for at in range(len(part))]
    return b"".join(_BREAK + byte if before else byte + _BREAK for byte in bytes_of)


def _room(length: int) -> int:
    """How many bytes the breaks of ``length`` encoded ones take at most."""
    return _LONGEST_BREAK * (length // _SHORTEST_LINE + 1)


def _encoded(secret: str) -> Iterator[bytes]:
    """The forms of ``secret`` that programs write in lines of a fixed length."""
    raw = secret.encode("utf-8", "surrogatepass")
    yield from _base64_forms(raw)
    yield raw.hex().encode("ascii")


def _forms(secret: str) -> Iterator[bytes]:
    """The byte strings under which a secret may be met: itself and its usual encodings."""
    for errors in ("surrogatepass", "surrogateescape"):
        try:
            raw = secret.encode("utf-8", errors)
        except UnicodeEncodeError:
            continue
        yield raw
        yield from _base64_forms(raw)
        yield from (raw.hex().encode("ascii"), raw.hex().upper().encode("ascii"))
        for quoted in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
            yield quoted.encode("ascii")
            yield _ESCAPE.sub(lambda match: match[0].lower(), quoted.encode("ascii"))
    for text in (
        json.dumps(secret)[1:-1],
        json.dumps(json.dumps(secret)[1:-1])[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        html.escape(secret),
        secret.replace("'", "'\\''"),
    ):
        yield text.encode("utf-8", "surrogatepass")
    lines = [line.strip() for line in secret.splitlines()]
    if len(lines) > 1:
        yield from (line.encode("utf-8", "surrogatepass") for line in lines if len(line) >= _WHOLE_LINE)


def _base64_forms(raw: bytes) -> Iterator[bytes]:
    """What base64 makes of ``raw`` in the middle of other data: three alignments, without the mixed edges."""
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + raw)
        padding = encoded.count(b"=")
        end = len(encoded) - padding - 1 if padding else len(encoded)
        form = encoded[(0, 2, 3)[shift] : end]
        if len(form) >= SHORTEST:
            yield form
            yield form.translate(_URL_SAFE)
