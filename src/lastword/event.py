"""The Event, in a form that depends on no vendor.

An Event is a JSON object from the moment it is built: the capture path writes it unchanged, the flusher reads it
unchanged, and a wire format converts it into the form that its tracker expects. All times are Unix seconds. Capture
bounds all texts. Lists of frames run from the outermost call to the point of the raise.
"""

# Without annotations from __future__: TypedDict would compile each of them, which took 4 ms of every import.
import os
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Optional, TypedDict, Union, cast

from lastword import diagnostics

Level = Literal["fatal", "error", "warning", "info", "debug"]
LEVELS: tuple[Level, ...] = ("fatal", "error", "warning", "info", "debug")

#: A level as the public calls accept it: a name (CRITICAL and WARN too; case is ignored) or a logging number.
LevelLike = Union[str, int]

_name_of = type.__dict__["__name__"].__get__  # one of the program's metaclasses may redefine it

_LEVELS_BY_NAME: dict[str, Level] = {**{level: level for level in LEVELS}, "critical": "fatal", "warn": "warning"}


def level_of_number(number: float) -> Level:
    """Return the level for a logging number: CRITICAL is fatal, and a number between two levels counts as the lower."""
    if number >= 40:
        return "fatal" if number >= 50 else "error"
    if number >= 20:
        return "warning" if number >= 30 else "info"
    return "debug"


def known_level(level: object) -> Optional[Level]:
    """Return the level that ``level`` (see LevelLike) stands for; None if it is not valid."""
    kind = type(level)
    if kind is str:
        return _LEVELS_BY_NAME.get(level) or _LEVELS_BY_NAME.get(level.strip().lower())  # type: ignore[call-overload, attr-defined]
    if kind is not bool and issubclass(kind, int):
        return level_of_number(int.__index__(level))  # type: ignore[arg-type]
    return known_level("".join((level,))) if issubclass(kind, str) else None  # type: ignore[arg-type]


def level_from(level: object, otherwise: Level, caller: str) -> Level:
    """Return the level that ``level`` stands for; if it is invalid, note that for ``caller``, return ``otherwise``."""
    known = known_level(level)
    if known is None:
        shown = f"{level[:50]!r}" if type(level) is str else f"a {''.join((_name_of(type(level)),))}"
        diagnostics.note(
            f"{caller} level", f"{caller} was given {shown} as level, which is none of {', '.join(LEVELS)}: {otherwise}"
        )
    return known or otherwise


#: The tag that counts the similar events left out before this one in a flood:
#: ``137 like this left out since 2025-03-01T12:04:05Z``.
FLOOD_TAG = "lastword.flood"

#: The tag that names the parts left out of an event to make it small enough for its tracker.
TRIMMED_TAG = "lastword.trimmed"

#: The tag that names the invalid parts of an event returned by ``before_send``, which are left out or replaced.
BEFORE_SEND_TAG = "lastword.before_send"

#: The tag that names the attachments of an event where its tracker has no place for them.
ATTACHMENTS_TAG = "lastword.attachments"

#: The file name of the frame that replaces left-out frames; its function says how many.
LEFT_OUT = "<left out>"

#: The context with the content of the log record: for an exception the ``message``, and the call's ``extra``.
LOGGED = "logging"

#: The text that replaces a removed value.
FILTERED = "[filtered]"

#: The origin of a variable's text: its repr, withheld because of its name, or its repr failed (text: its type).
Mark = Literal["repr", "filtered", "failed"]

#: ``(name, mark, text)``; a JSON array of three strings once it has been on disk.
Variable = tuple[str, Mark, str]


