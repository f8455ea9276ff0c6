"""Findings of earlier runs, one JSON file each, tried first by every run and by the test suite.

``corpus/<target>/<name>.json`` is ``{"found":…,"case":…}``: what was wrong, and the input. Bytes are ``{"latin-1":…}``,
so that the files can be read.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).parent / "corpus"


def cases(target: str, corpus: Path = CORPUS) -> Iterator[tuple[str, Any]]:
    """The name and the input of each finding of ``target``."""
    for path in sorted((corpus / target).glob("*.json")):
        yield path.name, _decoded(json.loads(path.read_text("ascii"))["case"])


def store(target: str, case: Any, found: str, corpus: Path = CORPUS) -> Path:
    """Write one down; returns its file."""
    text = json.dumps({"found": found, "case": _encoded(case)}, indent=1) + "\n"
    path = corpus / target / f"{zlib.crc32(text.encode('ascii')):08x}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "ascii")
    return path


def _encoded(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"latin-1": value.decode("latin-1")}
    if isinstance(value, dict):
        return {name: _encoded(one) for name, one in value.items()}
    return [_encoded(one) for one in value] if isinstance(value, (list, tuple)) else value


def _decoded(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"latin-1"}:
            return value["latin-1"].encode("latin-1")
        return {name: _decoded(one) for name, one in value.items()}
    return [_decoded(one) for one in value] if isinstance(value, list) else value
