"""Find the release of a program that does not set one: from the platform that built it, or from git.

Runs at ``init``. Reads a few small files and starts no process.
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
from lastword.descriptors import beginning_of
from lastword.interruption import failures

#: Variables in which platforms and build systems give the commit, or another name of the deployed version.
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

#: The number of directories searched for a repository, from the program's directory upwards.
MAX_LEVELS = 6

_MAX_REFERENCE = 4096
_MAX_PACKED = 4 << 20

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.ASCII)
_REFERENCE = re.compile(r"refs/[\w./+@#=-]+")


def guessed_release(environ: Mapping[str, str]) -> str:
    """Return the program's release: the platform's name for it, otherwise the commit checked out by git, or ""."""
    for variable in VARIABLES:
        value = environ.get(variable, "").strip()
        if value:
            return clean(value, MAX_RELEASE)
    try:
        return checked_out_commit(_home_of_the_program()) or ""
    except failures():  # a working directory that is gone, invalid names
        return ""


def checked_out_commit(directory: str) -> Optional[str]:
    """Return the commit (40 or 64 hex digits) of the repository that contains ``directory``; None if there is none.

    Like git, it reads no repository of another user, except root's.
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
    """Return the directory of the main script; the working directory if that is an installed command or unknown."""
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
    """Return the path that the ``.git`` file of a worktree or a submodule points to."""
    name, _, target = _read(file, _MAX_REFERENCE).partition(":")
    return os.path.join(place, target.strip()) if name == "gitdir" and target.strip() else file


def _head(repository: str) -> Optional[str]:
    head = _read(os.path.join(repository, "HEAD"), _MAX_REFERENCE).strip()
    if not head.startswith("ref:"):
        return _commit(head)
    reference = head[len("ref:") :].strip()
    if not _REFERENCE.fullmatch(reference) or ".." in reference:
        return None
    shared = _read(os.path.join(repository, "commondir"), _MAX_REFERENCE).strip()  # of a worktree
    for base in (repository, os.path.join(repository, shared)) if shared else (repository,):
        commit = _commit(_read(os.path.join(base, reference), _MAX_REFERENCE))
        if commit is not None:
            return commit
    return _packed(os.path.join(repository, shared, "packed-refs"), reference)


def _packed(file: str, reference: str) -> Optional[str]:
    before, found, _ = f"\n{_read(file, _MAX_PACKED)}".partition(f" {reference}\n")
    return _commit(before.rpartition("\n")[2]) if found else None


def _commit(text: str) -> Optional[str]:
    text = text.strip()
    return text if _COMMIT.fullmatch(text) else None


def _read(path: str, limit: int) -> str:
    return beginning_of(path, limit).decode("utf-8", "replace")
