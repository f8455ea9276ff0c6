"""The Event: what happened, in no vendor's dialect.

An Event is a JSON object from the moment it is built: the capture path writes it as it stands, the flusher reads it
as it stands, and a wire format turns it into what its tracker expects. All times are Unix seconds. All texts are
bounded by capture. Lists of frames run from the outermost call to the point of the raise.
"""

# Without annotations from __future__: TypedDict would compile each of them, which took 4 ms of every import.
import os
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Optional, TypedDict, Union, cast

from lastword import diagnostics

Level = Literal["fatal", "error", "warning", "info", "debug"]
LEVELS: tuple[Level, ...] = ("fatal", "error", "warning", "info", "debug")

#: What the calls take for one: a name, in any case, also logging's CRITICAL and WARN, or a number of logging.
LevelLike = Union[str, int]

_name_of = type.__dict__["__name__"].__get__  # a metaclass of the program's may have ideas of its own

_LEVELS_BY_NAME: dict[str, Level] = {**{level: level for level in LEVELS}, "critical": "fatal", "warn": "warning"}


def level_of_number(number: float) -> Level:
    """The level for a number of logging: CRITICAL is fatal, and what lies between two counts as the lower one."""
    if number >= 40:
        return "fatal" if number >= 50 else "error"
    if number >= 20:
        return "warning" if number >= 30 else "info"
    return "debug"


def known_level(level: object) -> Optional[Level]:
    """The level that ``level`` (see LevelLike) stands for; None where it is none."""
    kind = type(level)
    if kind is str:
        return _LEVELS_BY_NAME.get(level) or _LEVELS_BY_NAME.get(level.strip().lower())  # type: ignore[call-overload, attr-defined]
    if kind is not bool and issubclass(kind, int):
        return level_of_number(int.__index__(level))  # type: ignore[arg-type]
    return known_level("".join((level,))) if issubclass(kind, str) else None  # type: ignore[arg-type]


def level_from(level: object, otherwise: Level, caller: str) -> Level:
    """The level that ``level`` stands for; where it is none, ``otherwise``, and a note says so for ``caller``."""
    known = known_level(level)
    if known is None:
        shown = f"{level[:50]!r}" if type(level) is str else f"a {''.join((_name_of(type(level)),))}"
        diagnostics.note(
            f"{caller} level", f"{caller} was given {shown} as level, which is none of {', '.join(LEVELS)}: {otherwise}"
        )
    return known or otherwise


#: The tag by which an event tells that others like it were left out before it, in a flood:
#: ``137 like this left out since 2025-03-01T12:04:05Z``.
FLOOD_TAG = "lastword.flood"

#: The tag that says what was left out of an event to make it as small as its tracker wants it.
TRIMMED_TAG = "lastword.trimmed"

#: The tag that says what of an event did not fit as ``before_send`` had returned it, and is left out or replaced.
BEFORE_SEND_TAG = "lastword.before_send"

#: The tag that names the attachments of an event where its tracker has no place for them.
ATTACHMENTS_TAG = "lastword.attachments"

#: The file of a frame that stands where frames were left out; its function says how many.
LEFT_OUT = "<left out>"

#: The context that tells what was logged: of an exception the ``message``, and what the call gave as ``extra``.
LOGGED = "logging"

#: What stands for a value that was taken out.
FILTERED = "[filtered]"

#: How a variable came to its text: shown by its repr, withheld for its name, or its repr failed (text: its type).
Mark = Literal["repr", "filtered", "failed"]

#: ``(name, mark, text)``; a JSON array of three strings once it has been on disk.
Variable = tuple[str, Mark, str]


class Frame(TypedDict):
    """One call on a stack. Where a deep stack was cut, ``frames_left_out`` tells how many are missing."""

    file: str  # the code object's file name, as it is
    path: str  # the same made absolute against the working directory at capture
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
    kind: Optional[Literal["cause", "context", "member"]]  # how it is tied to its parent; None for the raised one
    parent: Optional[int]  # index in Event.exceptions; None for the raised one
    notes: list[str]  # PEP 678
    frames: list[Frame]


class Breadcrumb(TypedDict):
    """Something that happened before, in the context that captured."""

    timestamp: float
    type: str  # such as default, http, navigation, log, user
    category: str  # "" for none
    level: Level
    message: str
    data: dict[str, Any]  # {} for none


class ThreadInfo(TypedDict):
    """The thread that captured."""

    id: int
    name: str
    main: bool


#: One call of a thread that did not capture: ``(absolute path, function, line)``; LEFT_OUT in place of the path where
#: calls were left out. A JSON array once it has been on disk.
Call = tuple[str, str, int]


class ThreadStack(TypedDict):
    """A thread that went on while another one captured."""

    id: int
    name: str
    main: bool
    calls: list[Call]  # outermost first, at most 50 and the word about those left out


