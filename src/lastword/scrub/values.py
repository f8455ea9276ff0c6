"""Secrets recognised by their form, wherever they stand: private keys, tokens with a known prefix, credentials and
signatures in URLs, bearer tokens, card numbers.

Texts may have been cut, so a secret without its end extends to the end, or to the mark of the cut. Each pattern reads
each character at most a fixed number of times, whatever the text.

A rule without a literal (``""``) uses patterns that begin with one rare character: ``re`` searches for that as fast as
for a literal, and a few of these patterns cover all prefixes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial

from lastword.scrub.commands import A_FLAG, passwords_of_commands
from lastword.scrub.texts import Finder, LatePattern, Rule, Span, folded

_PRIVATE_KEY = r"""(?P<secret> ----[- ]BEGIN[ ][A-Z0-9 ]{0,30}PRIVATE[ ]KEY(?:[ ]BLOCK)?[- ]----
    [\s\S]*? (?: ----[- ]END[ ][A-Z0-9 ]{0,30}PRIVATE[ ]KEY(?:[ ]BLOCK)?[- ]---- | \Z ) )"""

# Up to the last @ before the path, because passwords contain an @ more often than they should. If the password was cut
# off there is no @, only the mark of the cut; whether the text before it was a host is unknown.
_URL_CREDENTIALS = r"""://
    (?P<secret> [^\s/?\#@:"'<>]* : [^\s/"'<>]* (?= @ | … ) | [^\s/?\#"'<>…]+ (?= @ | … ) )"""

# A character that ends the credentials, plain or in JSON, before any character that they cannot contain.
_MAY_HAVE_CREDENTIALS = LatePattern(r"""://[^\s/"'<>@…]*(?:[@…]|\\u2026)""")

# Real tokens contain a digit, if only behind a cut; the words of a sentence ("bearer authentication") do not.
_BEARER_TOKEN = r"""(?<![A-Za-z]) (?i:bearer) \s{1,3}
    (?P<secret> (?= [A-Za-z._~+/-]*[0-9…] ) [A-Za-z0-9._~+/=-]{8,} )"""
_BASIC_CREDENTIALS = r"""(?<![A-Za-z]) (?i:basic) \s{1,3}
    (?P<secret> (?= [A-Za-z+/]*[0-9=…] ) [A-Za-z0-9+/=]{8,} )"""
_IDENTIFIED_BY = r"""(?i:identified \s{1,3} by (?: \s{1,3} password )? ) \s{1,3}
    (?P<secret> '[^']* (?: ' | \Z ) | "[^"]* (?: " | \Z ) )"""

# Where a word begins: in the repr of a text also behind ``\n``, in a URL behind ``%3A``.
_START = r"(?: (?<![A-Za-z0-9]) | (?<=\\[nrt]) | (?<=%[2-7][0-9A-Fa-f]) )"

_WORD, _WORDS = "[A-Za-z0-9]{16,}", "[A-Za-z0-9_-]{16,}"

#: The prefixes that issuers give their tokens, and the rest of each token. Names with these prefixes have another rest.
_TOKENS = {
    **dict.fromkeys(("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), _WORD),  # GitHub
    "github_pat_": "[A-Za-z0-9_]{16,}",
    "glpat-": rf"{_WORDS}(?:\.[0-9a-z.]{{2,20}})?",  # GitLab
    **dict.fromkeys(("sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"), _WORD),  # Stripe
    **dict.fromkeys(("sk-ant-", "sk-proj-", "sk-svcacct-", "sk-admin-"), _WORDS),  # Anthropic, OpenAI
    "sk-": r"(?:or-v1-)?[A-Za-z0-9]{16,}",
    **dict.fromkeys((f"xox{kind}-" for kind in "abceoprs"), r"(?:1-)?[A-Za-z0-9-]{10,}"),  # Slack
    "xapp-": r"[0-9]-[A-Za-z0-9-]{10,}",
    "AIza": _WORDS,  # Google
    "SG[.]": rf"{_WORDS}(?:\.[A-Za-z0-9_-]*)?",  # SendGrid
    "ATATT3": _WORDS,  # Atlassian
    "npm_": _WORD,
    "pypi-": "AgE[A-Za-z0-9_-]{16,}",
    "rubygems_": _WORD,
    "hf_": _WORD,  # Hugging Face
    **dict.fromkeys(("dop_v1_", "doo_v1_", "dor_v1_"), _WORD),  # DigitalOcean
    **dict.fromkeys(("shpat_", "shpca_", "shppa_", "shpss_"), _WORD),  # Shopify
    "AGE-SECRET-KEY-": _WORD,
    "AKIA": "[A-Z0-9]{16} (?![A-Za-z0-9])",  # AWS: not secret, but identifies the owner
    "ASIA": "[A-Z0-9]{16} (?![A-Za-z0-9])",
    # JSON Web Tokens, signed or encrypted
    "eyJ": r"[A-Za-z0-9_-]{8,} \.{1,2} [A-Za-z0-9_-]{4,} (?: \. [A-Za-z0-9_-]* ){0,3}",
}
_TOKEN = rf"""{_START} (?P<secret> {" | ".join(prefix + rest for prefix, rest in _TOKENS.items())} )
    | AccountKey= (?P<key> [A-Za-z0-9+/=]{{16,}} )"""

# Each text with one of these tokens, or a command with a flag that may take a password, matches one of these patterns.
# The key is the first character of its pattern.
_MAY_HAVE_TOKEN = {
    "_": LatePattern("_[A-Za-z0-9]{16}"),
    "-": LatePattern(
        "-(?:[A-Za-z0-9]{16}|(?<=glpat-)|(?<=sk-ant-)|(?<=sk-proj-)|(?<=sk-svcacct-)|(?<=sk-admin-)|(?<=xox.-)"
        rf"|(?<=xapp-)|{A_FLAG})"
    ),
    "A": LatePattern("A(?:KIA|SIA|Iza|TATT3|ccountKey=)"),
    "J": LatePattern("J(?<=eyJ)"),
    "G": LatePattern(r"G(?<=SG)\."),
}
_MAY_HAVE_PRIVATE_KEY = {"K": LatePattern("KEY(?<=PRIVATE KEY)")}

# These URLs give access to anyone who has them.
_SECRET_URL = r"""://(?: hooks\.slack\.com/(?:services|workflows|triggers)/
    | (?:\w{1,20}\.)?discord(?:app)?\.com/api/webhooks/ | [\w-]{1,60}\.webhook\.office\.com/ | api\.telegram\.org/bot )
    (?P<secret> [^\s"'<>?\#]+ )"""
_MAY_BE_SECRET_URL = {":": LatePattern(_SECRET_URL, re.VERBOSE)}

# Parameters that sign a URL, or are exchanged for a token. A code that is a word, or as short as a status, is neither.
_EQUALS = "(?: = | %(?:25){0,3}3[dD] )"
_IN_QUERY = rf"""(?: (?<=[?&;\#]) | (?<=%3[fF]) | (?<=%26) | (?<=253[fF]) | (?<=2526)
        | (?<![\w.%&;?=-]) (?= code= [^\s"'<>&]{{1,300}} & ) )
    (?: (?: [A-Za-z-]{{0,20}}(?i:signature) | sig | hmac | jwt | assertion | SAMLResponse ) {_EQUALS}
            (?P<secret> [^\s"'<>&\#;%{{}}] [^\s"'<>&\#;]* )
        | code {_EQUALS} (?P<code> (?= [a-z_.-]{{0,300}} [A-Z0-9…] ) [^\s"'<>&\#;{{}}]{{6,}} ) )"""
_MAY_BE_IN_QUERY = {
    "=": LatePattern("=(?:(?<=sig=)|(?<=ature=)|(?<=code=)|(?<=hmac=)|(?<=jwt=)|(?<=rtion=)|(?<=ponse=))"),
    "%": LatePattern(
        "%(?:(?<=sig%)|(?<=ature%)|(?<=code%)|(?<=hmac%)|(?<=jwt%)|(?<=rtion%)|(?<=ponse%))(?:25){0,3}3[dD]"
    ),
}

# By the issuers' first digits, so that clocks and most counters do not match: Visa, Mastercard, Discover and JCB,
# American Express, Diners; in one piece, or in the groups that are printed on the card.
_CARD_NUMBER = r"""(?<![\w.]) (?: (?P<secret>
      4[0-9]{12}(?:[0-9]{3}){0,2}
    | (?:5[1-5]|2[2-7]|35|6[0245])[0-9]{14}
    | 3[47][0-9]{13}
    | 3[068][0-9]{12}
    | (?:4[0-9]|5[1-5]|2[2-7]|35|6[0245])[0-9]{2}([ -])[0-9]{4}\2[0-9]{4}\2[0-9]{4}
    | 3[47][0-9]{2}([ -])[0-9]{6}\3[0-9]{5}
    ) (?! \w | \.[0-9] )
    | (?P<cut> (?:4[0-9]|5[1-5]|2[2-7]|3[04-8]|6[0245]) [0-9]{2} [ -]? [0-9]{2,4} [0-9 -]{2,12} (?=…) ) )"""

# In folded texts; a card number that was cut off has lost its check digit.
_MANY_DIGITS = ("0" * 13, "0" * 8 + "…", "0" * 8 + r"\u2026")
_FOLDED_DIGITS = tuple(map(folded, _MANY_DIGITS))

# The fraction of a float as repr shows it; no card number starts behind a point.
_LONG_FRACTION = LatePattern(r"\.[0-9]{13,}")


def value_rules() -> list[Rule]:
    """Return the rules of this file."""
    return [
        Rule(("",), _finders(_PRIVATE_KEY), partial(_any_finds, _MAY_HAVE_PRIVATE_KEY)),
        Rule(("://",), _finders(_URL_CREDENTIALS), _may_have_credentials),
        Rule(("bearer",), _finders(_BEARER_TOKEN)),
        Rule(("basic",), _finders(_BASIC_CREDENTIALS)),
        Rule(("identified by",), _finders(_IDENTIFIED_BY)),
        Rule(("",), (*_finders(_TOKEN), passwords_of_commands), partial(_any_finds, _MAY_HAVE_TOKEN)),
        Rule(("://",), _finders(_SECRET_URL), partial(_any_finds, _MAY_BE_SECRET_URL)),
        Rule(("",), _finders(_IN_QUERY), partial(_any_finds, _MAY_BE_IN_QUERY)),
        Rule(_MANY_DIGITS, (partial(_card_numbers, LatePattern(_CARD_NUMBER, re.VERBOSE)),), _may_have_card_number),
    ]


def _any_finds(patterns: Mapping[str, LatePattern], texts: str) -> bool:
    for character, pattern in patterns.items():
        if character in texts and pattern.compiled().search(texts) is not None:
            return True
    return False


def _finders(pattern: str) -> tuple[Finder]:
    return (partial(_spans, LatePattern(pattern, re.VERBOSE)),)


def _spans(pattern: LatePattern, text: str) -> Iterator[Span]:
    return (Span(*match.span(match.lastgroup or 0)) for match in pattern.compiled().finditer(text))


def _may_have_credentials(texts: str) -> bool:
    if not ("@" in texts or "…" in texts or r"\u2026" in texts):
        return False
    return _MAY_HAVE_CREDENTIALS.compiled().search(texts) is not None


def _may_have_card_number(texts: str) -> bool:
    left = folded(_LONG_FRACTION.compiled().sub(".", texts))
    return any(digits in left for digits in _FOLDED_DIGITS)


def _card_numbers(pattern: LatePattern, text: str) -> Iterator[Span]:
    for found in pattern.compiled().finditer(text):
        if found["cut"] or _is_luhn(found[0]):
            yield Span(*found.span())


def _is_luhn(number: str) -> bool:
    """Whether the last digit is the check digit of the other digits, as in every card number."""
    digits = [int(character) for character in reversed(number) if character not in " -"]
    doubled = [2 * digit - 9 if digit > 4 else 2 * digit for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0
