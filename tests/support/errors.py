"""Exceptions as programs define, raise and capture them."""

from __future__ import annotations

from contextlib import suppress

import lastword


class OwnError(Exception):
    pass


class SlottedError(Exception):
    __slots__ = ("code",)


def raised(error: BaseException) -> BaseException:
    with suppress(BaseException):
        raise error
    return error


def capture(error: Exception) -> str | None:
    """Raise and capture; always at the same line."""
    try:
        raise error
    except Exception:
        return lastword.capture_exception()
