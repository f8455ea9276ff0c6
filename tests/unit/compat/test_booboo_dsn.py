"""What a booboo DSN may be."""

from __future__ import annotations

import pytest

from lastword.compat.booboo._dsn import DEFAULT_ENDPOINT, parse_dsn


@pytest.mark.parametrize(
    ("dsn", "token", "endpoint"),
    [
        ("https://TOKEN@h.example/org/project", "TOKEN", "https://h.example/"),
        ("http://TOKEN:ignored@H.example:8000/o/p?q=1", "TOKEN", "http://h.example:8000/"),
        ("https://T%40x@h.example/", "T@x", "https://h.example/"),
        ("https://TOKEN@[::1]:8000/o/p", "TOKEN", "https://[::1]:8000/"),
        ("TOKEN", "TOKEN", DEFAULT_ENDPOINT),
        ("https://h.example/o/p", "https://h.example/o/p", DEFAULT_ENDPOINT),
        ("HTTPS://TOKEN@h.example/", "HTTPS://TOKEN@h.example/", DEFAULT_ENDPOINT),
        ("https://TOKEN@h.example:port/", "https://TOKEN@h.example:port/", DEFAULT_ENDPOINT),
        ("", "", DEFAULT_ENDPOINT),
        (None, "", DEFAULT_ENDPOINT),
        (42, "", DEFAULT_ENDPOINT),
        ("no\nheader", "", DEFAULT_ENDPOINT),
        ("\u2713", "", DEFAULT_ENDPOINT),
    ],
)
def test_token_and_endpoint(dsn: object, token: str, endpoint: str) -> None:
    """As the original reads them, but decoded, with brackets, and none that no header can hold."""
    assert parse_dsn(dsn) == (token, endpoint)
    assert parse_dsn(dsn, "https://other.example/in") == (token, "https://other.example/in")
