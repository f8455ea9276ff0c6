"""The spool: bytes in, bytes out. It holds every on-disk format, the writer of a process, and the liveness checks.

What may fail, at any instant: a process is killed, forks, or closes every descriptor; the disk is full; the machine
loses power; other code removes, truncates, damages or replaces a file or a directory; a clock is set. What must hold:
an event whose id was returned is delivered once, set aside, or dropped with a counted reason; nothing is counted
twice; no process waits for another.

States of an event
------------------
====================  ========================================  ==============  ========================================
state                 where it is                               who moves it    what is on disk first
====================  ========================================  ==============  ========================================
refused: <reason>     nowhere; it is counted                    the process     the count, in the black box, or in
                                                                                ``refused/`` if it has no writer
held                  a line of a segment in ``writers/<id>/``  its writer      the line; then the id is returned
in flight             the same line                             the leader      its id in ``in_flight.json``
held again            the same line                             the leader      nothing: the verdict was "not now"
held alone            a ``d-`` segment of its own               the leader      the segment; then the ledger (``above``)
settled: delivered    the ledger's tally                        the leader      the ledger; then its segment is unlinked
settled: set aside    a file in ``set_aside/``                  the leader      the file; then the ledger; then the same
settled: dropped      the ledger's tally, with the reason       the leader      the ledger; then the same
lost                  nowhere: its file was changed             the leader      the ledger, by the missing number
====================  ========================================  ==============  ========================================

The leader's names for them are in ``flusher.waiting_line.State`` and, after an attempt, in ``flusher.schedule.Fate``;
``outcomes`` defines the ledger's words.
A command requests *set aside → held* (replay) and *held → dropped* (purge) by an order, which the leader carries out.

States of a writer
------------------
==========  ==================================================  ==================================================
state       what shows it                                       who moves it there
==========  ==================================================  ==================================================
in birth    a directory in ``birth/``, locked                   its process
alive       the directory in ``writers/``, its lock held        its process, by renaming it
dead        the lock is free, and the process is not visible    the process, by ending (``identity.is_dead``)
exhausted   dead, and all its lines are settled                 the leader
retired     its figures are in the ledger's ``totals``, its     the leader, by a checkpoint
            id is in ``retired``
gone        the directory is removed; then the id leaves        the leader
            ``retired`` with the next checkpoint
==========  ==================================================  ==================================================

A segment is *open* while its writer appends to it, *sealed* once a later one exists, and *settled* once all its lines
are; then the leader unlinks it. Only the leader removes segments.
"""
