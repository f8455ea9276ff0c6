"""``BacktraceReport``: a report that the program can change until it is sent."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Optional, cast

from lastword import diagnostics
from lastword.assembly import message_event
from lastword.capture.budget import Room
from lastword.capture.exception import exception_tree, type_only
from lastword.capture.frames import StackReader
from lastword.capture.safe_text import clean_marked, describe
from lastword.capture.settings import CaptureSettings
from lastword.capture.threads import other_threads
from lastword.compat.backtracepython.as_simplejson import json_copy
from lastword.compat.backtracepython.attributes import AGENT, merged
from lastword.compat.backtracepython.handler import Handler, capture_settings, globs
from lastword.compat.backtracepython.version import version_string
from lastword.event import Event, Level, ThreadStack, new_id
from lastword.event_json import to_json
from lastword.interruption import anything, failures, suppressed
from lastword.scope.attachments import Wanted, attach, wanted_file
from lastword.scrub import scrub
from lastword.spool.record import MAX_RECORD
from lastword.wire.backtrace import exception_annotation, report_without_source
from lastword.wire.backtrace_prepared import Prepared, with_prepared

#: The most JSON characters for the program's attributes and annotations in a report.
VALUES_ROOM = 300_000

#: The largest file that is sent, in bytes.
MAX_FILE = 64 << 20

#: Bytes reserved for the record around an event and for the report's own small parts.
_AROUND = 4096

_MAX_MESSAGE = 8192

#: The settings of reports made before ``initialize``.
_EARLY = capture_settings()


class BacktraceReport:
    """The state of the program when this object was made: time, attributes, the stacks of all threads.

    It can be made before ``initialize``. Its values may be changed until it is sent; a copy is sent.

    Attributes:
        faulting_thread_id: the id of the faulting thread, which is the thread that made this object.
        attachments: paths of files.
        log_lines: the lines given to ``log``, with their times.
        source_code, source_path_dict: empty; kept for programs that read them.
    """

    def __init__(self) -> None:
        self._event = message_event("", level="error", settings=_settings(), mechanism="BacktraceReport")
        self._event["threads"] = _other_threads()
        self._times_sent = 0
        self._in_programs_hands: Optional[dict[str, Any]] = None
        self._attributes, self._annotations = merged(self._event["process"], self._event["host"])
        self._attributes["error.type"] = "Exception"
        self.faulting_thread_id = str(self._event["thread"]["id"])
        self.source_code: dict[str, Any] = {}
        self.source_path_dict: dict[str, Any] = {}
        self.attachments: list[Any] = []
        self.log_lines: list[dict[str, Any]] = []

    @property
    def fault_thread(self) -> threading.Thread:
        known: dict[int, threading.Thread] = getattr(threading, "_active", {})
        return known.get(self._event["thread"]["id"], threading.main_thread())

    @property
    def report(self) -> dict[str, Any]:
        """The report itself. It may be changed at any depth; its state at the time of sending is sent."""
        if self._in_programs_hands is None:
            self._in_programs_hands = report_without_source(self._event, self._prepared())
        return self._in_programs_hands

    @report.setter
    def report(self, report: dict[str, Any]) -> None:
        self._in_programs_hands = report

    def set_exception(
        self, garbage: Any, ex_value: Optional[BaseException], ex_traceback: Optional[TracebackType]
    ) -> None:
        """Make this the report of an exception; do nothing if ``ex_value`` is not one."""
        if not issubclass(type(ex_value), BaseException):
            return
        error = cast("BaseException", ex_value)
        room = Room()
        reader = StackReader(_settings(), room)
        try:
            self._event["exceptions"] = exception_tree(error, ex_traceback, reader, room)
            self._event["sources"] = {**self._event["sources"], **reader.sources}
        except failures() as trouble:
            diagnostics.note("capture", f"an exception was reported without its stack: {describe(trouble)}")
            self._event["exceptions"] = [type_only(error)]
        raised = self._event["exceptions"][0]
        self.set_attribute("error.message", raised["value"])
        self.set_annotation("Exception", exception_annotation(raised, self._event["runtime"]["version"]))
        if self._in_programs_hands is not None:
            fresh = report_without_source(self._event, self._prepared())
            self._in_programs_hands.update({key: fresh[key] for key in ("mainThread", "threads", "classifiers")})

    def capture_last_exception(self) -> None:
        """Make this the report of the exception being handled, if there is one."""
        self.set_exception(*sys.exc_info())

    def set_attribute(self, key: Any, value: Any) -> None:
        self.get_attributes()[key] = value

    def set_dict_attributes(self, target_dict: Any) -> None:
        self.get_attributes().update(target_dict)

    def get_attributes(self) -> dict[Any, Any]:
        """Return the attributes that will be sent; the caller may change them."""
        return self._attributes if self._in_programs_hands is None else self._in_programs_hands["attributes"]

    def set_annotation(self, key: Any, value: Any) -> None:
        self.get_annotations()[key] = value

    def get_annotations(self) -> dict[Any, Any]:
        """Return the annotations that will be sent; the caller may change them."""
        return self._annotations if self._in_programs_hands is None else self._in_programs_hands["annotations"]

    def set_dict_annotations(self, target_dict: Any) -> None:
        self.get_annotations().update(target_dict)

    def log(self, line: Any) -> None:
        """Add a line, with the time, to the annotation ``Log``."""
        self.log_lines.append({"ts": time.time(), "msg": line})

    def add_attachment(self, attachment_path: Any) -> None:
        self.attachments.append(attachment_path)

    def get_attachments(self) -> list[Any]:
        return self.attachments

    def get_data(self) -> dict[str, Any]:
        """Return the whole report; the caller may change it."""
        return self.report

    def send(self) -> None:
        """Send the report as it is now; before ``initialize``, do nothing.

        Each repeat is a new report with its own uuid, because a tracker refuses a second report with the same uuid.
        """
        keep(self)

    def _prepared(self) -> Prepared:
        return {
            "agent": AGENT,
            "agent_version": version_string,
            "attributes": self._attributes,
            "annotations": self._annotations,
            "tab_width": 8,
            "source_wanted": True,
            "lines_around": 0,
            "source": {},
            "report": None,
        }

    def _to_send(self, handler: Handler, attachments: Sequence[Any], level: Level) -> Event:
        """Return the current event; it shares no mutable data with this report."""
        attributes, annotations = self._values()
        if self.log_lines and "Log" not in annotations:
            annotations["Log"] = self.log_lines
        event = cast("Event", {**self._event, "level": level, "handled": level != "fatal"})
        self._times_sent += 1
        if self._times_sent > 1:
            event["id"] = new_id()
        if not event["exceptions"]:
            event["message"] = clean_marked(_text(attributes.get("error.message", "")), _MAX_MESSAGE)
        prepared: Prepared = {
            **self._prepared(),
            "tab_width": json_copy(handler.tab_width, Room(100)),
            "source_wanted": bool(handler.collect_source_code),
            "lines_around": max(0, handler.context_line_count),
        }
        if self._in_programs_hands is None:
            values = json_copy({"attributes": attributes, "annotations": annotations}, Room(VALUES_ROOM))
            values = _scrubbed(values, event, handler)
            prepared["attributes"], prepared["annotations"] = values["attributes"], values.get("annotations", {})
        else:
            event["threads"] = []  # the report contains them
            room = MAX_RECORD - len(to_json(event)) - _AROUND
            report = json_copy({**self._in_programs_hands, **self._own_uuid(event)}, Room(room))
            prepared["report"] = _scrubbed(report, event, handler)
            prepared["attributes"], prepared["annotations"] = {}, {}
        event = with_prepared(event, prepared)
        if files := [*_all_of(self.attachments), *attachments]:
            attach(event, _wanted(files), MAX_RECORD, MAX_FILE)
        return event

    def _values(self) -> tuple[dict[Any, Any], dict[Any, Any]]:
        """Return attributes and annotations; {} for those that the program has replaced by a non-dict."""
        if self._in_programs_hands is None:
            return self._attributes, self._annotations
        report: dict[str, Any] = self._in_programs_hands
        attributes: Any = report.get("attributes")
        annotations: Any = report.get("annotations")
        return (
            attributes if issubclass(type(attributes), dict) else {},
            annotations if issubclass(type(annotations), dict) else {},
        )

    def _own_uuid(self, event: Event) -> dict[str, str]:
        if self._times_sent == 1:
            return {}
        return {"uuid": str(report_without_source(event, self._prepared())["uuid"])}


def keep(report: BacktraceReport, attachments: Sequence[Any] = (), *, level: Level = "error") -> Optional[str]:
    """Record ``report`` with its own files, the client's and ``attachments``; return its id, or None on failure."""
    handler = globs.handler
    if handler is None:
        return None
    files = [*_all_of(globs.attachments), *_all_of(attachments)]
    return handler.keep(lambda: report._to_send(handler, files, level))


