"""All exceptions that lastword raises on purpose.

Only ``init``, ``Config`` and the command line let them reach a user; the capture path turns them into a counted
refusal.
"""

from __future__ import annotations

from typing import Literal

from lastword.foreign_text import one_line

WhereItFailed = Literal["name", "proxy", "tls", "network"]


class LastwordError(Exception):
    """Base of all errors of this package."""


class ConfigError(LastwordError, ValueError):
    """A setting cannot be used; the message names the value and the accepted ones."""


class SpoolError(LastwordError):
    """The spool directory cannot be used: it belongs to another user, is not writable, or is missing."""


class RecordRefused(LastwordError):
    """A record could not be put on disk; ``reason`` is the word under which it is counted."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


class SendError(LastwordError):
    """No answer came from the tracker; ``reason`` may quote foreign text, and is made one line.

    ``ambiguous`` is true when the request may have arrived (it was sent, but no answer came).
    ``where`` is the step that failed, as far as is known:

    * ``name``: the tracker's host name cannot be resolved
    * ``proxy``: the proxy cannot be reached, or refuses the connection
    * ``tls``: the TLS handshake failed, or the tracker's certificate is not trusted
    * ``network``: anything else
    """

    def __init__(self, reason: str, *, ambiguous: bool, where: WhereItFailed = "network") -> None:
        super().__init__(one_line(reason))
        self.ambiguous = ambiguous
        self.where: WhereItFailed = where
