"""What the gate turns away: ignored classes, then sampling, then floods."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from lastword.admission import Gate, gate
from lastword.admission.gate import Ignored
from lastword.config import Config
from lastword.event import Origin
from tests.support.forks import FORKS
from tests.support.promise import Section, promise

HERE = Origin("KeyError", "/app/shop.py", 12)
NOON = 1_740_830_645.0  # 2025-03-01T12:04:05Z


class Refusing(type):
    """Raises at whatever it is asked."""

    def __getattribute__(cls, name: str) -> Any:
        raise RuntimeError(name)

    def __instancecheck__(cls, instance: object) -> bool:
        raise RuntimeError

    def __subclasscheck__(cls, subclass: type) -> bool:
        raise RuntimeError

    def __eq__(cls, other: object) -> bool:
        raise RuntimeError

    __hash__ = type.__hash__


class OddError(KeyError, metaclass=Refusing):
    """Lies about its class, too."""

    __class__ = property(lambda self: 1 / 0)


class TestIgnore:
    """What an ``except`` clause would catch."""

    @pytest.mark.parametrize(
        ("listed", "ignored"),
        [
            ([], False),
            ([KeyError], True),
            ([LookupError], True),
            ([IndexError, OSError], False),
            (["KeyError"], True),
            (["builtins.KeyError"], True),
            (["LookupError"], True),
            (["keyerror"], False),
            (["shop.KeyError"], False),
            (["Error"], False),
            ([IndexError, "KeyError"], True),
            ([BaseException], True),
        ],
    )
    def test_classes_and_names_hold_for_their_subclasses(self, listed: list[Any], ignored: bool) -> None:
        """A class, or its name with or without its module."""
        assert Ignored(listed).has(KeyError("x")) is ignored

    def test_a_name_is_that_of_the_class_where_it_is_defined(self) -> None:
        """The module and the name with its outer classes; or the last part alone."""

        class Refused(Exception):
            pass

        Refused.__module__, Refused.__qualname__ = "shop.errors", "Card.Refused"
        for name in ("shop.errors.Card.Refused", "Refused"):
            assert Ignored([name]).has(Refused())
        assert not Ignored(["shop.errors.Refused", "Card.Refused"]).has(Refused())

    @pytest.mark.parametrize("listed", [[OddError], [KeyError], ["OddError"], ["KeyError"]])
    def test_no_code_of_an_exception_class_runs(self, listed: list[Any]) -> None:
        """Neither metaclasses nor properties."""
        assert Ignored(listed).has(OddError())
        assert not Ignored([OddError, "OddError"]).has(KeyError())


class TestGate:
    """Ignoring, then sampling, then floods."""

    def test_an_ignored_event_is_not_drawn_and_a_sampled_one_is_no_flood(self) -> None:
        """An event that an earlier check drops does not count in the later ones."""
        drawn: list[float] = []

        def draw() -> float:
            drawn.append(0.5)
            return drawn[-1]

        config = Config(ignore_errors=(KeyError,), sample_rate=0.5, flood_burst=1)
        guard = Gate(config, draw)
        assert guard.decide(KeyError(), HERE, NOON).refused == "ignored"
        assert drawn == []
        assert [guard.decide(ValueError(), HERE, NOON).refused for _ in range(3)] == ["sampled"] * 3
        generous = Gate(Config(ignore_errors=(KeyError,), sample_rate=0.6, flood_burst=1), draw)
        generous.floods = guard.floods
        assert [generous.decide(ValueError(), HERE, NOON).refused for _ in range(2)] == [None, "flood"]
        assert generous.decide(KeyError(), HERE, NOON).refused == "ignored"
        assert generous.decide(ValueError(), HERE, NOON + 1).left_out.startswith("1 like this")

    @promise(Section.BEFORE_DISK, "`ignore_errors` never drops a message", broken_by="None check removed")
    def test_a_message_is_never_ignored(self) -> None:
        """There is no class to ignore it by, whatever it says."""
        assert Gate(Config(ignore_errors=(BaseException, "message", "object"))).decide(None, HERE, NOON).refused is None

    @pytest.mark.parametrize(("rate", "admitted"), [(0.0, 0), (0.25, 500), (1.0, 2000)])
    def test_the_sample_rate_is_the_share_that_is_kept(self, rate: float, admitted: int) -> None:
        """Nothing at 0, everything at 1, and the share of the draws below it in between."""
        draws: Iterator[float] = iter([number / 2000 for number in range(2000)])
        guard = Gate(Config(sample_rate=rate, flood_burst=0), lambda: next(draws))
        assert sum(guard.decide(None, HERE, NOON).refused is None for _ in range(2000)) == admitted

    @promise(
        Section.BEFORE_DISK, "Parent and forked child sample independently", broken_by="`random` instead of the kernel"
    )
    def test_a_draw_is_a_fraction_and_not_the_same_in_a_forked_child(self) -> None:
        """A child draws for itself, also where C code forks it and no hook of Python runs."""
        assert all(0.0 <= gate.draw() < 1.0 for _ in range(1000))
        for fork in FORKS:
            told, tell = os.pipe()
            child = fork()
            mine = [gate.draw() for _ in range(4)]
            if child == 0:
                os.write(tell, json.dumps(mine).encode())
                os._exit(0)
            os.waitpid(child, 0)
            theirs = json.loads(os.read(told, 4096))
            os.close(told)
            os.close(tell)
            assert not set(mine) & set(theirs)

    def test_without_a_burst_there_is_no_flood(self) -> None:
        """0 keeps everything."""
        guard = Gate(Config(flood_burst=0))
        assert all(guard.decide(None, HERE, NOON).refused is None for _ in range(1000))

    def test_the_beginning_of_a_flood_is_remarked(self) -> None:
        """One note names the place, so that missing events are explained."""
        guard = Gate(Config(flood_burst=1))
        remarks = [guard.decide(KeyError(), HERE, NOON).remark for _ in range(4)]
        assert ["KeyError at /app/shop.py:12" in remark for remark in remarks] == [False, True, False, False]
