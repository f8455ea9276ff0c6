"""How much the spool may hold: tables of edges."""

from __future__ import annotations

from pathlib import Path

import pytest

from lastword.spool.limits import (
    IN_MEMORY,
    Limits,
    default_spool_limit,
    kind_of_device,
    spool_limit,
    widest,
)

MIB = 1 << 20


@pytest.mark.parametrize(
    ("free", "used", "in_memory", "limit"),
    [
        (100_000 * MIB, 0, False, 256 * MIB),
        (1_000 * MIB, 0, False, 100 * MIB),
        (900 * MIB, 100 * MIB, False, 100 * MIB),  # what is ours already does not make the limit smaller
        (100_000 * MIB, 0, True, 32 * MIB),
        (100 * MIB, 0, True, 10 * MIB),
        (0, 0, False, 1 * MIB),
    ],
)
def test_default_limit_depends_on_the_file_system(free: int, used: int, in_memory: bool, limit: int) -> None:
    """256 MiB (32 in memory), or a tenth of what is free or ours, and never less than one segment."""
    assert default_spool_limit(free=free, used=used, in_memory=in_memory) == limit


def test_explicit_limit_is_used(tmp_path: Path) -> None:
    """An explicit limit is taken as it is; without one the file system decides."""
    (tmp_path / "v1").mkdir()
    assert spool_limit(12345, str(tmp_path / "v1"), 0) == 12345
    assert spool_limit(None, str(tmp_path / "v1"), 0) >= MIB
    assert spool_limit(None, str(tmp_path / "missing/v1"), 0) == MIB


def test_largest_limit_of_all_programs_counts() -> None:
    """In a shared spool no program's events go because another one asked for less."""
    assert widest([]) == Limits()
    asked = [
        Limits(spool=5, age=10.0, set_aside=7),
        Limits(age=5.0, set_aside=9),
        Limits(spool=6, age=1.0, set_aside=1),
    ]
    assert widest(asked) == Limits(spool=6, age=10.0, set_aside=9)


@pytest.mark.parametrize("data", [None, 7, [], {"spool": "x", "age": -1, "set_aside": None, "more": 1}, {"age": True}])
def test_garbage_counts_as_the_default(data: object) -> None:
    """Limits that cannot be read are the default ones."""
    assert Limits.decode(data) == Limits()


def test_limits_survive_encoding() -> None:
    """A writer's limits come back."""
    asked = Limits(spool=1, age=2.5, set_aside=3)
    assert Limits.decode(asked.encode()) == asked


def test_file_system_in_memory_is_recognised() -> None:
    """The line of a mount names its device and its type."""
    line = "36 25 0:31 / /dev/shm rw,nosuid - tmpfs tmpfs rw,size=1024k\n"
    assert kind_of_device([line], "0:31") in IN_MEMORY
    assert kind_of_device([line], "0:3") not in IN_MEMORY
    assert kind_of_device([line.replace("tmpfs", "ext4")], "0:31") not in IN_MEMORY


def test_the_file_system_of_a_device() -> None:
    """It is read from the kernel's table, whatever its optional fields are."""
    mounts = [
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw",
        "30 22 0:44 / /srv rw,relatime - nfs4 server:/srv rw,vers=4.2",
    ]
    assert [kind_of_device(iter(mounts), device) for device in ("8:1", "0:44", "9:9")] == ["ext4", "nfs4", None]
