"""A tracker for tests: real HTTP on 127.0.0.1, in threads of the test's own process.

The sending side is neither patched nor faked: the program under test gets a DSN, and its events take the whole way,
over the disk and a socket. The tracker answers as the real one does, keeps the requests, and misbehaves on demand::

    import lastword
    from lastword.testing import LoopbackTracker

    def test_a_declined_card_is_reported(tmp_path):
        with LoopbackTracker("booboo") as tracker:
            lastword.init(tracker.dsn, spool=tmp_path / "spool")
            checkout(card="declined")
            [event] = tracker.wait_for(1)
        assert event.message == "card declined"

**What it keeps.** ``tracker.events`` are the events it accepted, ``tracker.requests`` all requests, including refused
ones. Each is a `Received`. ``wait_for`` waits for a condition, not for a fixed time.

**What it refuses.** A wrong path (404) or method (405), a wrong token (403) or none (401), a body that is not an event
(400), or one of more than ``max_body`` bytes (413; no limit by default).

**How to control it.**

============================  ====================================================================================
``go_down()``, ``come_up()``  closes the listening socket and every connection; listens again, on the same port
``answer(429, …)``            gives this answer to all requests, or to the next ``times``
``be_slow(seconds)``          accepts the event, then waits before it answers
``cut_answers(stored=…)``     reads the request, then closes the connection without an answer
``answer_normally()``         ends the three above
============================  ====================================================================================

``max_overlap`` is the largest number of requests handled at the same time so far.

The tracker may be used from any thread. A forked child inherits copies of its sockets and cannot disturb it.
"""

from __future__ import annotations

from lastword.testing.tracker import LoopbackTracker, Received

__all__ = ["LoopbackTracker", "Received"]
