"""The promise: while a flusher lives, power loss costs at most the last second; last words cost nothing.

The power cut: the image of a loop-mounted ext4 is copied while programs write to it. What the kernel has not put on the
disk is not in the copy, and its journal is replayed when the copy is mounted, as after a real cut.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from lastword.spool.layout import Layout
from lastword.spool.lock import holder
from lastword.spool.reader import list_segments, read_lines
from lastword.spool.record import Record
from lastword.testing import LoopbackTracker
from tests.support import filesystems
from tests.support.programs import Program, wait_until, wait_until_no_flusher
from tests.support.promise import Section, promise

TIMED = """
import json
for line in sys.stdin:
    event_id = lastword.capture_message("x" * 500)
    os.write(1, f"{event_id} {time.time()}\\n".encode())
    time.sleep(0.02)  # so that some seconds of them fit into the limit of a small disk
"""


def ids_on(disk: Path) -> set[str]:
    """Every event id in the spool of a disk."""
    found = set()
    for directory in (disk / "spool/v1/writers").glob("*"):
        for number in list_segments(str(directory)).numbered:
            lines = read_lines(str(directory / f"{number:06d}.seg"), 0, finished=True)
            found |= {line.found.id for line in lines if isinstance(line.found, Record)}
    return found


def cut_power(disk: Path, image: Path, directory: Path) -> Path:
    """What would be on the disk after a power cut now: a copy of the image, mounted."""
    copy = directory / "after.img"
    subprocess.run(["cp", "--sparse=always", str(image), str(copy)], check=True)
    place = directory / "after"
    place.mkdir()
    subprocess.run(["mount", "-o", "loop", str(copy), str(place)], check=True, capture_output=True)
    return place


@promise(Section.NOT_LOST, "A power cut costs at most the last second", broken_by="no sync by the flusher")
def test_only_the_last_second_is_at_risk(tmp_path: Path) -> None:
    """Everything captured more than two looks of the flusher before the cut is there after it."""
    with filesystems.ext4(tmp_path, 32) as disk, LoopbackTracker() as tracker:
        tracker.go_down()
        with Program(TIMED, spool=disk / "spool", dsn=tracker.dsn) as program:
            acked: dict[str, float] = {}

            def capture() -> None:
                program.tell("")
                event_id, at = program.line().split()
                acked[event_id] = float(at)

            capture()
            wait_until(lambda: holder(Layout(str(disk / "spool")).flusher_lock), "a flusher")
            until = time.time() + 3.6
            while time.time() < until:
                capture()
                time.sleep(0.02)  # a program that captures, not one that does nothing else
            after = cut_power(disk, tmp_path / "ext4.img", tmp_path)
            cut_at = time.time()
            try:
                survived = ids_on(after)
            finally:
                filesystems.unmount(after)
            program.end()
        tracker.come_up()
        tracker.wait_for(len(acked), timeout=60)
        wait_until_no_flusher(disk / "spool")
    safe = {event_id for event_id, at in acked.items() if at < cut_at - 3.0}
    assert len(safe) > 1
    assert safe <= survived


@promise(
    Section.NOT_LOST,
    "An uncaught exception is synced to disk before the program ends",
    broken_by="no sync after an uncaught exception",
)
def test_last_words_are_on_the_disk_before_the_program_ends(tmp_path: Path) -> None:
    """An uncaught exception is synced, with or without a flusher."""
    body = "lastword.capture_message('first'); raise ValueError('last words')"
    with filesystems.ext4(tmp_path, 32) as disk:
        with Program(body, spool=disk / "spool", dsn=None) as program:
            program.process.communicate(timeout=30)
        written = ids_on(disk)
        after = cut_power(disk, tmp_path / "ext4.img", tmp_path)
        try:
            assert len(written) == 2
            assert ids_on(after) == written
        finally:
            filesystems.unmount(after)
