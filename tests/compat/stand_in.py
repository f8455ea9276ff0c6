"""A package in the place of drop-ins that tests need not know: ``init``, a module of the same name as a variable."""

from __future__ import annotations

from pathlib import Path

TOP = """\
from lastword.compat.PACKAGE import _client as _module
from lastword.compat.PACKAGE._client import Client
_client = None
def init(dsn):
    global _client
    _client = Client(dsn)
"""
CLIENT = """\
class Client:
    def __init__(self, dsn):
        self.dsn = dsn
"""
LAZY = "VALUE = 1\n"


def make(directory: Path, *packages: str) -> str:
    """Write them; returns a statement by which a program finds them where there is no drop-in."""
    for package in packages:
        place = directory / package
        place.mkdir(parents=True)
        (place / "__init__.py").write_text(TOP.replace("PACKAGE", package))
        (place / "_client.py").write_text(CLIENT)
        (place / "_lazy.py").write_text(LAZY)
    return f"import lastword.compat; lastword.compat.__path__.insert(0, {str(directory)!r})\n"
