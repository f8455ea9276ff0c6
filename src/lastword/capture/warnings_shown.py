"""The hook for warnings that the program shows: ``warnings.showwarning``."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from lastword.capture.hook_slot import Hook, HookSlot
from lastword.capture.safe_text import class_name, class_path, clean, clean_marked

MAX_TEXT = 1024
MAX_FILE = 1024

#: Takes the text of a warning, with its class, and where it was shown for: file and line.
Tell = Callable[[str, str, int], None]


def install(tell: Tell) -> None:
    """Tell of each warning that is shown from now on; the latest ``tell`` wins."""
    if getattr(warnings.showwarning, "__module__", "") == "logging":
        _slot.uninstall()  # captureWarnings: each one comes by the logger ``py.warnings``
    else:
        _slot.install(_listener(tell))


def uninstall() -> None:
    """Tell of none, and put back what was there, where nobody has hooked in since."""
    _slot.uninstall()


def _listener(tell: Tell) -> Hook:
    def listen(message: Any, category: Any, filename: Any, lineno: Any, *_: Any, **__: Any) -> None:
        tell(_text(message, category), clean(filename, MAX_FILE), lineno)

    return listen


def _text(message: Any, category: Any) -> str:
    try:
        text = str(message)
    except Exception:
        text = f"<unprintable {class_path(type(message))}>"
    return clean_marked(f"{class_name(category)}: {text}", MAX_TEXT)


_slot = HookSlot(warnings, "showwarning")