class Frame(TypedDict):
    """One call on a stack. Where a deep stack was cut, a frame by ``frames_left_out`` says how many are missing."""

    file: str  # the code object's file name, as it is
    path: str  # the absolute path of ``file``, against the working directory at capture
    module: Optional[str]  # __name__ of the globals
    function: str  # the code object's name
    qualname: str  # with its classes and enclosing functions (the bare name before Python 3.11)
    line: int  # 1-based; the traceback's line, not the frame's current one
    columns: Optional[tuple[int, int, int]]  # (end line, column, end column), 0-based columns; 3.11+ only
    first_source_line: int  # line number of source[0]; 0 when there is no source
    source: list[str]  # with 5 lines (context_lines) above and below, without newlines; [] when unknown
    in_app: bool  # false for the standard library and for installed packages
    variables: list[Variable]  # locals in order


class ExceptionInfo(TypedDict):
    """One exception of a chain."""

    type: str  # bare class name
    module: Optional[str]
    value: str  # str(exception)
    kind: Optional[Literal["cause", "context", "member"]]  # its relation to its parent; None for the raised one
    parent: Optional[int]  # index in Event.exceptions; None for the raised one
    notes: list[str]  # PEP 678
    frames: list[Frame]


class Breadcrumb(TypedDict):
    """Something that happened before the capture, in the same context."""

    timestamp: float
    type: str  # for example default, http, navigation, log, user
    category: str  # "" for none
    level: Level
    message: str
    data: dict[str, Any]  # {} for none


class ThreadInfo(TypedDict):
    """The thread that captured."""

    id: int
    name: str
    main: bool


#: One call of a thread that did not capture: ``(absolute path, function, line)``; where calls were left out, the path
#: is LEFT_OUT. A JSON array once it has been on disk.
Call = tuple[str, str, int]


class ThreadStack(TypedDict):
    """A thread that kept running while another one captured."""

    id: int
    name: str
    main: bool
    calls: list[Call]  # outermost first, at most 50 and the entry for those left out


class ProcessInfo(TypedDict):
    """The process that captured, as it was at that moment."""

    pid: int
    parent: int  # its parent's pid
    name: str  # its multiprocessing name: MainProcess, ForkPoolWorker-1 …
    program: str  # sys.argv[0]
    age: float  # seconds since the kernel started it
    session: str  # a UUID, the same for all events of one process
    role: str  # gunicorn worker, Celery pool child, script, python -m shop … (``capture.role``)
    command: str  # its kernel name, at most 15 bytes; "" where there is no /proc
    memory: int  # resident bytes, at most a second old; 0 where there is no /proc
    status: dict[str, int]  # /proc/self/status by the kernel's names, kB converted to bytes; {} unless Needs.memory


class HostInfo(TypedDict):
    """The machine that captured."""

    hostname: str
    sysname: str
    release: str
    version: str
    machine: str
    machine_id: str  # systemd's or D-Bus's; the hostname where there is none
    memory: dict[str, int]  # /proc/meminfo by the kernel's names, kB converted to bytes; {} unless Needs.memory


class RuntimeInfo(TypedDict):
    """The interpreter that captured."""

    name: str  # CPython, PyPy
    version: str  # 3.11.7
    release_level: str  # final, candidate …


class FileFound(TypedDict):
    """A file too large for a record, as it was at capture: if it has only grown since, its beginning is attached."""

    path: str  # absolute
    device: int
    inode: int
    size: int


class Attachment(TypedDict):
    """A file, or data, attached to the event, as it was at capture."""

    name: str
    type: str  # its media type
    size: int  # bytes; 0 where it could not be read
    content: Optional[str]  # base64; None where it is not in the record
    file: Optional[FileFound]  # the file for the flusher to read; only for the drop-in for ``backtracepython``
    left_out: Optional[str]  # why the event is sent without it; None if it is sent


