"""The promise: no file of a spool, answer of a tracker, setting or hook raises, hangs, takes much memory, or touches
what is not the spool's; and good events beside the bad are delivered. ``scripts/fuzz`` looks for input that breaks it;
what it has found is tried here, with a few inputs that are new.
"""

from __future__ import annotations

import math

import pytest

from tests.fuzz import corpus
from tests.fuzz.harness import examine, hunt
from tests.fuzz.targets import NAMES, opened
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.HOSTILE_INPUT,
    "Hostile spool files, answers, settings and hooks raise nothing, hang nothing, take little memory, "
    "touch nothing outside the spool, steer no terminal and show no token; good events are delivered (also "
    "`scripts/fuzz`)",
    broken_by="figures of the ledger, redirects, answers to orders not checked; the token in DSNs and "
    "answers; timestamps of a hook taken as they are; names printed as they came",
)

#: Inputs that are new; ``commands`` takes half a second for each.
FEW = {"commands": 2}


@pytest.mark.parametrize("name", NAMES)
def test_hostile_input_breaks_no_promise(name: str) -> None:
    """Inputs that were found before, and a few others, the same in each run."""
    with opened([name]) as [target]:
        for _, case in corpus.cases(name):
            examine(target, case)
        _, found = hunt(target, 1, most=FEW.get(name, 20), until=math.inf, known=set())
        assert found is None, f"{found.failure}\nwith {found.case!r}"
