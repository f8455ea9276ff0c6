"""The version of ``backtracepython`` that this package replaces."""

from __future__ import annotations


class version:  # noqa: N801
    major = 0
    minor = 4
    patch = 3


version_string = f"{version.major}.{version.minor}.{version.patch}"
