"""The source of a frame: its lines, whether they are in-app, the state of the file at capture.

Also checks whether lines of source can be those that a code object was compiled from. Python keeps no text of the file
that it compiled, so the code is compared with the lines: its first line has its ``def`` or ``class``; each line with
instructions is code; its names occur there or below; and, where Python has columns (from 3.11 on), each expression
begins and ends at word boundaries of the source. A change that moves nothing is not detected: another number, another
operator of the same length.
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

#: Flag of the code object of a function, whose locals are the function's own.
CO_OPTIMIZED = 1

_BEGINNINGS = ("@", "def ", "async ", "class ", "type ")
_MAX_DECORATORS = 20  # lines of decorators, for code with no instruction on a line of its body
_MAX_LINES_BELOW = 100  # below the last instruction: names used only in unreachable code are there

#: The code that computes annotations (from 3.14 on) begins at the line of the annotated function, class or module.
_ANNOTATIONS = "__annotate__"

_WORD = re.compile(r"\w+")
_IN_A_WORD = re.compile(rb"(?<=[\w\x80-\xff])(?=[\w\x80-\xff])")

_Place = tuple[Optional[int], Optional[int], Optional[int], Optional[int]]  # line, end line, column, end column


def may_be_source_of(code: CodeType, lines: list[str]) -> bool:
    """Return whether ``code`` may have been compiled from ``lines``, all lines of a file."""
    if not _begins_there(code, lines):
        return False
    if code.co_name != "<module>" and not code.co_flags & CO_OPTIMIZED:
        return True  # the body of a class, which may have instructions on lines of its head
    return _lines_are_code(code, lines) and _names_are_there(code, lines) and _columns_fit(code, lines)


def _begins_there(code: CodeType, lines: list[str]) -> bool:
    first, name = code.co_firstlineno, code.co_name
    if name.startswith("<") or name == _ANNOTATIONS:
        return first <= len(lines)
    if not "".join(lines[first - 1 : first]).lstrip().startswith(_BEGINNINGS):
        return False
    # The last alternative is the bound of a type parameter, which has code of its own.
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
    """Return whether the names of ``code`` occur in ``lines``, except names added by Python or a rewriting tool."""
    if code.co_name == _ANNOTATIONS:
        return True
    last = max(_lines_of(code), default=code.co_firstlineno) + _MAX_LINES_BELOW
    first = 1 if code.co_name == "<module>" else code.co_firstlineno  # of a module on 3.9: its first instruction
    words = set(_WORD.findall("".join(lines[first - 1 : last])))
    written = filter(_is_written, code.co_names + code.co_varnames)
    names = (part for name in written for part in name.split("."))
    return all(name in words or name[name.find("__", 1) :] in words for name in names)  # mangled: _Shop__name


def _is_written(name: str) -> bool:
    """Return whether the source must contain ``name`` as it is, or its parts if it is the dotted name of an import.

    False for ``__name__``, ``.0``, pytest's ``@py_assert1``, and for names that may be written in other letters.
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

_LINECACHE_ENTRY = 4  # size, mtime, lines, path; an entry of another length is not read yet
_BEGAN = time.time()  # close to the program's start; a fork inherits it together with the loaded code
_BEGAN_BY = _BEGAN - time.monotonic()  # a file written after the clock was set back may be newer than its time

_STDLIB = os.path.dirname(os.path.realpath(getattr(os, "__file__", None) or tokenize.__file__)) + os.sep
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")

# linecache imports tokenize, and decoding a codec, at first use: both must be imported before the first capture.
for _codec in ("ascii", "latin-1", "utf-8", "utf-8-sig", "cp1252"):
    codecs.lookup(_codec)

_SPEC = type(sys.__spec__)
_dict_of: Callable[[Any], dict[str, Any]] = vars(ModuleType)["__dict__"].__get__

_LINE_END = re.compile("\r\n|\n|\r")
_NO_LINE_ENDS = ("\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029")

_in_app: dict[str, bool] = {}
_of_loaders: dict[tuple[str, str], list[str]] = {}  # key: the name of the code's file, and that of the module


def is_in_app(file: str) -> bool:
    """Return False for the standard library, installed packages and lastword itself. Remembered for each file."""
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
    """Return whether ``file`` is one of lastword's modules."""
    return str.startswith(file, _PACKAGE)


