"""What a source file says about a frame: its lines, whether it belongs to the application, what it was at capture."""

from __future__ import annotations

import codecs
import linecache
import os
import stat
import time
import tokenize
from types import FrameType
from typing import Optional

from lastword.capture.safe_text import clean
from lastword.capture.source_match import may_be_source_of

MAX_LINE = 500
MAX_FILE_SIZE = 4 * 1024 * 1024
_MAX_FILES_KNOWN = 4096

_LINECACHE_ENTRY = 4  # size, mtime, lines, path; one of another length has still to be read
_BEGAN = time.time()  # as good as the program, and inherited by a fork with the code that was loaded

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
    be read away from the program. The lines of a file that has changed since the program began are given only if the
    code of ``frame`` may have been compiled from them: after a deploy, what runs is yesterday's code for a while.
    """
    code = frame.f_code
    try:
        found = None if code.co_filename.startswith("<") else _stat(code.co_filename)
        if found is not None and not (stat.S_ISREG(found.st_mode) and found.st_size <= MAX_FILE_SIZE):
            return []
        lines = linecache.getlines(code.co_filename, frame.f_globals)
        # The time of the inode too, since copies often keep the time of what they are of.
        is_old = found is None or max(found.st_mtime, found.st_ctime) < _BEGAN
        return lines if is_old or may_be_source_of(code, lines) else []
    except RecursionError:
        raise  # says nothing about the file, so "no source" must not be remembered
    except Exception:  # from a loader of the application, or a module whose globals are strange
        return []


def _stat(file: str) -> Optional[os.stat_result]:
    try:
        return os.stat(file)
    except (OSError, ValueError):
        return None  # no file: inside an archive, or registered with linecache under a made-up name


def file_found(file: str, path: str) -> Optional[tuple[int, int]]:
    """Time of the last change, in ns, and size of the file at ``path``, which code calls ``file``.

    None where there is none, or another one than that whose lines linecache keeps.
    """
    found = _stat(path)
    if found is None:
        return None
    kept = linecache.cache.get(file)
    if kept and len(kept) == _LINECACHE_ENTRY and kept[:2] != (found.st_size, found.st_mtime):
        return None
    return found.st_mtime_ns, found.st_size


def excerpt(lines: list[str], line: int, around: int) -> tuple[int, list[str]]:
    """The number of the first line, and ``line`` with up to ``around`` lines above and below it; (0, []) when it is not
    among them.
    """
    if not 1 <= line <= len(lines):
        return 0, []
    first = max(1, line - around)
    return first, [clean(text.rstrip("\r\n"), MAX_LINE) for text in lines[first - 1 : line + around]]


def absolute_path(file: str) -> str:
    """``file`` made absolute against the working directory; as it is where that is gone."""
    try:
        return os.path.abspath(file)
    except OSError:
        return file
