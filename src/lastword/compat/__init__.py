"""Drop-ins: the calls and the payloads of other packages, on lastword's machinery. One import line changes, or none."""

from __future__ import annotations

from lastword.compat.aliases import install, uninstall

__all__ = ["install", "uninstall"]
