"""A tracker for tests: real HTTP on 127.0.0.1, in threads of the test's own process.

Nothing is patched and nothing is faked on the sending side: the program under test gets a DSN, and what it captures
takes the whole way, over the disk and a socket. The tracker answers as its model does, keeps what it was sent, and
misbehaves when told to::

    import lastword
    from lastword.testing import LoopbackTracker

    def test_a_declined_card_is_reported(tmp_path):
        with LoopbackTracker("booboo") as tracker:
            lastword.init(tracker.dsn, spool=tmp_path / "spool")
            checkout(card="declined")
            [event] = tracker.wait_for(1)
        assert event.message == "card declined"

**What it keeps.** ``tracker.events`` are the events it took, ``tracker.requests`` everything it was sent, what it
refused included. Each is a `Received`. ``wait_for`` waits for a condition, never for a time.

**What it refuses.** A wrong path (404) or method (405), a wrong token (403) or none (401), a body that is no event
(400), and one over ``max_body`` bytes (413; no limit unless given).

**What it can be told.**

============================  ====================================================================================
``go_down()``, ``come_up()``  closes the listening socket and every connection; listens again, on the same port
``answer(429, …)``            gives that answer to all requests, or to the next ``times``
``be_slow(seconds)``          takes the event, then waits before it answers
``cut_answers(stored=…)``     reads the request, then closes the connection without an answer
``answer_normally()``         ends the three above
============================  ====================================================================================

``max_overlap`` is the largest number of requests that were ever handled at the same moment.

The tracker may be used from all threads. A forked child inherits copies of its sockets and cannot disturb it.
"""

from __future__ import annotations

from lastword.testing.tracker import LoopbackTracker, Received

__all__ = ["LoopbackTracker", "Received"]
