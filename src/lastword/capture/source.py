"""What a source file says about a frame: its lines, whether it belongs to the application, what it was at capture.

Whether lines of source are those that a code object was compiled from, as far as the code object can tell.

Python keeps no word of the file that it compiled, so the two are compared: where the code begins there has to be its
``def`` or ``class``; each line that it has instructions of has to be code; its names have to stand there or below; and,
where Python tells columns (from 3.11 on), each expression has to begin and end where words of the source do. What
passes unnoticed is a change that moves nothing: another number, another operator of the same length.
"""

from __future__ import annotations

import codecs
import linecache
import os
import re
import stat
import sys
import time
import tokenize
from collections.abc import Callable, Iterable
from types import CodeType, FrameType, ModuleType
from typing import Any, Optional

from lastword.capture.safe_text import clean, exact
from lastword.interruption import anything, failures

#: Of the flags of a code object: it is a function's, and its locals are.
CO_OPTIMIZED = 1

_BEGINNINGS = ("@", "def ", "async ", "class ", "type ")
_MAX_DECORATORS = 20  # lines of them, where no line of the body has an instruction
_MAX_LINES_BELOW = 100  # of the last instruction: names that are used where the code never comes stand there

#: The code that tells annotations (from 3.14 on) begins where what is annotated does: a function, a class, a module.
_ANNOTATIONS = "__annotate__"

_WORD = re.compile(r"\w+")
_IN_A_WORD = re.compile(rb"(?<=[\w\x80-\xff])(?=[\w\x80-\xff])")

_Place = tuple[Optional[int], Optional[int], Optional[int], Optional[int]]  # line, end line, column, end column


def may_be_source_of(code: CodeType, lines: list[str]) -> bool:
    """Whether ``lines``, all those of a file, may be what ``code`` was compiled from."""
    if not _begins_there(code, lines):
        return False
    if code.co_name != "<module>" and not code.co_flags & CO_OPTIMIZED:
        return True  # the body of a class, which may have instructions for places in its head
    return _lines_are_code(code, lines) and _names_are_there(code, lines) and _columns_fit(code, lines)


def _begins_there(code: CodeType, lines: list[str]) -> bool:
    first, name = code.co_firstlineno, code.co_name
    if name.startswith("<") or name == _ANNOTATIONS:
        return first <= len(lines)
    if not "".join(lines[first - 1 : first]).lstrip().startswith(_BEGINNINGS):
        return False
    # or the bound of a type parameter, which has code of its own
    definition = re.compile(rf"\s*(?:async\s+def|def|class|type)\s+{re.escape(name)}\b|.*[\[,]\s*{re.escape(name)}\s*:")
    last = max(_lines_of(code), default=first) + _MAX_DECORATORS
    return any(map(definition.match, lines[first - 1 : last]))


def _lines_are_code(code: CodeType, lines: list[str]) -> bool:
    for line in set(_lines_of(code)):
        if line > len(lines):
            return False
        text = lines[line - 1].lstrip()
        if line > 1 and (not text or text.startswith("#")):
            return False
    return True


def _names_are_there(code: CodeType, lines: list[str]) -> bool:
    """Names that Python, or a tool that rewrites code, puts there of its own are none of the source's."""
    if code.co_name == _ANNOTATIONS:
        return True
    last = max(_lines_of(code), default=code.co_firstlineno) + _MAX_LINES_BELOW
    first = 1 if code.co_name == "<module>" else code.co_firstlineno  # where 3.9 has its first instruction
    words = set(_WORD.findall("".join(lines[first - 1 : last])))
    written = filter(_is_written, code.co_names + code.co_varnames)
    names = (part for name in written for part in name.split("."))
    return all(name in words or name[name.find("__", 1) :] in words for name in names)  # of classes: _Shop__name


