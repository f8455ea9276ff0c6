"""Every exception that lastword raises on purpose.

Only ``init``, ``Config`` and the command line let one of these reach a user; the capture path turns them into a
counted refusal instead.
"""

from __future__ import annotations

from typing import Literal

from lastword.foreign_text import one_line

WhereItFailed = Literal["name", "proxy", "tls", "network"]


class LastwordError(Exception):
    """Base of all errors of this package."""


class ConfigError(LastwordError, ValueError):
    """A setting cannot be used; the message names the value and what is accepted instead."""


class SpoolError(LastwordError):
    """The spool directory cannot be used: not ours, not writable, not there."""


class RecordRefused(LastwordError):
    """A record could not be put on disk; ``reason`` is the word under which it is counted."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


class SendError(LastwordError):
    """No answer came from the tracker; ``reason`` may quote others, and is made one line.

    ``ambiguous`` is true when the request may have arrived all the same (it was sent, the answer was not seen).
    ``where`` is the part of the way that failed, as far as is known:

    * ``name``: the tracker's name leads nowhere
    * ``proxy``: the proxy cannot be reached, or does not let us through
    * ``tls``: no encryption was agreed on, or the tracker's certificate is not trusted
    * ``network``: all else
    """

    def __init__(self, reason: str, *, ambiguous: bool, where: WhereItFailed = "network") -> None:
        super().__init__(one_line(reason))
        self.ambiguous = ambiguous
        self.where: WhereItFailed = where
