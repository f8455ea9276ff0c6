"""``lastword replay``, ``purge`` and ``redirect``: the commands that change the spool.

Only the leader changes anything in a spool, so these commands write an order and wait until the leader has carried it
out. If no flusher leads, the command runs one itself for that time. Only one of these commands runs at a time.
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
from lastword.audit.accounts import leader_name, read_accounts
from lastword.cli import output, resolve_spool
from lastword.cli.leading import StandIn
from lastword.config import Config
from lastword.dsn import Destination, Dsn
from lastword.errors import ConfigError, SpoolError
from lastword.spool import destination, orders, redirects
from lastword.spool.layout import Layout, open_private
from lastword.spool.lock import holder
from lastword.spool.orders import PURGE, REPLAY, Answer, Order

#: Seconds that a flusher has to carry out an order, and that a command waits for another command to end.
PATIENCE = 30.0

_INTERVAL = 0.05

#: The argument that stands for events captured without a DSN.
_NONE = "none"

_KEY = re.compile("[0-9a-f]{12}")  # of a destination
_LAST = chr(0x10FFFF)  # sorts after every character of an id


def replay(ids: Sequence[str], *, everything: bool, spool: Optional[str]) -> int:
    """Send set-aside events again. Return 0 if all of them are queued again, else 1. Raises SpoolError."""
    layout = resolve_spool.to_change(spool, REPLAY)
    wanted = None if everything else whole_ids(ids, (one.id for one in kept_events.set_aside(layout)))
    return _give(layout, Order(REPLAY, wanted), "will be sent again")


def purge(ids: Sequence[str], *, everything: bool, spool: Optional[str]) -> int:
    """Remove events for good. Return 0 if all of them are removed, else 1. Raises SpoolError."""
    layout = resolve_spool.to_change(spool, PURGE)

    def known() -> Iterator[str]:
        yield from (one.id for one in kept_events.set_aside(layout))
        yield from (one.id for one in kept_events.held(layout))

    wanted = None if everything else whole_ids(ids, known())
    return _give(layout, Order(PURGE, wanted), "removed")


def redirect(old: str, new: str, *, spool: Optional[str]) -> int:
    """Send the events now held for ``old`` to ``new``. Return 0. Raises ConfigError or SpoolError."""
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
            raise SpoolError(f"the redirect cannot be written: {error}") from None
    count = sum(held_for[key] for key in keys)
    output.line(f"{count} events will go to {dsn.place}")
    if count and holder(layout.flusher_lock) is None:
        output.line("No flusher is running; `lastword flush` sends them.")
    return 0


def whole_ids(asked: Sequence[str], known: Iterator[str]) -> list[str]:
    """Return the full ids that begin with the ``asked`` ones; raise SpoolError if one has no match or several."""
    everyone = sorted(set(known))
    found = []
    for beginning in asked:
        first = bisect_left(everyone, beginning.lower())
        count = bisect_left(everyone, beginning.lower() + _LAST) - first
        if count != 1:
            problem = "no event has this id" if not count else f"{count} ids begin with this"
            raise SpoolError(f"{beginning}: {problem}; `lastword ls` and `lastword ls --set-aside` list all ids")
        found.append(everyone[first])
    return found


def _keys_of(layout: Layout, old: str, held_for: Mapping[Optional[str], int]) -> list[Optional[str]]:
    """Return the keys of the destinations that ``old`` stands for: a DSN used with different options has several.

    The key None stands for no destination. Raises ConfigError if ``old`` is neither a known key nor a DSN.
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
    """Return a destination with the DSN ``new`` and the options (such as the proxy) of the one with ``key``."""
    target = Config.load({"dsn": new}).destination
    assert target is not None
    return target if key is None else destination.load(layout, key).with_options(dsn=target.dsn)


def _give(layout: Layout, order: Order, done: str) -> int:
    with _alone(layout):
        try:
            answer = _carried_out(layout, orders.give(layout, order))
        except OSError as error:
            raise SpoolError(f"the order cannot be written: {error}") from None
    output.line(f"{answer.done} {done}")
    for trouble in answer.trouble:
        output.line(f"lastword {order.do}: {trouble}", error=True)
    return 1 if answer.trouble else 0


def _carried_out(layout: Layout, order_id: str) -> Answer:
    """Wait until the leader has carried out the order; lead if no process does. Raises SpoolError on timeout."""
    deadline = time.monotonic() + PATIENCE
    with StandIn(layout) as stand_in:
        try:
            while (answer := orders.take_answer(layout, order_id)) is None:
                if time.monotonic() > deadline and orders.withdraw(layout, order_id):
                    leader = holder(layout.flusher_lock)
                    name = "no flusher" if leader is None else leader_name(leader)
                    raise SpoolError(
                        f"not done within {PATIENCE:g} s, so nothing was changed ({name} leads); "
                        "`lastword doctor` may say why"
                    )
                stand_in.lead_if_needed()
                time.sleep(_INTERVAL)
        except KeyboardInterrupt:
            orders.withdraw(layout, order_id)
            raise
    return answer


@contextmanager
def _alone(layout: Layout) -> Iterator[None]:
    """Keep other commands from changing this spool meanwhile. Raises SpoolError if another one does not end in time."""
    deadline = time.monotonic() + PATIENCE
    try:
        descriptor = open_private(layout.cli_lock, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise SpoolError(f"{layout.cli_lock} cannot be locked: {error}") from None
    try:
        while not _is_locked(descriptor):
            if time.monotonic() > deadline:
                raise SpoolError(f"another command is changing {layout.spool}; try again when it has ended")
            time.sleep(_INTERVAL)
        yield
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int) -> bool:
    """Try to lock the file without waiting; return whether this process now holds the lock."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