def _is_written(name: str) -> bool:
    """As it is, or a dotted name of an import: not ``__name__``, ``.0``, nor ``@py_assert1`` of pytest, nor one that
    may be written in other letters.
    """
    is_pythons = name.startswith("__") and name.endswith("__")
    return name.isascii() and not is_pythons and all(map(str.isidentifier, name.split(".")))


def _lines_of(code: Any) -> Iterable[int]:
    if hasattr(code, "co_lines"):
        return [line for _, _, line in code.co_lines() if line]
    lines, line = [], code.co_firstlineno  # 3.9
    for instructions, step in zip(code.co_lnotab[::2], code.co_lnotab[1::2]):
        if instructions:
            lines.append(line)
        line += step - 256 if step > 127 else step
    return [*lines, line]


def _columns_fit(code: Any, lines: list[str]) -> bool:
    if not hasattr(code, "co_positions"):
        return True
    encoded: dict[int, bytes] = {}

    def is_boundary(line: int, column: int) -> bool:
        text = encoded.get(line)
        if text is None:
            if line > len(lines):
                return False
            text = encoded[line] = lines[line - 1].rstrip("\r\n").encode("utf-8", "surrogatepass")
        return column <= len(text) and _IN_A_WORD.match(text, column) is None

    places: set[_Place] = set(code.co_positions())
    ends = {end for place in places for end in (place[::2], place[1::2])}
    return all(is_boundary(line, column) for line, column in ends if line and column)


MAX_LINE = 500
MAX_FILE_SIZE = 4 * 1024 * 1024
_MAX_FILES_KNOWN = 4096
_MAX_MODULES_KNOWN = 128

_LINECACHE_ENTRY = 4  # size, mtime, lines, path; one of another length has still to be read
_BEGAN = time.time()  # as good as the program, and inherited by a fork with the code that was loaded
_BEGAN_BY = _BEGAN - time.monotonic()  # a file that is made once the clock was set back may be younger than it seems

_STDLIB = os.path.dirname(os.path.realpath(getattr(os, "__file__", None) or tokenize.__file__)) + os.sep
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")

# linecache imports tokenize, and decoding imports a codec, at first use: both must be there before the first capture.
for _codec in ("ascii", "latin-1", "utf-8", "utf-8-sig", "cp1252"):
    codecs.lookup(_codec)

_SPEC = type(sys.__spec__)
_dict_of: Callable[[Any], dict[str, Any]] = vars(ModuleType)["__dict__"].__get__

_LINE_END = re.compile("\r\n|\n|\r")
_NO_LINE_ENDS = ("\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029")

_in_app: dict[str, bool] = {}
_of_loaders: dict[tuple[str, str], list[str]] = {}  # by the names of the code's file and of the module


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
    return str.startswith(file, _PACKAGE)


def source_lines(frame: FrameType) -> list[str]:
    """All lines of the source of what ``frame`` runs, as Python counts them; [] where it is not known for sure.

    They come from its file; where there is none of its name, from ``linecache``, where notebooks and generators of code
    register theirs, or from the loader of the module whose file has that name. Never from the module whose globals the
    code was given, nor from a file that ``sys.path`` happens to lead to.

    Asks nothing of files over 4 MiB, and of files that are no regular ones: the file of ``python /dev/stdin`` would
    be read away from the program. Where a file has changed since the program began, or is no file, the lines are given
    only if the code of ``frame`` may have been compiled from them: after a deploy, what runs is yesterday's code for a
    while.
    """
    code = frame.f_code
    file = exact(code.co_filename)
    try:
        found = None if file.startswith("<") else _stat(file)
        if found is None:
            lines = _lines_without_file(file, frame.f_globals)
            return lines if lines and may_be_source_of(code, lines) else []
        if not (stat.S_ISREG(found.st_mode) and found.st_size <= MAX_FILE_SIZE):
            return []
        lines = linecache.getlines(file)
        # The time of the inode too, since copies often keep the time of what they are of.
        was_set_back = time.time() - time.monotonic() < _BEGAN_BY - 1.0
        is_old = not was_set_back and max(found.st_mtime, found.st_ctime) < _BEGAN
        if (is_old and _means_a_file(file)) or may_be_source_of(code, lines):
            return lines
        linecache.checkcache(file)  # it was read before it was written anew, and loaded once more
        lines = linecache.getlines(file)
        return lines if may_be_source_of(code, lines) else []
    except RecursionError:
        raise  # says nothing about the file, so "no source" must not be remembered
    except anything():  # from a loader of the application, or a module whose globals are strange
        return []


