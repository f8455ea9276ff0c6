"""``lastword replay``, ``purge`` and ``redirect``: what changes the spool, at a human's wish.

Only a leader changes anything in a spool, so these commands write down what is wanted and wait for it to be done: by
the flusher that leads, or, where none does, by one that this command runs for as long. One command at a time.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Optional

from lastword.audit import kept_events
from lastword.audit.accounts import read_accounts
from lastword.cli import output, resolve_spool
from lastword.cli.leading import StandIn
from lastword.config import Config
from lastword.dsn import Destination, Dsn
from lastword.errors import ConfigError, SpoolError
from lastword.spool import destination, orders, redirects
from lastword.spool.layout import Layout, open_private
from lastword.spool.lock import holder
from lastword.spool.orders import PURGE, REPLAY, Answer, Order

#: How long a flusher has for an order, and how long another command is waited for, in seconds.
PATIENCE = 30.0

_LOOK = 0.05

#: What is said for events that were captured without a DSN.
_NONE = "none"

_KEY = re.compile("[0-9a-f]{12}")  # of a destination
_LAST = chr(0x10FFFF)  # no id has it


def replay(ids: Sequence[str], *, everything: bool, spool: Optional[str]) -> int:
    """Send again what was set aside. 0 when all of it is on its way, else 1. Raises SpoolError."""
    layout = resolve_spool.to_change(spool, REPLAY)
    wanted = None if everything else whole_ids(ids, (one.id for one in kept_events.set_aside(layout)))
    return _have_done(layout, Order(REPLAY, wanted), "will be sent again")


def purge(ids: Sequence[str], *, everything: bool, spool: Optional[str]) -> int:
    """Remove for good. 0 when all of it is gone, else 1. Raises SpoolError."""
    layout = resolve_spool.to_change(spool, PURGE)

    def known() -> Iterator[str]:
        yield from (one.id for one in kept_events.set_aside(layout))
        yield from (one.id for one in kept_events.held(layout))

    wanted = None if everything else whole_ids(ids, known())
    return _have_done(layout, Order(PURGE, wanted), "removed")


def redirect(old: str, new: str, *, spool: Optional[str]) -> int:
    """Send what is held for ``old`` by now to ``new``. Returns 0. Raises ConfigError or SpoolError."""
    dsn = Dsn.parse(new)
    layout = resolve_spool.to_change(spool, "redirect")
    with _alone(layout):
        held_for = read_accounts(layout.spool).held_for
        keys = _keys_of(layout, old, held_for)
        try:
            for key in keys:
                target = _like(layout, key, new)
                destination.store(layout, target)
                redirects.give(layout, key, target.key)
        except OSError as error:
            raise SpoolError(f"the redirect cannot be written down: {error}") from None
    count = sum(held_for[key] for key in keys)
    output.line(f"{count} events will go to {dsn.place}")
    if count and holder(layout.flusher_lock) is None:
        output.line("No flusher leads just now; `lastword flush` sends them.")
    return 0


def whole_ids(asked: Sequence[str], known: Iterator[str]) -> list[str]:
    """The ids that begin as the ``asked`` ones do; raises SpoolError for one that is not there, or not alone."""
    everyone = sorted(set(known))
    found = []
    for beginning in asked:
        first = bisect_left(everyone, beginning.lower())
        count = bisect_left(everyone, beginning.lower() + _LAST) - first
        if count != 1:
            problem = "no event here has this id" if not count else f"{count} events begin so"
            raise SpoolError(f"{beginning}: {problem}; `lastword ls` and `lastword ls --set-aside` list them")
        found.append(everyone[first])
    return found


def _keys_of(layout: Layout, old: str, held_for: Mapping[Optional[str], int]) -> list[Optional[str]]:
    """The keys of the destinations that ``old`` stands for, one DSN with different options having several; None is the
    key of no destination. Raises ConfigError where there is none such.
    """
    if old == _NONE:
        return [None]
    if _KEY.fullmatch(old):
        return [destination.load(layout, old).key]
    wanted = Dsn.parse(old)
    return [key for key in held_for if key is not None and _dsn_of(layout, key) == wanted]


def _dsn_of(layout: Layout, key: str) -> Optional[Dsn]:
    try:
        return destination.load(layout, key).dsn
    except ConfigError:
        return None


def _like(layout: Layout, key: Optional[str], new: str) -> Destination:
    """The destination at the DSN ``new`` with the options of another one, such as its proxy."""
    target = Config.load({"dsn": new}).destination
    assert target is not None
    return target if key is None else destination.load(layout, key).with_options(dsn=target.dsn)


def _have_done(layout: Layout, order: Order, what: str) -> int:
    with _alone(layout):
        try:
            answer = _carried_out(layout, orders.give(layout, order))
        except OSError as error:
            raise SpoolError(f"the order cannot be written down: {error}") from None
    output.line(f"{answer.done} {what}")
    for trouble in answer.trouble:
        output.line(f"lastword {order.do}: {trouble}", error=True)
    return 1 if answer.trouble else 0


def _carried_out(layout: Layout, order_id: str) -> Answer:
    """Wait for the leader to do it; lead where nobody does. Raises SpoolError when it is not done in time."""
    deadline = time.monotonic() + PATIENCE
    with StandIn(layout) as stand_in:
        try:
            while (answer := orders.take_answer(layout, order_id)) is None:
                if time.monotonic() > deadline and orders.withdraw(layout, order_id):
                    leader = holder(layout.flusher_lock)
                    raise SpoolError(
                        f"pid {leader} leads and has not done it in {PATIENCE:g} s; nothing was changed. "
                        "`lastword doctor` tells what is wrong with it"
                    )
                stand_in.look()
                time.sleep(_LOOK)
        except KeyboardInterrupt:
            orders.withdraw(layout, order_id)
            raise
    return answer


@contextmanager
def _alone(layout: Layout) -> Iterator[None]:
    """No other command changes this spool meanwhile. Raises SpoolError where one does and does not end."""
    deadline = time.monotonic() + PATIENCE
    try:
        descriptor = open_private(layout.cli_lock, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise SpoolError(f"{layout.cli_lock} cannot be locked: {error}") from None
    try:
        while not _is_locked(descriptor):
            if time.monotonic() > deadline:
                raise SpoolError(f"another command is changing {layout.spool}; try again when it has ended")
            time.sleep(_LOOK)
        yield
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int) -> bool:
    """Whether it is, by this process, from now on."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
