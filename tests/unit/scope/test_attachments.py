"""The promise: what is attached is copied when an event is captured, within its record, and nothing is waited for."""

from __future__ import annotations

import base64
import contextvars
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

from lastword import diagnostics
from lastword.event import Attachment, Event
from lastword.event_json import to_json
from lastword.scope.attachments import MAX_ATTACHMENTS, MAX_DATA, Wanted, attach, wanted_file
from lastword.scope.context import add_attachment, attachments, new_scope
from lastword.spool.record import MAX_BODY, MAX_RECORD, encode_event
from tests.support.events import exception_event
from tests.support.promise import Section, promise
from tests.support.second_user import VICTIM, as_user, open_ground

MAX_FILE = 1 << 20


@pytest.fixture(autouse=True)
def _nothing_waits_to_be_told() -> Iterator[None]:
    diagnostics.forget()
    yield
    diagnostics.forget()


def with_attached(most: int = MAX_RECORD) -> Event:
    """An event with what this context has attached."""
    event = exception_event()
    attach(event, attachments(), most)
    return event


def copies(most: int = MAX_RECORD) -> list[tuple[str, Any]]:
    """Names and contents; in place of the content why it is missing."""
    return [(one["name"], one["left_out"] or content_of(one)) for one in with_attached(most)["attachments"]]


def content_of(one: Attachment) -> bytes:
    assert one["content"] is not None
    return base64.b64decode(one["content"])


def in_new_context(run: Callable[[], Any]) -> Any:
    return contextvars.Context().run(run)