def _means_a_file(name: str) -> bool:
    """Not by chance: whoever compiles a text may call it ``rules.py``, and templates are told by relative names."""
    return os.path.isabs(name) or os.path.splitext(name)[1] not in ("", ".py")


def _lines_without_file(name: str, module: dict[str, Any]) -> list[str]:
    own_file = _file_of(module)
    if own_file is None or own_file == name:
        lines = _lines_of_loader(name, module)
        if lines:
            return lines
    if name.startswith("<") and name.endswith(">"):
        lines = linecache.getlines(name)  # which doctest replaces
    else:
        kept: Any = linecache.cache.get(name)
        lines = kept[2] if kept and len(kept) == _LINECACHE_ENTRY else []
    # Whoever prints a traceback leaves the source of the module there, under the name of the code.
    if own_file not in (None, name) and lines == linecache.getlines(own_file, module):
        return []
    return _as_python_counts(lines)


def _lines_of_loader(name: str, module: dict[str, Any]) -> list[str]:
    module_name = dict.get(module, "__name__")
    if type(module_name) is not str:  # an object of the program's, which would be kept
        return []
    key = (name, module_name)
    lines = _of_loaders.get(key)
    if lines is None:
        get_source = getattr(dict.get(module, "__loader__"), "get_source", None)
        source = get_source(module_name) if get_source is not None else None
        lines = [line + "\n" for line in _LINE_END.split(source.rstrip("\r\n"))] if type(source) is str else []
        if len(_of_loaders) >= _MAX_MODULES_KNOWN:
            _of_loaders.clear()
        _of_loaders[key] = lines
    return lines


def _as_python_counts(lines: list[str]) -> list[str]:
    """A line ends at a line feed, not at what else ``str.splitlines`` takes for an end, such as a form feed."""
    counted: list[str] = []
    for line in lines:
        if counted and counted[-1].endswith(_NO_LINE_ENDS):
            counted[-1] += line
        else:
            counted.append(line)
    return counted


def _file_of(module: dict[str, Any]) -> Optional[str]:
    """The file that a module says it was loaded from."""
    file = dict.get(module, "__file__")
    if type(file) is str:
        return file
    spec: Any = dict.get(module, "__spec__")
    origin = spec.origin if type(spec) is _SPEC and spec.has_location else None
    return origin if type(origin) is str else None


def is_code_in_app(code_file: str, module: dict[str, Any]) -> bool:
    """``is_in_app`` for code with these globals: where it has no file, being generated, it belongs to whom they do."""
    if code_file.startswith("<frozen ") or (not code_file.startswith("<") and _stat(code_file) is not None):
        return is_in_app(code_file)
    try:
        owner = _file_of(module) or _file_of_loaded(dict.get(module, "__name__"))
    except failures():  # strange globals
        owner = None
    return is_in_app(owner or code_file)


def _file_of_loaded(name: Any) -> Optional[str]:
    """The file of the module of that name, or of the nearest package that it is in and that was loaded."""
    while type(name) is str and name:
        module = sys.modules.get(name)
        if issubclass(type(module), ModuleType) and (file := _file_of(_dict_of(module))):
            return file
        name = name.rpartition(".")[0]
    return None


def _stat(file: str) -> Optional[os.stat_result]:
    try:
        return os.stat(file)
    except failures(OSError, ValueError):
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
    except failures(OSError):
        return file
