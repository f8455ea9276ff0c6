"""Drop-in for ``backtracepython`` 0.4.3: ``import lastword.compat.backtracepython as backtracepython``.

The same calls, the same reports at the tracker; they take lastword's way, over the disk, so a kill, a fork or an outage
costs none. What is different on purpose stands in docs/compat.md.
"""

from __future__ import annotations

from lastword.compat.backtracepython.calls import finalize, initialize, send_last_exception, send_report
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