@promise(
    Section.ATTACHMENTS,
    "Attaching a pipe neither waits nor wakes its writer",
    broken_by="no check for a regular file; no check before it is opened",
)
class TestFiles:
    """They are read at the capture."""

    def test_files_are_read_at_the_capture(self, tmp_path: Path) -> None:
        """Given as a text or a path, under their name or another one, each time anew."""
        path = tmp_path / "shop.log"
        path.write_bytes(b"before")
        add_attachment(str(path))
        add_attachment(path, name="again", content_type="text/plain")
        path.write_bytes(b"then")
        event = with_attached()
        path.unlink()
        assert [(one["name"], one["type"], one["size"], content_of(one)) for one in event["attachments"]] == [
            ("shop.log", "application/octet-stream", 4, b"then"),
            ("again", "text/plain", 4, b"then"),
        ]
        assert copies() == [("shop.log", "it could not be read"), ("again", "it could not be read")]

    def test_a_relative_path_is_that_of_the_call(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Wherever the program has gone since."""
        (tmp_path / "a").write_bytes(b"here")
        monkeypatch.chdir(tmp_path)
        add_attachment("a")
        monkeypatch.chdir("/")
        assert copies() == [("a", b"here")]

    def test_only_regular_files_are_read(self, tmp_path: Path) -> None:
        """A directory, a pipe without another end, a device, a name that cannot be one."""
        os.mkfifo(tmp_path / "pipe")
        for path in (tmp_path, tmp_path / "pipe", "/dev/zero", "nul\0", tmp_path / "missing"):
            add_attachment(path)
        assert [why for _, why in copies()] == ["it could not be read"] * 5
        (told,) = diagnostics.waiting()
        assert "missing: it could not be read" in told

    def test_writer_that_waits_for_a_pipe_is_not_woken(self, tmp_path: Path) -> None:
        """Opening it would let them write, and then break their pipe."""
        os.mkfifo(tmp_path / "pipe")
        opened = threading.Event()

        def write() -> None:
            with (tmp_path / "pipe").open("wb"):
                opened.set()

        writer = threading.Thread(target=write)
        writer.start()
        try:
            add_attachment(tmp_path / "pipe")
            for _ in range(100):
                with_attached()
            assert not opened.is_set()
        finally:
            reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
            writer.join(30)
            os.close(reading)

    def test_unreadable_file_is_named(self) -> None:
        """As one that is not there."""
        with open_ground() as ground:
            (ground / "secret").touch(mode=0)

            def capture() -> None:
                add_attachment(ground / "secret")
                assert copies() == [("secret", "it could not be read")]

            if os.geteuid() == 0:  # who may read everything
                as_user(VICTIM, capture)
            else:
                capture()

    def test_a_full_descriptor_table_costs_no_event(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The file is named."""
        (tmp_path / "a").write_bytes(b"a")
        add_attachment(tmp_path / "a")
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", _fail)
            assert copies() == [("a", "it could not be read")]

    def test_odd_names_are_kept_in_bounds(self, tmp_path: Path) -> None:
        """As texts that any tracker can store."""
        odd = os.path.join(os.fsencode(tmp_path), b'\xff\n"')
        with open(odd, "wb"):
            pass
        add_attachment(os.fsdecode(odd))
        for name in ("é" * 1000, "", 7, "\ud800"):
            add_attachment(data=b"", name=name)  # type: ignore[arg-type]
        names = [name for name, _ in copies()]
        assert names == ['\\udcff\n"', "é" * 199 + "…", "attachment", "7", "\\ud800"]


def _fail(*_: object, **__: object) -> int:
    raise OSError(24, "Too many open files")


@promise(Section.ATTACHMENTS, "Attachments are stored in the event's record")
class TestData:
    """It is copied by the call."""

    def test_a_later_change_does_not_show(self) -> None:
        """Texts become UTF-8; what is no text is taken as it is."""
        data = bytearray(b"bytes")
        add_attachment(data=data, name="a")  # type: ignore[arg-type]
        data[:] = b"other"
        add_attachment(data="text é \ud800", name="b", content_type="text/plain")
        assert copies() == [("a", b"bytes"), ("b", "text é \\ud800".encode())]

    def test_a_context_keeps_no_more_than_would_ever_fit(self) -> None:
        """All together; what is too much is known by its size alone."""
        for _ in range(3):
            add_attachment(data=b"x" * (MAX_DATA // 2))
        add_attachment(data="é" * MAX_DATA)
        kept = attachments()
        assert [one.content is not None for one in kept] == [True, True, False, False]
        assert [one.size for one in kept] == [MAX_DATA // 2] * 3 + [MAX_DATA]
        assert sum(len(one.content or "") for one in kept) <= MAX_RECORD

    @pytest.mark.parametrize("odd", [7, [1], object(), {"a": 1}, memoryview(b"abcd")[::2]])
    def test_no_argument_raises(self, odd: Any) -> None:
        """Wrong types, nothing, or two contents at once are not attached, and that is noted."""
        before = attachments()
        add_attachment(data=odd)
        add_attachment(odd)
        add_attachment()
        add_attachment("a", data="b")
        assert attachments() == before or type(odd) is memoryview
        assert copies() == ([("attachment", b"ac")] if type(odd) is memoryview else [])


@promise(
    Section.ATTACHMENTS,
    "Attachments are stored in the event's record",
    broken_by="room not counted; no limit of ten; data kept whatever its size",
)
class TestRoom:
    """All of it stands in one record."""

    @pytest.mark.parametrize("most", [8_000, 60_000, 300_000, MAX_RECORD])
    def test_an_event_with_its_attachments_fits_into_a_record(self, tmp_path: Path, most: int) -> None:
        """Attachments that do not fit are named with their size; later ones may still fit."""
        (tmp_path / "huge").write_bytes(b"h" * MAX_RECORD)
        (tmp_path / "large").write_bytes(b"l" * (most // 3))
        for name in ("huge", "large", "large", "large"):
            add_attachment(tmp_path / name)
        add_attachment(data=b"small", name="small")
        event = with_attached(most)
        assert len(encode_event(event["id"], None, event)) <= most
        huge, *others, small = event["attachments"]
        assert (huge["content"], huge["size"], huge["left_out"]) == (None, MAX_RECORD, "there was no room for it")
        assert others[-1]["left_out"] == "there was no room for it"
        assert small["left_out"] is None
        if most == MAX_RECORD:
            assert [one["left_out"] is None for one in others] == [True, True, False]

    def test_event_without_room_for_a_note_is_kept(self) -> None:
        """An event that fills its record is not to be refused for what it cannot take along."""
        add_attachment(data=b"", name="n" * 200)
        event = exception_event()
        attach(event, attachments(), len(to_json(event)) + 4200)
        assert event["attachments"] == []
        (told,) = diagnostics.waiting()
        assert told.startswith("an event went without an attachment: nnn")

    def test_at_most_ten_attachments(self) -> None:
        """Later ones take no one's place, and that is noted."""
        for number in range(MAX_ATTACHMENTS + 2):
            add_attachment(data=b"", name=str(number))
        assert [name for name, _ in copies()] == [str(number) for number in range(MAX_ATTACHMENTS)]

    def test_names_of_unreadable_files_are_bounded(self) -> None:
        """Ten that cannot be read, with the longest names."""
        for _ in range(MAX_ATTACHMENTS):
            add_attachment("/" + "\U0001f4a5" * 1000, name="\U0001f4a5" * 1000, content_type="\U0001f4a5" * 1000)
        event = with_attached()
        assert len(encode_event(event["id"], None, event)) <= MAX_BODY
        assert len(to_json(event)) < 70_000


class TestContexts:
    """What is attached is attached for the work at hand."""

    def test_new_scope_forgets_and_threads_start_with_nothing(self) -> None:
        """As with all that a program says of its work."""
        add_attachment(data=b"", name="outer")
        seen: list[Any] = []
        with new_scope():
            add_attachment(data=b"", name="inner")
            seen.append(copies())
            thread = threading.Thread(target=contextvars.Context().run, args=(lambda: seen.append(copies()),))
            thread.start()
            thread.join(30)
            thread = threading.Thread(target=contextvars.copy_context().run, args=(lambda: seen.append(copies()),))
            thread.start()
            thread.join(30)
        both = [("outer", b""), ("inner", b"")]
        assert [*seen, copies()] == [both, [], both, [("outer", b"")]]

    def test_forked_child_starts_with_its_parents_attachments(self) -> None:
        """Its own do not reach the parent."""
        add_attachment(data=b"p", name="parent")
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            add_attachment(data=b"c", name="child")
            os.write(writing, ",".join(name for name, _ in copies()).encode())
            os._exit(0)
        os.waitpid(pid, 0)
        assert os.read(reading, 1000) == b"parent,child"
        assert copies() == [("parent", b"p")]
        os.close(reading)
        os.close(writing)


class TestLeftToTheFlusher:
    """The drop-in for ``backtracepython`` has what is too large for a record read later."""

    def attached(self, *paths: Any, most: int = 100_000) -> list[Attachment]:
        event = exception_event()
        attach(event, [wanted_file(path, by_flusher=True) for path in paths], most, MAX_FILE)
        assert len(to_json(event)) <= most
        return event["attachments"]

    def test_paths_that_are_no_files_are_passed_over(self, tmp_path: Path) -> None:
        """Without a word, as that package does."""
        os.mkfifo(tmp_path / "pipe")
        assert self.attached(tmp_path / "missing", tmp_path, tmp_path / "pipe", b"nul\0") == []
        assert diagnostics.waiting() == []

    def test_a_file_that_does_not_fit_is_left_and_the_next_one_still_fits(self, tmp_path: Path) -> None:
        """It is known again by its device and inode, and its size says how much of it is meant."""
        (tmp_path / "large").write_bytes(b"x" * 90_000)
        (tmp_path / "small").write_bytes(b"y")
        found = (tmp_path / "large").stat()
        large, small = self.attached(tmp_path / "large", tmp_path / "small")
        assert (large["content"], large["left_out"]) == (None, None)
        assert large["file"] == {
            "path": str(tmp_path / "large"),
            "device": found.st_dev,
            "inode": found.st_ino,
            "size": 90_000,
        }
        assert (small["file"], content_of(small)) == (None, b"y")

    def test_file_that_is_too_large_for_any_tracker_is_named(self, tmp_path: Path) -> None:
        """Without reading it."""
        with (tmp_path / "huge").open("wb") as file:
            file.truncate(MAX_FILE + 1)
        (huge,) = self.attached(tmp_path / "huge")
        assert (huge["size"], huge["content"], huge["file"]) == (MAX_FILE + 1, None, None)
        assert huge["left_out"]

    def test_all_files_together_are_bounded(self, tmp_path: Path) -> None:
        """As they stand in the record; beside what the event had already."""
        for number in range(10):
            (tmp_path / f"{number}").write_bytes(b"x" * 20_000)
        found = self.attached(*(tmp_path / f"{number}" for number in range(10)))
        assert [one["file"] is None for one in found] == [True] * 3 + [False] * 7
        event = exception_event(attachments=found[:1])
        attach(event, [Wanted("more", content="eA==", size=1)], MAX_RECORD)
        assert [one["name"] for one in event["attachments"]] == ["0", "more"]
        assert len(found) == 10


def test_defect_in_attachments_costs_no_event() -> None:
    """The event goes without its attachments, and a note says so."""
    event = exception_event()
    attach(event, [Wanted("a", content=object())], MAX_RECORD)  # type: ignore[arg-type]
    assert event["attachments"] == []
    assert any("without its attachments" in text for text in diagnostics.waiting())