class Event(TypedDict):
    """The content of a record of kind ``event``."""

    id: str  # 32 lower-case hex digits, fixed at capture
    timestamp: float
    level: Level
    message: Optional[str]  # of capture_message; None for an exception
    exceptions: list[ExceptionInfo]  # the raised one first, then its chain; [] for a message
    stack: list[Frame]  # of the capturing call, for a message, if Needs.message_stack; else []
    handled: bool  # false for an uncaught exception
    mechanism: str  # the call or hook that captured it: capture_exception, sys.excepthook …
    thread: ThreadInfo
    threads: list[ThreadStack]  # the other threads, if Needs.all_threads or the option; in a burst only in some events
    process: ProcessInfo
    host: HostInfo
    runtime: RuntimeInfo
    environment: str
    release: str
    user: Optional[dict[str, Any]]
    tags: dict[str, str]  # the program's, and FLOOD_TAG; TRIMMED_TAG is added when it is sent
    extra: dict[str, Any]  # the program's values by name
    contexts: dict[str, dict[str, Any]]  # the program's groups of values by name
    breadcrumbs: list[Breadcrumb]  # the oldest first; an ``event_json.EncodedList`` unless a hook needs a list
    fingerprint: list[str]  # events with the same one belong together; [] for the tracker's own grouping
    transaction: Optional[str]  # the program's current work, for example POST /checkout
    attachments: list[Attachment]  # also those that were left out
    sources: dict[str, tuple[int, int]]  # absolute path → (mtime_ns, size) of every file that a frame shows


#: Parts that older versions do not write, and their defaults.
_ADDED: dict[str, Any] = {
    "threads": [],
    "extra": {},
    "contexts": {},
    "breadcrumbs": [],
    "fingerprint": [],
    "transaction": None,
    "attachments": [],
}


def with_all_parts(event: Mapping[str, Any]) -> Event:
    """Return ``event`` with all parts: an older lastword, which knew fewer, may have written its record."""
    return cast("Event", {**_ADDED, **event})


def attachments_left_out(event: Event, why: str) -> Event:
    """Return the event without the contents of its attachments; each attachment says ``why`` it was left out."""
    attachments = event["attachments"]
    bare = [{**one, "content": None, "file": None, "left_out": one["left_out"] or why} for one in attachments]
    return cast("Event", {**event, "attachments": bare})


def describe_attachment(attachment: Attachment) -> str:
    """Describe an attachment in a few words."""
    size, left_out = attachment["size"], attachment["left_out"]
    name = f"{attachment['name']} ({size} bytes)" if size or not left_out else attachment["name"]
    return f"{name}: {left_out}" if left_out else name


class Needs(NamedTuple):
    """The data that a wire format needs and that only capture can collect."""

    message_stack: bool = False  # the caller's stack, for messages too
    all_threads: bool = False  # the stacks of the other threads
    memory: bool = False  # figures of the process and the machine from /proc


class Origin(NamedTuple):
    """Where an event comes from: events of one origin are similar. Known before the event is read; not a part of it."""

    kind: str  # the exception's class with its module, or ``message``
    file: str  # the file of the line that raised it, else of the line that captured it; as the code object names it
    line: int


def placeholder(file: str, function: str, line: int) -> Frame:
    """Return a frame of which only these values are known."""
    return {
        "file": file,
        "path": file,
        "module": None,
        "function": function,
        "qualname": function,
        "line": line,
        "columns": None,
        "first_source_line": 0,
        "source": [],
        "in_app": False,
        "variables": [],
    }


def frames_left_out(count: int) -> Frame:
    """Return the frame that replaces ``count`` left-out frames in a stack."""
    return placeholder(LEFT_OUT, f"({count} frames left out)", 0)


def shown_value(variable: Variable) -> str:
    """Return the text shown for a variable's value: its repr, ``[filtered]``, or ``<TypeName>`` if repr failed."""
    _name, mark, text = variable
    if mark == "filtered":
        return FILTERED
    return f"<{text}>" if mark == "failed" else text


def new_id() -> str:
    """Return a random event id: a version 4 UUID as 32 hex digits, from the kernel, so that forked children differ."""
    raw = bytearray(os.urandom(16))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    return raw.hex()
