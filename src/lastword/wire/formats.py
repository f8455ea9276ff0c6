"""Every wire format, by the word that names it in a DSN (``Dsn.wire``)."""

from __future__ import annotations

from lastword.wire import backtrace, booboo
from lastword.wire.format import WireFormat

FORMATS: dict[str, WireFormat] = {"backtrace": backtrace, "booboo": booboo}
