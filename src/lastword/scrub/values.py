"""What secrets look like, wherever they stand: private keys, credentials in URLs, bearer tokens, card numbers.

Texts may have been cut, so what has lost its end counts to the end. No pattern looks at a character more than a fixed
number of times, whatever the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from lastword.scrub.late_pattern import LatePattern
from lastword.scrub.texts import Finder, Rule, Span, folded

_PRIVATE_KEY = r"""(?P<secret> -----BEGIN[ ][A-Z0-9 ]{0,30}PRIVATE[ ]KEY(?:[ ]BLOCK)?-----
    [\s\S]*? (?: -----END[ ][A-Z0-9 ]{0,30}PRIVATE[ ]KEY(?:[ ]BLOCK)?----- | \Z ) )"""

# Up to the last @ before the path, since passwords have an @ in them more often than they should. Where the password
# was cut off there is no @ any more, only the mark of the cut.
_URL_CREDENTIALS = r"""://
    (?P<secret> [^\s/?\#@:"'<>]* : [^\s/"'<>]* (?= @ | … ) | [^\s/?\#"'<>]+ (?= @ ) )"""

# A character that ends the credentials, as such or in JSON, before anything that cannot be in them.
_MAY_HAVE_CREDENTIALS = LatePattern(r"""://[^\s/"'<>@…]*(?:[@…]|\\u2026)""")

# Real ones have a digit somewhere; the words of a sentence ("bearer authentication failed") have not.
_BEARER_TOKEN = r"""(?<![A-Za-z]) (?i:bearer) \s{1,3}
    (?P<secret> (?= [A-Za-z._~+/-]*[0-9] ) [A-Za-z0-9._~+/=-]{8,} )"""
_BASIC_CREDENTIALS = r"""(?<![A-Za-z]) (?i:basic) \s{1,3}
    (?P<secret> (?= [A-Za-z+/]*[0-9=] ) [A-Za-z0-9+/=]{8,} )"""
_IDENTIFIED_BY = r"""(?i:identified \s{1,3} by (?: \s{1,3} password )? ) \s{1,3} (?P<secret> '[^']*' | "[^"]*" )"""
_WEB_TOKEN = r"(?<![\w-]) (?P<secret> eyJ[A-Za-z0-9_-]{8,} \. [A-Za-z0-9_-]{4,} (?: \. [A-Za-z0-9_-]* )? )"

_AWS_KEY = r"(?<![A-Za-z0-9]) (?P<secret> (?:AKIA|ASIA)[A-Z0-9]{16} ) (?![A-Za-z0-9])"

# By the first digits that issuers have, so that clocks and most counters are none: Visa, Mastercard, Discover and JCB,
# American Express, Diners; in one piece, or in the groups that are printed on the card.
_CARD_NUMBER = r"""(?<![\w.]) (?P<secret>
      4[0-9]{12}(?:[0-9]{3}){0,2}
    | (?:5[1-5]|2[2-7]|35|6[0245])[0-9]{14}
    | 3[47][0-9]{13}
    | 3[068][0-9]{12}
    | (?:4[0-9]|5[1-5]|2[2-7]|35|6[0245])[0-9]{2}([ -])[0-9]{4}\2[0-9]{4}\2[0-9]{4}
    | 3[47][0-9]{2}([ -])[0-9]{6}\3[0-9]{5}
    ) (?! \w | \.[0-9] )"""


_MANY_DIGITS = ("0" * 13,)  # in folded texts

# The fraction of a float as repr shows it; no card number starts behind a point.
_LONG_FRACTION = LatePattern(r"\.[0-9]{13,}")


def value_rules() -> list[Rule]:
    """The rules of this file."""
    return [
        Rule(("private key",), _finders(_PRIVATE_KEY)),
        Rule(("://",), _finders(_URL_CREDENTIALS), _may_have_credentials),
        Rule(("bearer",), _finders(_BEARER_TOKEN)),
        Rule(("basic",), _finders(_BASIC_CREDENTIALS)),
        Rule(("identified by",), _finders(_IDENTIFIED_BY)),
        Rule(("eyJ",), _finders(_WEB_TOKEN)),
        Rule(("AKIA", "ASIA"), _finders(_AWS_KEY)),
        Rule(_MANY_DIGITS, (partial(_card_numbers, LatePattern(_CARD_NUMBER, re.VERBOSE)),), _may_have_card_number),
    ]


def _finders(pattern: str) -> tuple[Finder]:
    return (partial(_spans, LatePattern(pattern, re.VERBOSE)),)


def _spans(pattern: LatePattern, text: str) -> Iterator[Span]:
    return (Span(*match.span("secret")) for match in pattern.compiled().finditer(text))


def _may_have_credentials(texts: str) -> bool:
    if not ("@" in texts or "…" in texts or r"\u2026" in texts):
        return False
    return _MAY_HAVE_CREDENTIALS.compiled().search(texts) is not None


def _may_have_card_number(texts: str) -> bool:
    return _MANY_DIGITS[0] in folded(_LONG_FRACTION.compiled().sub(".", texts))


def _card_numbers(pattern: LatePattern, text: str) -> Iterator[Span]:
    return (span for span in _spans(pattern, text) if _is_luhn(text[span.start : span.end]))


def _is_luhn(number: str) -> bool:
    """Whether the last digit is the check digit of the others, as it is of every card number."""
    digits = [int(character) for character in reversed(number) if character not in " -"]
    doubled = [2 * digit - 9 if digit > 4 else 2 * digit for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0
