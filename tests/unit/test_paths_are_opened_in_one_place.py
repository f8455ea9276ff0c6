"""The spool and the flusher do nothing by a whole path: what can be done in a spool is in one module."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.promise import Section, promise

pytestmark = promise(
    Section.PRIVATE,
    "The spool and the flusher open, change and remove nothing by a whole path, but in one module",
    broken_by="one `os.unlink(path)`",
)

SOURCE = Path(__file__).parents[2] / "src" / "lastword"

#: What takes a path and looks, opens, changes or removes; in ``os``, and what does it for others.
ACTS = {
    "open",
    "stat",
    "lstat",
    "access",
    "statvfs",
    "readlink",
    "listdir",
    "scandir",
    "walk",
    "chmod",
    "chown",
    "lchown",
}
ACTS |= {"unlink", "remove", "rmdir", "removedirs", "rename", "renames", "replace", "link", "symlink", "truncate"}
ACTS |= {"mkdir", "makedirs", "mkfifo", "utime", "lchown"}
ACTS |= {"FileIO"}
OTHERS = frozenset({"shutil", "pathlib", "tempfile", "glob"})

#: These are where it is done, or what looks at the way to a spool, which nobody can hold a descriptor of.
WHOLE_FILES = {"spool/inside.py", "spool/ownership.py", "audit/strangers.py"}

#: File → calls that are no act in the spool.
EXCEPTIONS = {
    "audit/elsewhere.py": {"os.listdir(directory)", "os.lstat(path)"},  # other users' spools, which are only named
    "audit/findings.py": {"os.listdir(descriptor)", "os.lstat(layout.spool)", "os.lstat(path)"},  # looks, for people
    "spool/identity.py": {"os.open(path, os.O_RDONLY)", "os.readlink('/proc/self/ns/pid')"},  # of /proc
    "spool/clock.py": {"os.readlink('/proc/self/ns/time')"},
    "spool/limits.py": {
        "os.stat(path)",  # the file system that a spool is on, or would be
        "os.statvfs(descriptor)",
        "open('/proc/self/mountinfo', encoding='utf-8', errors='replace')",
    },
    "spool/lock.py": {
        "os.listdir('/proc/self/fd')",
        "os.stat(f'/proc/self/fd/{number}')",
        "os.open(f'/proc/self/fdinfo/{number}', os.O_RDONLY)",
    },
    "spool/places.py": {"os.lstat(path)"},  # whether a directory that was named is root's
    "flusher/files_of_reports.py": {  # of the program
        "os.open(then['path'], os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)",
        "open(descriptor, 'rb', closefd=False)",
        "os.stat(path)",
    },
    "flusher/daemon.py": {"open('/proc/self/autogroup', 'w')"},
}


def acts_by_path(source: str) -> Iterator[str]:
    """Calls that are given a path and no descriptor of the directory that it is to be found in; and imports of what
    makes such calls.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            module, dot, name = called.rpartition(".")
            if called == "open" or (dot and module.lstrip("_") in ("os", "posix", "io") and name in ACTS):
                given = {keyword.arg for keyword in node.keywords}
                if not given & {"dir_fd", "src_dir_fd"}:
                    yield ast.unparse(node)
        elif isinstance(node, ast.Import):
            yield from (f"import {name.name}" for name in node.names if name.name in OTHERS)
        elif isinstance(node, ast.ImportFrom) and (node.module in OTHERS or node.module in ("os", "posix")):
            yield f"from {node.module} import …"


@pytest.mark.parametrize("room", ["spool", "flusher"])
def test_no_module_acts_by_a_whole_path(room: str) -> None:
    """A whole path may lead elsewhere by then: use ``spool.inside``."""
    found: dict[str, set[str]] = {}
    for path in sorted((SOURCE / room).glob("*.py")):
        name = f"{room}/{path.name}"
        if name not in WHOLE_FILES and (calls := set(acts_by_path(path.read_text("utf-8")))):
            found[name] = calls
    assert found == {name: calls for name, calls in EXCEPTIONS.items() if name.startswith(room)}


@pytest.mark.parametrize(
    "statement",
    [
        "os.unlink(p)",
        "os.open(p, 0)",
        "open(p)",
        "io.open(p)",
        "posix.stat(p)",
        "import shutil",
        "from os import unlink",
    ],
)
def test_the_checker_sees_an_act_by_path(statement: str) -> None:
    """In each of its forms, unless it is given the directory."""
    assert list(acts_by_path(statement))
    assert not list(acts_by_path("os.unlink(name, dir_fd=within); os.rename(a, b, src_dir_fd=c, dst_dir_fd=d)"))
