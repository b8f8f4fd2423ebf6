"""`-f FILE` behind the command, where Invoke takes it and `hpm` does not."""

from __future__ import annotations

import pytest

from tests.support.frontends import hpm


@pytest.mark.parametrize("words", [("-f", "x.yaml"), ("--config=x.yaml",)])
def test_hpm_says_where_the_option_stands(words: tuple[str, ...]) -> None:
    flag = words[0].partition("=")[0]
    done = hpm("locks", *words)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"error: {flag} stands before the command",
        f"  hpm {flag} FILE locks …",
    ]
