"""What a source file says about a frame: its lines, whether it belongs to the application, what it was at capture."""

from __future__ import annotations

import codecs
import linecache
import os
import stat
import tokenize
from types import FrameType
from typing import Optional

from lastword.capture.safe_text import clean

CONTEXT_LINES = 5
MAX_LINE = 500
MAX_FILE_SIZE = 4 * 1024 * 1024
_MAX_FILES_KNOWN = 4096

_STDLIB = os.path.dirname(os.path.realpath(getattr(os, "__file__", None) or tokenize.__file__)) + os.sep
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")

# linecache imports tokenize, and decoding imports a codec, at first use: both must be there before the first capture.
for _codec in ("ascii", "latin-1", "utf-8", "utf-8-sig", "cp1252"):
    codecs.lookup(_codec)

_in_app: dict[str, bool] = {}


def is_in_app(file: str) -> bool:
    """False for the standard library, for installed packages and for lastword itself. Remembered for each file."""
    known = _in_app.get(file)
    if known is None:
        if len(_in_app) >= _MAX_FILES_KNOWN:
            _in_app.clear()
        known = _in_app[file] = _belongs_to_app(file)
    return known


def _belongs_to_app(file: str) -> bool:
    if file.startswith("<frozen ") or any(part in file for part in _INSTALLED):
        return False
    if not os.path.isabs(file):
        return True
    return not (is_own_file(file) or file.startswith(_STDLIB) or os.path.realpath(file).startswith(_STDLIB))


def is_own_file(file: str) -> bool:
    """Whether ``file`` is one of lastword's modules."""
    return file.startswith(_PACKAGE)


def source_lines(frame: FrameType) -> list[str]:
    """All lines of the file of ``frame``, from the disk or from the loader of its module; [] when there are none.

    Asks nothing of files over 4 MiB, and of files that are no regular ones: the file of ``python /dev/stdin`` would
    be read away from the program.
    """
    file = frame.f_code.co_filename
    try:
        if not _is_readable(file):
            return []
        return linecache.getlines(file, frame.f_globals)
    except RecursionError:
        raise  # says nothing about the file, so "no source" must not be remembered
    except Exception:  # from a loader of the application, or a module whose globals are strange
        return []


def _is_readable(file: str) -> bool:
    if file.startswith("<"):
        return True
    try:
        found = os.stat(file)
    except (OSError, ValueError):
        return True  # no file: inside an archive, or registered with linecache under a made-up name
    return stat.S_ISREG(found.st_mode) and found.st_size <= MAX_FILE_SIZE


def file_found(path: str) -> Optional[tuple[int, int]]:
    """Time of the last change, in ns, and size of a file; None where there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size


def excerpt(lines: list[str], line: int) -> tuple[int, list[str]]:
    """The number of the first line and up to 5 lines above and below ``line``; (0, []) when it is not among them."""
    if not 1 <= line <= len(lines):
        return 0, []
    first = max(1, line - CONTEXT_LINES)
    return first, [clean(text.rstrip("\r\n"), MAX_LINE) for text in lines[first - 1 : line + CONTEXT_LINES]]
