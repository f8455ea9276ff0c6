"""Drop-in for ``backtracepython`` 0.4.3: ``import lastword.compat.backtracepython as backtracepython``.

It has the same calls and sends the same reports, but through lastword's spool, so no kill, fork or outage loses one.
docs/compat.md lists the intended differences.
"""

from __future__ import annotations

from lastword.compat.backtracepython.client import finalize, initialize, send_last_exception, send_report
from lastword.compat.backtracepython.report import BacktraceReport
from lastword.compat.backtracepython.version import version, version_string

__all__ = [
    "BacktraceReport",
    "finalize",
    "initialize",
    "send_last_exception",
    "send_report",
    "version",
    "version_string",
]
