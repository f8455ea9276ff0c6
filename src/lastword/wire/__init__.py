"""Wire formats: pure translations from the neutral Event to what one kind of tracker expects."""

from __future__ import annotations

from lastword.wire import backtrace, booboo
from lastword.wire.format import WireFormat

#: Every format, by the word that a DSN names it with (``Dsn.wire``).
FORMATS: dict[str, WireFormat] = {"backtrace": backtrace, "booboo": booboo}
