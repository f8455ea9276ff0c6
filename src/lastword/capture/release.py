"""Which version of itself a program runs, where it does not say so: from the platform that built it, or from git.

Asked at ``init``. Reads a few small files and starts nothing.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Optional

from lastword.capture.safe_text import clean
from lastword.capture.source import is_in_app
from lastword.interruption import failures

#: Variables by which platforms and build systems tell the commit, or whatever names what they deployed.
VARIABLES = (
    "HEROKU_BUILD_COMMIT",
    "HEROKU_SLUG_COMMIT",
    "SOURCE_VERSION",
    "CODEBUILD_RESOLVED_SOURCE_VERSION",
    "GITHUB_SHA",
    "CI_COMMIT_SHA",
    "CIRCLE_SHA1",
    "BITBUCKET_COMMIT",
    "BUILD_SOURCEVERSION",
    "RENDER_GIT_COMMIT",
    "RAILWAY_GIT_COMMIT_SHA",
    "VERCEL_GIT_COMMIT_SHA",
    "COMMIT_REF",
    "GIT_COMMIT",
    "GAE_DEPLOYMENT_ID",
    "K_REVISION",
)

MAX_RELEASE = 200

#: Directories, from that of the program upwards, in which a repository is looked for.
MAX_LEVELS = 6

_MAX_REFERENCE = 4096
_MAX_PACKED = 4 << 20

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.ASCII)
_REFERENCE = re.compile(r"refs/[\w./+@#=-]+")


def guessed_release(environ: Mapping[str, str]) -> str:
    """The release of this program: what the platform calls it, else the commit that git has checked out; else ""."""
    for variable in VARIABLES:
        value = environ.get(variable, "").strip()
        if value:
            return clean(value, MAX_RELEASE)
    try:
        return checked_out_commit(_home_of_the_program()) or ""
    except failures():  # a working directory that is gone, names that are no names
        return ""


def checked_out_commit(directory: str) -> Optional[str]:
    """The commit (40 or 64 hex digits) of the repository that ``directory`` is in; None where there is none.

    As git does, it reads no repository of another user; one of root's counts as ours.
    """
    for place in _upwards(directory):
        entry = os.path.join(place, ".git")
        try:
            found = os.lstat(entry)
        except failures(OSError):
            continue
        if found.st_uid not in (os.geteuid(), 0):
            return None
        return _head(entry if stat.S_ISDIR(found.st_mode) else _linked(entry, place))
    return None


def _home_of_the_program() -> str:
    """The directory of its main script; the working directory where that is an installed command, or unknown."""
    main: Any = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    if type(file) is str:
        file = os.path.abspath(file)
        if is_in_app(file) and os.path.dirname(file) != os.path.dirname(os.path.abspath(sys.executable)):
            return os.path.dirname(file)
    return os.getcwd()


def _upwards(directory: str) -> Iterator[str]:
    for _ in range(MAX_LEVELS):
        yield directory
        parent = os.path.dirname(directory)
        if parent == directory:
            return
        directory = parent


def _linked(file: str, place: str) -> str:
    """Where the ``.git`` file of a worktree or a submodule leads."""
    name, _, target = (_read(file, _MAX_REFERENCE) or "").partition(":")
    return os.path.join(place, target.strip()) if name == "gitdir" and target.strip() else file


def _head(repository: str) -> Optional[str]:
    head = (_read(os.path.join(repository, "HEAD"), _MAX_REFERENCE) or "").strip()
    if not head.startswith("ref:"):
        return _commit(head)
    reference = head[len("ref:") :].strip()
    if not _REFERENCE.fullmatch(reference) or ".." in reference:
        return None
    shared = (_read(os.path.join(repository, "commondir"), _MAX_REFERENCE) or "").strip()  # of a worktree
    for base in (repository, os.path.join(repository, shared)) if shared else (repository,):
        told = _commit(_read(os.path.join(base, reference), _MAX_REFERENCE))
        if told is not None:
            return told
    return _packed(os.path.join(repository, shared, "packed-refs"), reference)


def _packed(file: str, reference: str) -> Optional[str]:
    content = "\n" + (_read(file, _MAX_PACKED) or "")
    before, found, _ = content.partition(f" {reference}\n")
    return _commit(before.rpartition("\n")[2]) if found else None


def _commit(text: Optional[str]) -> Optional[str]:
    text = (text or "").strip()
    return text if _COMMIT.fullmatch(text) else None


def _read(path: str, limit: int) -> Optional[str]:
    """The beginning of a regular file; None where there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except failures(OSError, ValueError):
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return os.read(descriptor, limit).decode("utf-8", "replace")
    except failures(OSError):
        return None
    finally:
        os.close(descriptor)