def source_lines(frame: FrameType) -> list[str]:
    """Return all source lines of the code that ``frame`` runs, as Python counts lines; [] if not known for sure.

    They come from the code's file; if there is no file of that name, from ``linecache``, where notebooks and code
    generators register their source, or from the loader of the module whose file has that name. They never come from
    the module whose globals the code was given, or from a file that is only found along ``sys.path``.

    Files over 4 MiB and files that are not regular are not read: reading the file of ``python /dev/stdin`` would take
    input from the program. If the file changed since the program began, or there is no file, the lines are returned
    only if the code of ``frame`` may have been compiled from them: after a deploy, the old code runs for a while.
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
        # The inode's time (ctime) too, because copies often keep the mtime of the original.
        was_set_back = time.time() - time.monotonic() < _BEGAN_BY - 1.0
        is_old = not was_set_back and max(found.st_mtime, found.st_ctime) < _BEGAN
        if (is_old and _means_a_file(file)) or may_be_source_of(code, lines):
            return lines
        linecache.checkcache(file)  # the cached lines may be older than the file that was loaded again
        lines = linecache.getlines(file)
        return lines if may_be_source_of(code, lines) else []
    except RecursionError:
        raise  # says nothing about the file, so "no source" must not be remembered
    except anything():  # from a loader of the application, or a module with odd globals
        return []


def _means_a_file(name: str) -> bool:
    """Return whether code with this file ``name`` surely comes from a file.

    A program may compile a text under the name ``rules.py``; templates have relative names with other extensions.
    """
    return os.path.isabs(name) or os.path.splitext(name)[1] not in ("", ".py")


def _lines_without_file(name: str, module: dict[str, Any]) -> list[str]:
    own_file = _file_of(module)
    if own_file is None or own_file == name:
        lines = _lines_of_loader(name, module)
        if lines:
            return lines
    if name.startswith("<") and name.endswith(">"):
        lines = linecache.getlines(name)  # doctest replaces this function
    else:
        kept: Any = linecache.cache.get(name)
        lines = kept[2] if kept and len(kept) == _LINECACHE_ENTRY else []
    # Printing a traceback stores the module's source in linecache under the name of the code.
    if own_file not in (None, name) and lines == linecache.getlines(own_file, module):
        return []
    return _as_python_counts(lines)


def _lines_of_loader(name: str, module: dict[str, Any]) -> list[str]:
    module_name = dict.get(module, "__name__")
    if type(module_name) is not str:  # an object of the program, which the key would keep alive
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
    """Join lines that ``str.splitlines`` split elsewhere than at a line end of Python, such as at a form feed."""
    counted: list[str] = []
    for line in lines:
        if counted and counted[-1].endswith(_NO_LINE_ENDS):
            counted[-1] += line
        else:
            counted.append(line)
    return counted


def _file_of(module: dict[str, Any]) -> Optional[str]:
    """Return the file from which a module was loaded, by its own ``__file__`` or ``__spec__``."""
    file = dict.get(module, "__file__")
    if type(file) is str:
        return file
    spec: Any = dict.get(module, "__spec__")
    origin = spec.origin if type(spec) is _SPEC and spec.has_location else None
    return origin if type(origin) is str else None


def is_code_in_app(code_file: str, module: dict[str, Any]) -> bool:
    """Return ``is_in_app`` for code with these globals; generated code, without a file, counts as their module's."""
    if code_file.startswith("<frozen ") or (not code_file.startswith("<") and _stat(code_file) is not None):
        return is_in_app(code_file)
    try:
        owner = _file_of(module) or _file_of_loaded(dict.get(module, "__name__"))
    except failures():  # odd globals
        owner = None
    return is_in_app(owner or code_file)


def _file_of_loaded(name: Any) -> Optional[str]:
    """Return the file of the module ``name``, or of the nearest loaded package that contains it."""
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
    """Return the mtime in ns and the size of the file at ``path``, which code calls ``file``.

    None if there is no file, or if linecache holds the lines of another version.
    """
    found = _stat(path)
    if found is None:
        return None
    kept = linecache.cache.get(file)
    if kept and len(kept) == _LINECACHE_ENTRY and kept[:2] != (found.st_size, found.st_mtime):
        return None
    return found.st_mtime_ns, found.st_size


def excerpt(lines: list[str], line: int, around: int) -> tuple[int, list[str]]:
    """Return the number of the first line, and ``line`` with up to ``around`` lines above and below it.

    (0, []) if there is no such line.
    """
    if not 1 <= line <= len(lines):
        return 0, []
    first = max(1, line - around)
    return first, [clean(text.rstrip("\r\n"), MAX_LINE) for text in lines[first - 1 : line + around]]


def absolute_path(file: str) -> str:
    """Return ``file`` made absolute against the working directory; unchanged if that is gone."""
    try:
        return os.path.abspath(file)
    except failures(OSError):
        return file