def _scrubbed(values: dict[str, Any], event: Event, handler: Handler) -> dict[str, Any]:
    """Return ``values`` scrubbed by the rules; the event itself is scrubbed before it is written to disk."""
    rules = handler.client.recorder.rules
    return values if rules.off else scrub(cast("Event", {**event, "extra": values}), rules)["extra"]


def _all_of(paths: Any) -> list[Any]:
    """Return the program's ``paths`` as a list; accept a single path, and return [] for anything else."""
    try:
        return [paths] if isinstance(paths, (str, bytes, os.PathLike)) else list(paths)
    except failures():
        return []


def _wanted(paths: Sequence[Any]) -> list[Wanted]:
    """Return the files to attach, without values that are not paths; paths that are not files are skipped later."""
    wanted: list[Wanted] = []
    for path in paths:
        with suppressed(ValueError, TypeError):
            wanted.append(wanted_file(path, by_flusher=True))
    return wanted


def _settings() -> CaptureSettings:
    handler = globs.handler
    return _EARLY if handler is None else handler.settings


def _other_threads() -> list[ThreadStack]:
    try:
        return other_threads(Room(), at_any_price=True)
    except failures() as trouble:
        diagnostics.note("capture", f"a report was made without its other threads: {describe(trouble)}")
        return []


def _text(value: Any) -> str:
    try:
        return value if type(value) is str else str(value)
    except anything():
        return ""
