"""Texts of others are one line, bounded and printable, without the secrets that were sent to them."""

from __future__ import annotations

import html
import json
import sys
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from lastword.dsn import Destination, Dsn, secrets_of_proxy
from lastword.foreign_text import MOST_OF_LINE, one_line, printable, without_secrets
from tests.support.hostile import ALL, HOSTILE, harm_in
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.COMMANDS, "Answers of trackers and proxies are kept as one short printable line without secrets"
)


@pytest.mark.parametrize("kind", HOSTILE)
def test_one_line_text_is_printable(kind: str) -> None:
    """No control characters are left, and the text around them stays readable."""
    line = one_line(f"before{HOSTILE[kind]}after")
    assert harm_in(line, lines=False) == []
    assert line.startswith("before")
    assert line.endswith("after")


def test_no_character_of_unicode_gets_through_that_is_not_printed() -> None:
    """The basic plane, tags, selectors and some others, in every way to show a text."""
    points = [*range(0x10000), *range(0x10000, 0xE0000, 97), *range(0xE0000, 0xE0200), sys.maxunicode]
    everything = list(map(chr, points))
    for start in range(0, len(everything), 4096):
        block = "x".join(everything[start : start + 4096])
        assert harm_in(one_line(block, 1 << 20), lines=False) == []
        assert harm_in(printable(block)) == []
        assert harm_in(printable(block, lines=False).replace("\t", ""), lines=False) == []


def test_plain_text_is_unchanged() -> None:
    """Words of any language, and what a multi-line text is made of."""
    for text in ("HTTP 401: no", "größer ≥ 5 €", "日本語 🙂 ❤\ufe0f", "עברית"):
        assert one_line(text) == printable(text) == text
    assert printable("Traceback:\n\tx\r\n  y\n") == "Traceback:\n\tx\n  y\n"
    assert printable("\x1b[31m\r\x00\x9b\ud800\u202e") == "\\x1b[31m\\r\\x00\\x9b\\ud800\\u202e"
    assert printable("a\nb\tc", lines=False) == "a\\nb\tc"


@pytest.mark.parametrize(
    "text", ["x" * 65_536, ALL * 500, "\x1b" * 1_000_000, "//" * 50_000, "a?=&#@" * 20_000, "a" * 100_000]
)
def test_a_line_is_bounded_whatever_comes(text: str) -> None:
    """And made in a moment: no pattern takes longer than in proportion to its text."""
    assert len(one_line(text)) <= MOST_OF_LINE
    assert len(one_line(text, 10)) <= 10
    assert len(one_line(text, 10, ("some-secret", "t"))) <= 10


TOKENS = [
    "0123456789abcdef" * 4,
    "s3cret",
    "a b&c",
    "q\"<'>&",
    "Zürich€",
    "pct%40me",
    "w/slash+plus==",
    "..*+?[(",
    "one",
]
FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in a URL": lambda token: quote(token, safe=""),
    "in a URL twice": lambda token: quote(quote(token, safe="")),
    "in a form": quote_plus,
    "in lower-case escapes": lambda token: quote(token, safe="").lower(),
    "in JSON": lambda token: json.dumps(token)[1:-1],
    "in HTML": html.escape,
    "in capitals": lambda token: token.upper() if token.isascii() else token,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("token", TOKENS)
def test_a_token_is_not_repeated(token: str, form: str) -> None:
    """In whatever form an answer repeats it, and wherever it would be cut."""
    told = FORMS[form](token)
    for text in (f"no project has {told}, sorry", f"({told})", "x" * 180 + f" {told} " + "y" * 100, told):
        line = one_line(text, 200, (token,))
        assert told.lower() not in line.lower()
        assert token.lower() not in line.lower()
        assert "[filtered]" in line
        assert told[:8].lower() not in line.lower() or len(told) < 8


def test_a_short_token_hides_no_part_of_other_words() -> None:
    """One of few characters counts as a word of its own; an empty one nowhere."""
    assert one_line("that is not right, t", secrets=("t", "")) == "that is not right, [filtered]"
    assert one_line("a copyright", secrets=("right",)) == "a copyright"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("https://u:p@h/x?token=a&b=c#d=e", "https://[filtered]@h/x?token=[filtered]&b=[filtered]#d=[filtered]"),
        ("http://TOKEN@h:1/o/p", "http://[filtered]@h:1/o/p"),
        ("go to /post?token=a&format=json now", "go to /post?token=[filtered]&format=[filtered] now"),
        ("//u:p@h/", "//[filtered]@h/"),
        ("https://h/p?SECRET", "https://h/p?[filtered]"),
        ("https://h/#access_token=x", "https://h/#access_token=[filtered]"),
        ('{"url": "https:\\/\\/u:p@h\\/?a=b"}', '{"url": "https:\\/\\/[filtered]@h\\/?a=[filtered]"}'),
        ('<a href="http://h/?a=b&amp;c=d">', '<a href="http://h/?a=[filtered]&amp;c=[filtered]">'),
        ("https://u:p@q@h/ and ftp://v@w", "https://[filtered]@h/ and ftp://[filtered]@w"),
        ("is it? yes; a=b, me@example.org, 1/2, C#", "is it? yes; a=b, me@example.org, 1/2, C#"),
    ],
)
def test_userinfo_and_query_values_of_any_url_are_not_repeated(text: str, told: str) -> None:
    """The place that the URL names stays."""
    assert one_line(text) == without_secrets(text) == told


@pytest.mark.parametrize(
    "dsn",
    [
        "booboo+https://the-token@h/o/p",
        "backtrace+https://h:6098?token=the-token",
        "backtrace+https://submit.backtrace.io/universe/the-token/json",
    ],
)
def test_a_destination_knows_its_secrets(dsn: str) -> None:
    """Its token, wherever the URL has it, and the password of its proxy, also as it is sent."""
    destination = Destination(Dsn.parse(dsn), 5.0, proxy="http://user:pass%40word@proxy:1")
    assert set(destination.secrets) == {"the-token", "pass%40word", "pass@word", "dXNlcjpwYXNzQHdvcmQ="}


def test_the_secrets_of_a_proxy() -> None:
    """A user without a password may be one; what is no URL is one as a whole."""
    assert "key" in secrets_of_proxy("key@proxy:3128")
    assert secrets_of_proxy("http://proxy:3128") == secrets_of_proxy("") == ()
    assert secrets_of_proxy("http://[u:p@proxy") == ("http://[u:p@proxy",)
