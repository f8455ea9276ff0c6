"""Names that say that their value is a secret."""

from __future__ import annotations

import pytest

from lastword.scrub import names
from lastword.scrub.names import SensitiveNames, is_sensitive


@pytest.mark.parametrize(
    "name",
    [
        *("password", "DB_PASSWORD", "passwd", "client_secret", "csrfToken", "api_key", "APIKEY", "AWS_ACCESS_KEY_ID"),
        *("Authorization", "author", "tokenizer", "credentials", "private_key", "x" * 500 + "secret"),
        *("pwd", "X-Api-Key", "api.key", "access key", "Set-Cookie", "HTTP_COOKIE", "session_id", "SENTRY_DSN"),
        *("X-Forwarded-For", "HTTP_X_REAL_IP"),
    ],
)
def test_a_name_that_contains_a_word_of_the_list_is_sensitive(name: str) -> None:
    """Any letter case, anywhere in the name, whatever stands between two words."""
    assert is_sensitive(name)
    assert is_sensitive(name)  # the remembered answer is the same


@pytest.mark.parametrize("name", ["", "user", "pass_word", "key", "api", "ip", "card", "email"])
def test_other_names_are_not_sensitive(name: str) -> None:
    """The list is the documented one, no more and no less."""
    assert not is_sensitive(name)
    assert not is_sensitive(name)


def test_a_program_adds_words_and_keeps_names() -> None:
    """Added words count anywhere in a name; kept names are whole names."""
    mine = SensitiveNames(more=["iban", "tax-id"], kept=["author", "Session-Kind"])
    for name in ("iban", "customerIBAN", "tax_id", "TAXID", "password", "co_author", "session"):
        assert mine.is_sensitive(name), name
    for name in ("author", "AUTHOR", "session_kind", "tax"):
        assert not mine.is_sensitive(name), name


def test_cache_of_names_is_bounded() -> None:
    """A program that makes up names cannot make lastword grow."""
    mine = SensitiveNames()
    for number in range(3 * names._MAX_NAMES_KNOWN):
        mine.is_sensitive(f"name_{number}")
    mine.is_sensitive("y" * 1_000_000)
    assert len(mine._known) <= names._MAX_NAMES_KNOWN
    assert max(map(len, mine._known)) < 1_000
