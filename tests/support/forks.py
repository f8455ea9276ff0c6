"""Ways to fork: by Python, and by C code, which runs no hook (PyPy cannot call it with the interpreter's lock held)."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable

FORKS: list[Callable[[], int]] = [os.fork, *([ctypes.PyDLL(None).fork] if hasattr(ctypes, "PyDLL") else [])]
