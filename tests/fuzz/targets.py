"""All targets, and what they need while they are tried."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Callable

from tests.fuzz import answers, commands, formats, hooks, settings
from tests.fuzz.harness import Target
from tests.fuzz.world import World

#: Name → what makes it, in a world of its own; the stack ends what it has started.
_MAKERS: dict[str, Callable[[World, ExitStack], Target]] = {
    **{name: partial(lambda name, world, _: formats.reader(name, world), name) for name in formats.FORMATS},
    "answers": answers.target,
    "dsn": settings.dsns,
    "environment": settings.environment,
    "hooks": hooks.target,
    "commands": commands.target,
}

NAMES = list(_MAKERS)


@contextmanager
def opened(names: Sequence[str]) -> Iterator[list[Target]]:
    """The targets of these names, ready to be tried."""
    with ExitStack() as stack:
        top = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lastword-fuzz-")))
        yield [_MAKERS[name](World(top / name), stack) for name in names]