class ProcessInfo(TypedDict):
    """The process that captured, as it was at that moment."""

    pid: int
    parent: int  # its parent's pid
    name: str  # multiprocessing's name for it: MainProcess, ForkPoolWorker-1 …
    program: str  # sys.argv[0]
    age: float  # seconds since the kernel started it
    session: str  # a UUID, the same for all events of one process
    role: str  # gunicorn worker, Celery pool child, script, python -m shop … (``capture.role``)
    command: str  # the kernel's name for it, at most 15 bytes; "" where there is no /proc
    memory: int  # bytes resident, as of the last second; 0 where there is no /proc
    status: dict[str, int]  # /proc/self/status by the kernel's names, kB made bytes; {} unless Needs.memory


class HostInfo(TypedDict):
    """The machine that captured."""

    hostname: str
    sysname: str
    release: str
    version: str
    machine: str
    machine_id: str  # systemd's or D-Bus's; the hostname where there is none
    memory: dict[str, int]  # /proc/meminfo by the kernel's names, kB made bytes; {} unless Needs.memory


class RuntimeInfo(TypedDict):
    """The interpreter that captured."""

    name: str  # CPython, PyPy
    version: str  # 3.11.7
    release_level: str  # final, candidate …


class FileFound(TypedDict):
    """A file too large for a record, and what it was: as long as it has only grown, its beginning is what was meant."""

    path: str  # absolute
    device: int
    inode: int
    size: int


class Attachment(TypedDict):
    """A file, or data, that goes with the event, as it was at capture."""

    name: str
    type: str  # its media type
    size: int  # bytes; 0 where it could not be read
    content: Optional[str]  # base64; None where it is not in the record
    file: Optional[FileFound]  # where the flusher is to read it; for the drop-in for ``backtracepython`` alone
    left_out: Optional[str]  # why the event goes without it, if it does


class Event(TypedDict):
    """What a record of kind ``event`` holds."""

    id: str  # 32 lower-case hex digits, fixed at capture
    timestamp: float
    level: Level
    message: Optional[str]  # of capture_message; None for an exception
    exceptions: list[ExceptionInfo]  # the raised one first, then its chain; [] for a message
    stack: list[Frame]  # of the capturing call, for a message, where Needs.message_stack; else []
    handled: bool  # false when nobody caught it
    mechanism: str  # what captured it: capture_exception, sys.excepthook …
    thread: ThreadInfo
    threads: list[ThreadStack]  # the others, where Needs.all_threads or the option; in a burst with some events only
    process: ProcessInfo
    host: HostInfo
    runtime: RuntimeInfo
    environment: str
    release: str
    user: Optional[dict[str, Any]]
    tags: dict[str, str]  # the program's, and FLOOD_TAG; TRIMMED_TAG on its way out
    extra: dict[str, Any]  # values of the program's by their names
    contexts: dict[str, dict[str, Any]]  # groups of values of the program's by their names
    breadcrumbs: list[Breadcrumb]  # the oldest first; an ``event_json.EncodedList`` as long as no hook asks for more
    fingerprint: list[str]  # events with the same belong together; [] for the tracker's own grouping
    transaction: Optional[str]  # what the program was doing, such as POST /checkout
    attachments: list[Attachment]  # what the program attached, and what of it was left out
    sources: dict[str, tuple[int, int]]  # absolute path → (mtime_ns, size) of every file that a frame shows


#: Parts that were not there at first, and what stands for them where there are none.
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
    """The event of a record that may have been written by an older lastword, which knew fewer parts."""
    return cast("Event", {**_ADDED, **event})


def attachments_left_out(event: Event, why: str) -> Event:
    """The event without the contents of its attachments, which says that they were left out, and ``why``."""
    attachments = event["attachments"]
    bare = [{**one, "content": None, "file": None, "left_out": one["left_out"] or why} for one in attachments]
    return cast("Event", {**event, "attachments": bare})


def told_of(attachment: Attachment) -> str:
    """An attachment in a few words."""
    size, left_out = attachment["size"], attachment["left_out"]
    name = f"{attachment['name']} ({size} bytes)" if size or not left_out else attachment["name"]
    return f"{name}: {left_out}" if left_out else name


class Needs(NamedTuple):
    """What a wire format wants capture to take, because nobody can take it later."""

    message_stack: bool = False  # the caller's stack, for messages too
    all_threads: bool = False  # the stacks of the other threads
    memory: bool = False  # figures of the process and the machine from /proc


class Origin(NamedTuple):
    """Where an event comes from: events of one origin are alike. Known before the event is read; not a part of it."""

    kind: str  # the exception's class with its module, or ``message``
    file: str  # of the line that raised it, or that captured it where none did; as the code object names it
    line: int


def placeholder(file: str, function: str, line: int) -> Frame:
    """A frame of which no more is known."""
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
    """The frame that stands in a stack where ``count`` frames were left out."""
    return placeholder(LEFT_OUT, f"({count} frames left out)", 0)


def new_id() -> str:
    """A random event id: a UUID of version 4 as 32 hex digits. From the kernel, so that forked children differ."""
    raw = bytearray(os.urandom(16))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    return raw.hex()
