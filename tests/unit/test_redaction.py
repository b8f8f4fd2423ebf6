"""Secrets do not get through, however they are disguised and wherever the stream is cut."""

from __future__ import annotations

import base64
import html
import json
import tracemalloc
from itertools import pairwise
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hpm_tools.redaction import MARK, Redactor, redact, secret_values, url_secrets

SECRET = "p4ss/w+rd \"&'é\\x"


@pytest.mark.fault("secrets-in-outputs")
@pytest.mark.parametrize(
    "disguise",
    [
        SECRET,
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        json.dumps({"result": json.dumps({"printed": SECRET})}),
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        quote(SECRET, safe="").lower(),
        repr(SECRET),
        html.escape(SECRET),
    ],
)
def test_a_secret_is_found_in_every_usual_disguise(disguise: str) -> None:
    cleaned = redact(f"before {disguise} after", [SECRET])
    assert MARK in cleaned
    assert "w+rd" not in cleaned
    assert "w%2brd" not in cleaned.lower()
    assert cleaned.startswith("before ")
    assert cleaned.endswith(" after")


@given(st.binary(max_size=9), st.text(min_size=6, max_size=30), st.binary(max_size=9))
@example(b"", "abcdef", b"")
@example(b"x", "abcdef", b"yz")
def test_a_secret_inside_base64_of_something_larger_is_found(
    before: bytes, secret: str, after: bytes
) -> None:
    raw = secret.encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode(before + raw + after)
        redactor = Redactor([secret])
        cleaned = redactor.feed(encoded) + redactor.flush()
        assert MARK.encode() in cleaned
        known = encoded[4 * (-(-len(before) // 3)) : 4 * ((len(before) + len(raw)) // 3)]
        assert not known or known not in cleaned


@pytest.mark.parametrize(
    "token",
    [
        "sk-ant-api03-abcDEF_123-xyz",
        "ghp_abcdefghij0123456789",
        "gho_abcdefghij0123456789",
        "github_pat_11AAAAAAA0abcdefghij",
        "glpat-abcdefghij0123456789",
        "AKIAIOSFODNN7EXAMPLE",
        "xoxb-123456789012-abcdefghij",
    ],
)
def test_well_known_tokens_need_not_be_told(token: str) -> None:
    assert redact(f"a={token};", []) == f"a={MARK};"


@pytest.mark.parametrize(
    "text", ["risk-antics are fine", "ghp_", "task-ant-hill", "AKIA", "xox", "plain text", ""]
)
def test_ordinary_text_stays(text: str) -> None:
    assert redact(text, ["secret-value"]) == text


def test_short_values_are_no_secrets() -> None:
    assert redact("true and 12345", ["true", "12345", ""]) == "true and 12345"


def test_overlapping_secrets_leave_nothing_of_either() -> None:
    assert redact("-abcdefghijkl-", ["abcdefgh", "efghijkl"]) == f"-{MARK}-"


def test_each_long_line_of_a_private_key_is_a_secret() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nAQEFAASCBKcwggSjAgEAAoIB\n-----END KEY-----"
    assert "MIIEvQ" not in redact("printed alone: MIIEvQIBADANBgkqhkiG9w0B.", [key])


secrets = st.lists(st.text(alphabet="ab+/é", min_size=6, max_size=12), max_size=3)
streams = st.lists(
    st.one_of(
        st.sampled_from(
            [b"ababab", b"aaaaaa", b"sk-ant-", b"sk-ant-0123456789", b"AKIA" + b"Z" * 16, b"xoxb-", b"b-_a"]
        ),
        st.binary(max_size=12),
        st.text(alphabet="ab+/é", max_size=12).map(str.encode),
    ),
    max_size=20,
).map(b"".join)


@pytest.mark.fault("secrets-in-outputs")
@given(secrets, streams, st.lists(st.integers(0, 300), max_size=20))
@example(["aaaaaa"], b"a" * 100, list(range(0, 100, 7)))
@example([], b"sk-ant-" + b"x" * 100, list(range(100)))
def test_cutting_a_stream_anywhere_changes_nothing(told: list[str], stream: bytes, cuts: list[int]) -> None:
    at_once = Redactor(told)
    whole = at_once.feed(stream) + at_once.flush()
    piecewise = Redactor(told)
    edges = [0, *sorted(cuts), len(stream)]
    pieces = [piecewise.feed(stream[begin:end]) for begin, end in pairwise(edges)]
    assert b"".join([*pieces, piecewise.flush()]) == whole
    for secret in told:
        assert secret.encode() not in whole.replace(MARK.encode(), b"\0")


@given(st.text(), st.lists(st.text(max_size=20), max_size=3))
@example("\ud800", ["\ud800\udcff secret"])
@example("€€€€", ["\udc82\udcac\udce2\udc82\udcac\udce2"])
def test_any_text_and_any_secret_can_be_given(text: str, told: list[str]) -> None:
    cleaned = redact(text, told)
    assert all(secret not in cleaned.replace(MARK, "\0") for secret in told if len(secret) >= 6)


def test_a_redactor_can_be_used_again_after_its_stream_has_ended() -> None:
    redactor = Redactor(["secret-one"])
    first = redactor.feed(b"x secret-o") + redactor.flush()
    assert first == b"x secret-o"
    assert redactor.feed(b"ne secret-one") + redactor.flush() == b"ne " + MARK.encode()


def test_an_endless_token_does_not_fill_the_memory() -> None:
    redactor = Redactor([])
    redactor.feed(b"sk-ant-" + b"a" * 1000)
    tracemalloc.start()
    for _ in range(1000):
        assert redactor.feed(b"a" * 10_000) in (b"", MARK.encode())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
    assert redactor.feed(b" end") + redactor.flush() == b" end"


def test_secrets_are_known_by_the_names_of_their_variables() -> None:
    environ = {
        "ANTHROPIC_API_KEY": "key-value-1",
        "API_KEY_HEADLESS_PM": "key-value-2",
        "GITHUB_TOKEN": "token-value",
        "DB_PASSWORD": "pass-value",
        "MY_SECRET_THING": "secret-value",
        "AZURE_CONNECTION_STRING": "connection-value",
        "HTTPS_PROXY": "http://user:proxy%2Dpass@host:3128",
        "SHORT_TOKEN": "true",
        "HPM_RUN_ID": "not-a-secret",
        "MAX_OUTPUT_TOKENS": "not-a-secret",
        "KEYBOARD": "not-a-secret",
        "PATH": "/usr/bin:/bin",
        "BROKEN": "http://[@",
    }
    assert secret_values(environ) == {
        "key-value-1",
        "key-value-2",
        "token-value",
        "pass-value",
        "secret-value",
        "connection-value",
        "proxy%2Dpass",
        "proxy-pass",
    }


@pytest.mark.parametrize(
    ("url", "secret", "harmless"),
    [
        ("slack://tokA12345678/tokB12345678/tokC12345678/#builds-2024", ["tokA12345678", "tokC12345678"], []),
        (
            "mailto://me:hunter%2022@gmail.com?to=you@example.com",
            ["hunter%2022", "hunter 22"],
            ["gmail.com", "you"],
        ),
        ("json://build-host.example:8080/hook/abc?x=1", [], ["build-host.example", "8080", "hook", "abc"]),
        ("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js", ["JHMHI8qBe7bk2ZwO5U711o3dV_js"], ["discord"]),
        ("", [], []),
    ],
)
def test_a_services_url_is_a_secret_with_its_password_and_tokens(
    url: str, secret: list[str], harmless: list[str]
) -> None:
    found = url_secrets(url)
    assert {url, *secret} <= found
    assert not found & set(harmless)
