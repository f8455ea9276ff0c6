"""Secrets inside texts, by what they look like and by the name before them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastword.config import Config
from lastword.scrub import Rules
from tests.support.growth import grows_with_its_length

RULES = Rules(Config())
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n4f5wg5l2hKsTeNem\n-----END RSA PRIVATE KEY-----"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJl"

#: In a text → what stays of it.
SECRETS = {
    # by what they look like
    "postgres://ann:hunter2@db/shop": "postgres://[filtered]@db/shop",
    "redis://:hunter2@cache:6379/0 is gone": "redis://[filtered]@cache:6379/0 is gone",
    "https://KEY@sentry.example/1": "https://[filtered]@sentry.example/1",
    "amqp://u:p@ss#w@mq/": "amqp://[filtered]@mq/",
    "'postgres://ann:hunt…": "'postgres://[filtered]…",
    "sent Bearer abc123def456": "sent Bearer [filtered]",
    "basic YW5uOmh1bnRlcjI= was refused": "basic [filtered] was refused",
    f"claims of {JWT}": "claims of [filtered]",
    f"key: {PEM}.": "key: [filtered].",
    "-----BEGIN PRIVATE KEY-----\nMIIE…": "[filtered]",
    "-----BEGIN PGP PRIVATE KEY BLOCK-----\nx\n-----END PGP PRIVATE KEY BLOCK-----": "[filtered]",
    "key AKIAIOSFODNN7EXAMPLE": "key [filtered]",
    "card 4111111111111111 refused": "card [filtered] refused",
    "[4111 1111 1111 1111, '5555-5555-5555-4444']": "[[filtered], '[filtered]']",
    "378282246310005, 3782 822463 10005": "[filtered], [filtered]",
    # by a name
    "GET /?token=abc&page=2": "GET /?token=[filtered]&page=2",
    "/?next=%2F%3Fapi_key%3Dabc": "/?next=%2F%3Fapi_key%3D[filtered]",
    "host=db user=ann password=hunter2 port=5": "host=db user=ann password=[filtered] port=5",
    "Server=db;Password=hunter,2;Port=5": "Server=db;Password=[filtered];Port=5",
    "Login(user='ann', password='hun,ter 2')": "Login(user='ann', password=[filtered])",
    "{'password': 'hunter2', 'a': 1}": "{'password': [filtered], 'a': 1}",
    '{"apiKey": "hun\\"ter2", "a": 1}': '{"apiKey": "[filtered]", "a": 1}',
    '\'{"password":"hunter2","a":1}\'': '\'{"password":"[filtered]","a":1}\'',
    '"{\\"password\\": \\"hunter2\\", \\"a\\": 1}"': '"{\\"password\\": \\"[filtered]\\", \\"a\\": 1}"',
    "{'auth': ('ann', 'hun)ter2'), 'a': 1}": "{'auth': [filtered], 'a': 1}",
    "{'session': {'a': {'b': 1}}}": "{'session': [filtered]",
    "{'password': 'hunt…": "{'password': [filtered]",
    "password = b'hunter2'": "password = [filtered]",
    "DB_PASSWORD: hunter2": "DB_PASSWORD: [filtered]",
    "your password: hunter2": "your password: [filtered]",
    "X-Auth-Token: abc": "X-Auth-Token: [filtered]",
    "Authorization: Digest username=ann, nonce=x\r\nHost: h": "Authorization: [filtered]\r\nHost: h",
    "Cookie: a=b; c=d\nHost: h": "Cookie: [filtered]\nHost: h",
    "b'cookie: a=b; c=d\\r\\nHost: h'": "b'cookie: [filtered]\\r\\nHost: h'",
    "(b'authorization', b'Basic x')": "(b'authorization', [filtered])",
    "token=a, secret=b": "token=[filtered], secret=[filtered]",
    "token: password=hunter2": "token: password=[filtered]",
    "form[password]=hunter2": "form[password]=[filtered]",
}

HARMLESS = [
    "",
    "invalid token: unexpected end of input",
    "authentication failed: no such user",
    "AuthenticationError: wrong password",
    "bearer authentication is required, basic authentication is not",
    "https://shop.example/a@b?c=d@e",
    "http://localhost:8080/path",
    "ratio 0.4111111111111111, clock 1700000000000000000, order 4111111111111112",
    "0x4111111111111111, 41111111111111111111, 550e8400-e29b-41d4-a716-446655440000",
    "one of 'token', 'session', 'name'",
    "the secret is out",
    "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
    "eyJ is how they begin",
]


@pytest.mark.parametrize("text", SECRETS)
def test_secrets_are_taken_out_of_a_text(text: str) -> None:
    """The text around them stays; scrubbing again changes nothing."""
    scrubbed = RULES.scrub_text(text)
    assert scrubbed == SECRETS[text]
    assert RULES.scrub_text(scrubbed) == scrubbed


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_stays(text: str) -> None:
    """Sentences, addresses, clocks and counters can be read."""
    assert RULES.scrub_text(text) == text


#: What a rule has to look at again and again, if it can be made to.
TIRESOME = [
    *("token", "token:", "token=", "password='", "password=[", 'password=["a\\', "password=a,", "('token',"),
    *('\\"token\\":', "auth,auth=", "Cookie: ", "://", "://a:", "://a:b@", "-----BEGIN PRIVATE KEY-----", "eyJ"),
    *("eyJaaaaaaaaa.", "bearer ", "Bearer a", "basic ", "1", "4", "4 ", "4-", "4111-1111-1111-1111 ", "token \\\\\\"),
]


@pytest.mark.parametrize("piece", TIRESOME)
def test_time_grows_linearly_with_the_text(piece: str) -> None:
    """Ten times the text takes some ten times as long, not a hundred times."""
    told = "://bearer basic eyJ AKIA private key 0000000000000 token "  # so that every rule looks

    assert grows_with_its_length(lambda length: RULES.scrub_text(told + (piece * length)[:length]), 5_000)


@given(st.text() | st.text(alphabet="token=:'\"\\[](){} ,;&eyJ.4-@/…\n"))
def test_any_text_can_be_scrubbed(text: str) -> None:
    """Lone surrogates included; and what was filtered once stays as it is."""
    scrubbed = RULES.scrub_text(text)
    RULES.scrub_source(text.split("\n"))
    assert scrubbed == text or "[filtered]" in scrubbed


@pytest.mark.parametrize("text", ["pwd=a " * 1000, "pwd=a " * 30, "{'password': […"])
def test_a_text_hardly_grows(text: str) -> None:
    """Events are bounded when they are scrubbed, so it may not get longer, but for short texts."""
    scrubbed = RULES.scrub_text(text)
    assert scrubbed.count("[filtered]") >= len(text) // 50
    assert len(scrubbed) <= max(len(text), 200)
    assert RULES.scrub_text(scrubbed) == scrubbed


def test_rules_follow_the_options() -> None:
    """Words and names of the program hold for texts too; ``names`` leaves texts alone, ``off`` everything."""
    mine = Rules(Config(scrub_names=("iban",), keep_names=("author",)))
    assert mine.scrub_text("iban=DE02 author=Ann password=x") == "iban=[filtered] author=Ann password=[filtered]"
    assert mine.scrub_source(["iban = 'DE02'"]) == ["iban = [filtered]"]
    by_name = Rules(Config(scrub="names"))
    assert by_name.is_sensitive("password")
    assert by_name.scrub_text("password=x") == "password=x"
    assert by_name.scrub_source(["password = 'x'"]) == ["password = 'x'"]
    off = Rules(Config(scrub="off"))
    assert not off.is_sensitive("password")
    assert off.scrub_text("password=x") == "password=x"
