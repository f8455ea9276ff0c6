"""Who else may write above a spool is named, directory by directory, as ``ssh`` looks at the place of its own files."""

from __future__ import annotations

import grp
import json
import os
import pwd
import re
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lastword.audit.findings import findings
from lastword.audit.strangers import strangers_above
from lastword.cli import doctor
from lastword.spool.layout import Layout
from tests.support.promise import Section, promise
from tests.support.second_user import ATTACKER, ROOT, VICTIM, as_user, make_shared, open_ground

pytestmark = promise(
    Section.PRIVATE,
    "Users who can write above the spool are named, also through a link or an access control list",
    broken_by="sticky bits not checked; lists not; links not followed; the user who runs the check "
    "trusted in the owner's stead",
)

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"

GROUP = 60_001  # that no machine knows by name


@pytest.fixture
def ground() -> Iterator[Path]:
    with open_ground() as ground:
        yield ground


def told(spool: Path, owner: int = VICTIM) -> list[str]:
    return [one.who for one in strangers_above(str(spool), owner)]


@ROOT
@pytest.mark.parametrize(
    ("mode", "uid", "gid", "who"),
    [
        (0o777, 0, 0, "everybody may write to"),
        (0o2777, 0, GROUP, "everybody may write to"),  # an emptyDir with an fsGroup
        (0o757, VICTIM, VICTIM, "everybody may write to"),
        (0o775, 0, GROUP, f"group {GROUP} may write to"),
        (0o770, VICTIM, ATTACKER, f"group {ATTACKER} may write to"),
        (0o755, ATTACKER, VICTIM, f"uid {ATTACKER} owns"),
        (0o1777, ATTACKER, VICTIM, f"uid {ATTACKER} owns"),  # who owns it is not kept out by a sticky bit
        (0o700, 1, 1, f"{pwd.getpwuid(1).pw_name} (uid 1) owns"),
        (0o775, 0, 1, f"group {grp.getgrgid(1).gr_name} (gid 1) may write to"),
        (0o1777, 0, 0, ""),
        (0o3777, VICTIM, GROUP, ""),
        (0o775, 0, 0, ""),
        (0o775, VICTIM, VICTIM, ""),  # with a umask of 002 every home is
        (0o755, 0, GROUP, ""),
    ],
)
def test_each_open_directory_above_the_spool_is_named(ground: Path, mode: int, uid: int, gid: int, who: str) -> None:
    """At any depth, and each is named for itself."""
    directory = ground / "a"
    directory.mkdir()
    os.chown(directory, uid, gid)
    directory.chmod(mode)
    (directory / "b" / "c").mkdir(parents=True)
    (directory / "b").chmod(0o777)
    expected = [f"{who} {directory}"] if who else []
    assert told(directory / "b/c/spool") == [*expected, f"everybody may write to {directory}/b"]
    (directory / "b").chmod(0o755)
    for spool in ("spool", "b/c/spool", "b/c/not/there/yet"):
        assert told(directory / spool) == expected


@ROOT
def test_owner_of_the_spool_is_trusted_and_the_reader_is_not(ground: Path) -> None:
    """Root who reads a user's spool is told of third users, not of the owner."""
    os.chown(ground, VICTIM, VICTIM)
    assert told(ground / "spool") == []
    assert told(ground / "spool", ATTACKER) == [f"uid {VICTIM} owns {ground}"]


@ROOT
def test_owner_of_a_link_on_the_way_is_named(ground: Path) -> None:
    """Whoever owns it, or may write where it lies, leads the spool elsewhere; what it leads through counts as well."""
    safe, shared = ground / "safe", make_shared(ground / "shared", 0o1777)
    (safe / "below").mkdir(parents=True)
    (shared / "link").symlink_to(safe)
    assert told(shared / "link/below/spool") == []
    os.chown(shared / "link", ATTACKER, ATTACKER, follow_symlinks=False)
    assert told(shared / "link/below/spool") == [f"uid {ATTACKER} owns the link {shared}/link"]
    os.chown(shared / "link", 0, 0, follow_symlinks=False)
    shared.chmod(0o777)
    assert told(shared / "link/below/spool") == [f"everybody may write to {shared}"]
    (safe / "back").symlink_to("../shared/./link/below")
    assert told(safe / "back/spool") == [f"everybody may write to {shared}"]
    [finding] = findings(Layout(str(safe / "back/spool")))
    assert f"everybody may write to {shared}" in finding.text
    (safe / "round").symlink_to("round")
    assert told(safe / "round/spool") == []


def access_control_list(*entries: tuple[int, int, int]) -> bytes:
    """Of (tag, permissions, id); owner, others and mask are added."""
    nobody = 0xFFFFFFFF
    whole = sorted([(0x01, 7, nobody), (0x10, 7, nobody), (0x20, 0, nobody), *entries])
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in whole)


@ROOT
@pytest.mark.parametrize(
    ("entries", "who"),
    [
        ([(0x02, 7, ATTACKER), (0x04, 5, 0)], [f"uid {ATTACKER}"]),
        ([(0x04, 5, 0), (0x08, 7, GROUP)], [f"group {GROUP}"]),
        ([(0x02, 7, VICTIM), (0x02, 5, ATTACKER), (0x04, 7, 0)], []),
    ],
)
def test_user_of_an_access_control_list_is_named(
    ground: Path, entries: list[tuple[int, int, int]], who: list[str]
) -> None:
    """A list may let a user write that the mode does not show."""
    try:
        os.setxattr(ground, "system.posix_acl_access", access_control_list(*entries))
    except OSError:
        pytest.skip("the file system has no access control lists")
    assert told(ground / "spool") == [f"{one} may write to {ground}" for one in who]


@promise(
    Section.PRIVATE, "`doctor` has no warning for the documented pod", broken_by="a directory of mode 777 in the volume"
)
@ROOT
@pytest.mark.parametrize("mode", [0o777, 0o2777])
def test_the_documented_layout_for_kubernetes(ground: Path, mode: int, capsys: pytest.CaptureFixture[str]) -> None:
    """As its user `lastword doctor` has nothing to warn of; with the volume itself as the place it has."""
    text = OPERATIONS.read_text()
    [command] = re.findall(r'command: (\["mkdir", .*\])', text)
    [place] = set(re.findall(r"mountPath: (\S+), subPath: own", text))
    [spool] = set(re.findall(r"LASTWORD_SPOOL, value: (/spool\S*)}", text))
    volume = make_shared(ground / "volume", mode)
    os.chown(volume, 0, VICTIM if mode & 0o2000 else 0)
    make = [str(ground) + part if part.startswith("/") else part for part in json.loads(command)]
    for _ in "first", "after a restart":
        as_user(VICTIM, lambda: subprocess.run(make, check=True))

    def doctor_of(path: Path) -> str:
        Layout(str(path)).prepare()
        doctor.run(None, spool=str(path), send=False)
        return capsys.readouterr().out

    def look() -> None:
        assert re.findall("^(?:PROBLEM|warning).*", doctor_of(Path(f"{ground}{spool}")), re.MULTILINE) == []
        assert f"everybody may write to {volume}, above the spool" in doctor_of(volume / "spool")

    (volume / "own").rename(f"{ground}{place}")  # what mounting a part of the volume does, for those who see only that
    as_user(VICTIM, look)
