"""lastword: error reporting for programs that run as many processes.

Once ``capture_exception`` or ``capture_message`` has returned an id, the event is on disk, and it reaches the tracker
whatever happens to the process::

    import lastword

    lastword.init("booboo+https://TOKEN@ingest.booboo.dev/org/project")

    try:
        work()
    except Exception:
        lastword.capture_exception()

Importing this package does nothing and loads nothing but the standard library.
"""

from lastword.errors import ConfigError, LastwordError
from lastword.scope.breadcrumbs import add_breadcrumb
from lastword.scope.context import (
    add_attachment,
    new_scope,
    set_context,
    set_extra,
    set_fingerprint,
    set_level,
    set_tag,
    set_tags,
    set_transaction,
    set_user,
)
from lastword.sdk import capture_exception, capture_message, catch, close, flush, init
from lastword.version import __version__

__all__ = [
    "ConfigError",
    "LastwordError",
    "__version__",
    "add_attachment",
    "add_breadcrumb",
    "capture_exception",
    "capture_message",
    "catch",
    "close",
    "flush",
    "init",
    "new_scope",
    "set_context",
    "set_extra",
    "set_fingerprint",
    "set_level",
    "set_tag",
    "set_tags",
    "set_transaction",
    "set_user",
]
