"""The hook for warnings that the program shows.

If ``warnings.showwarning`` is not Python's own, Python passes no ``source`` to it, and a ResourceWarning is shown
without the place of its allocation. So as long as it is Python's own, we hook ``_showwarnmsg_impl``, which it calls to
print (``catch_warnings`` replaces that too); if the program has replaced ``showwarning``, we hook ``showwarning``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from lastword.capture.safe_text import class_name, class_path, clean, clean_marked
from lastword.hooks.slot import Hook, HookSlot
from lastword.interruption import anything

MAX_TEXT = 1024
MAX_FILE = 1024

#: Takes the text of a warning, with its class, and the file and line that it is about.
Report = Callable[[str, str, int], None]


def install(report: Report) -> None:
    """Call ``report`` for each warning that is shown from now on; the latest ``report`` wins."""
    shown_by_python = warnings.showwarning is getattr(warnings, "_showwarning_orig", None)
    if not shown_by_python:
        _printed.uninstall()
    if getattr(warnings.showwarning, "__module__", "") == "logging":
        _shown.uninstall()  # captureWarnings: each warning arrives through the logger ``py.warnings``
    elif shown_by_python and hasattr(warnings, "_showwarnmsg_impl"):
        _printed.install(_listener_of_messages(report))
    else:
        _shown.install(_listener(report))


def uninstall() -> None:
    """Stop reporting warnings, and restore the previous functions where no other hook was installed since."""
    _printed.uninstall()
    _shown.uninstall()


def _listener(report: Report) -> Hook:
    def listen(message: Any, category: Any, filename: Any, lineno: Any, *_: Any, **__: Any) -> None:
        report(_text(message, category), clean(filename, MAX_FILE), lineno)

    return listen


def _listener_of_messages(report: Report) -> Hook:
    listen = _listener(report)
    return lambda shown: listen(shown.message, shown.category, shown.filename, shown.lineno)


def _text(message: Any, category: Any) -> str:
    try:
        text = str(message)
    except anything():
        text = f"<unprintable {class_path(type(message))}>"
    return clean_marked(f"{class_name(category)}: {text}", MAX_TEXT)


_shown = HookSlot(warnings, "showwarning")
_printed = HookSlot(warnings, "_showwarnmsg_impl")
