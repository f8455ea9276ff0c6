"""Finds children that ended and that nobody has waited for."""

from __future__ import annotations

from pathlib import Path


def zombies_below(pid: int) -> list[int]:
    """The zombies among the descendants of a process; none where there is no /proc."""
    parents, zombies = {}, set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text(errors="replace").rpartition(")")[2].split()[:2]
        except OSError:  # gone meanwhile
            continue
        child = int(stat.parent.name)
        parents[child] = int(parent)
        if state == "Z":
            zombies.add(child)
    return sorted(zombie for zombie in zombies if _descends(zombie, pid, parents))


def _descends(child: int, pid: int, parents: dict[int, int]) -> bool:
    while child in parents and child != pid:
        child = parents[child]
    return child == pid
