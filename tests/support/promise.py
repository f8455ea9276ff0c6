"""The marker of tests that prove a promise; docs/promises.md is made from it (tests/support/promises_page.py)."""

from __future__ import annotations

import enum

import pytest


class Section(enum.Enum):
    """The sections of the page, in its order."""

    NOT_LOST = "Nothing acknowledged is lost"
    CHILDREN = "Forks and child processes"
    ONE_LEADER = "One leader"
    RECOVERY = "Soon after an outage"
    RACES = "Races"
    NO_BURDEN = "The flusher is no burden"
    BOUNDED = "Bounded, and every loss is counted"
    KEEPS_NOTHING = "Nothing of the program is kept alive"
    PLACE = "Where a spool can be"
    BEFORE_DISK = "Before an event reaches the disk"
    CONTEXT = "Context stays with its work"
    LITTLE_WORK = "Small input causes little work"
    DAMAGE = "Damage costs only what it touches"
    UNCHANGED = "The program behaves as without lastword"
    PRIVATE = "Private and safe"
    HOSTILE_INPUT = "Hostile input"
    BAD_EVENT = "One bad event stops nothing"
    NETWORK = "The network as users have it"
    FLUSHER_MODES = "Every way to run the flusher"
    COMMANDS = "The command line"
    FAILURES = "Failures are noticed, each once"
    EVENTS = "Events show what went wrong"
    ATTACHMENTS = "Attachments"
    BOOBOO = "Drop-ins: booboo"
    BACKTRACEPYTHON = "Drop-ins: backtracepython"
    DROP_INS = "Drop-ins: both"


def promise(section: Section, sentence: str, *, broken_by: str = "") -> pytest.MarkDecorator:
    """Mark a test, a class of tests or (as ``pytestmark``) a file as proof of ``sentence``.

    ``broken_by`` names the deliberate breaks of the code that were seen to make the test fail. Tests with the same
    sentence are one row of the page; at least one of them has ``broken_by``.
    """
    return pytest.mark.promise(section, sentence, broken_by=broken_by)
