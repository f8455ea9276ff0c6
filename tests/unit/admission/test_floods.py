"""What a flood leaves out: a token bucket for each origin, and rules that follow how full the spool is."""

from __future__ import annotations

import os
import random
import sys
import threading
from typing import Optional

import pytest

from lastword.admission import Floods, Gate
from lastword.admission.floods import BURST, MAX_ORIGINS, RATE, Bucket, pour
from lastword.config import Config
from lastword.event import Origin
from tests.support.forks import FORKS
from tests.support.promise import Section, promise

HERE = Origin("KeyError", "/app/shop.py", 12)
ELSEWHERE = Origin("KeyError", "/app/shop.py", 13)
NOON = 1_740_830_645.0  # 2025-03-01T12:04:05Z


class TestFloods:
    """A token bucket for each origin."""

    @promise(
        Section.BEFORE_DISK, "A burst is kept whole, then one event a second", broken_by="always a token; double refill"
    )
    def test_a_burst_is_kept_whole_and_then_one_a_second(self) -> None:
        """10 events a second for a minute: the first 100 are kept, then one for each second."""
        floods = Floods()
        admitted = [tenth for tenth in range(600) if floods.pass_through(HERE, 30, NOON + tenth / 10).admitted]
        assert admitted[:33] == list(range(33))  # while 30 were used up, 3 came back
        assert {later - earlier for earlier, later in zip(admitted[33:], admitted[34:])} == {10}

    def test_no_more_than_the_burst_and_the_seconds(self) -> None:
        """In any stretch of time, whatever the rhythm."""
        for seed in range(20):
            dice, now, bucket = random.Random(seed), NOON, None
            times = []
            for _ in range(150):
                now += dice.choice([0.0, 0.01, 0.3, 4.0])
                bucket, admitted = pour(bucket, 7, now)
                times += [now] if admitted else []
            for first in range(len(times)):
                for last in range(first, len(times)):
                    assert last - first + 1 <= 7 + RATE * (times[last] - times[first]) + 1e-6, f"seed {seed}"

    def test_next_event_counts_those_left_out(self) -> None:
        """How many were left out and since when; once, and nothing where none was."""
        floods = Floods()
        passages = [floods.pass_through(HERE, 2, NOON + after) for after in (0, 0, 0.25, 0.5, 0.75, 1, 9)]
        assert [passage.admitted for passage in passages] == [True, True, False, False, False, True, True]
        assert [passage.first for passage in passages] == [False, False, True, False, False, False, False]
        assert [passage.left_out for passage in passages[5:]] == ["3 like this left out since 2025-03-01T12:04:05Z", ""]

    def test_origins_do_not_count_for_one_another(self) -> None:
        """A flood at one line costs no event of another."""
        floods = Floods()
        assert [floods.pass_through(HERE, 1, NOON).admitted for _ in range(3)] == [True, False, False]
        assert floods.pass_through(ELSEWHERE, 1, NOON).admitted

    @promise(
        Section.BEFORE_DISK,
        "Threads that meet do not end a flood early",
        broken_by="bucket popped between read and write",
    )
    def test_concurrent_threads_do_not_end_a_flood(self) -> None:
        """However they interrupt one another, a bucket that is empty stays empty."""
        floods, admitted = Floods(), []
        floods.pass_through(HERE, 1, NOON)

        def flood() -> None:
            admitted.extend([floods.pass_through(HERE, 1, NOON).admitted for _ in range(1000)])

        threads = [threading.Thread(target=flood) for _ in range(4)]
        switching = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            sys.setswitchinterval(switching)
        assert admitted == [False] * 4000

    @promise(
        Section.BEFORE_DISK,
        "A clock that is set back neither adds nor takes flood tokens",
        broken_by="elapsed time not clamped",
    )
    def test_clock_set_back_neither_adds_nor_takes_tokens(self) -> None:
        """A second later by the new clock there is a token again."""
        bucket = Bucket(0.0, NOON)
        bucket, admitted = pour(bucket, 5, NOON - 3600)
        assert not admitted
        assert pour(bucket, 5, NOON - 3599)[1]

    @promise(Section.BEFORE_DISK, "Flood memory is bounded", broken_by="no eviction; eviction by age of entry")
    def test_flood_memory_is_bounded(self) -> None:
        """The origins without an event for the longest time are forgotten."""
        floods = Floods()
        floods.pass_through(HERE, 1, NOON)
        floods.pass_through(ELSEWHERE, 1, NOON)
        sizes = []
        for line in range(2 * MAX_ORIGINS):
            now = NOON + (line + 1) / 1e6
            assert not floods.pass_through(HERE, 1, now).admitted
            assert floods.pass_through(Origin("ValueError", "/app/made.py", line), 1, now).admitted
            sizes.append(len(floods._buckets.get()))
        assert max(sizes) == MAX_ORIGINS
        assert min(sizes[MAX_ORIGINS:]) >= MAX_ORIGINS * 0.9
        assert floods.pass_through(ELSEWHERE, 1, now).admitted

    @promise(Section.BEFORE_DISK, "A child counts floods for itself", broken_by="pid not compared")
    def test_forked_child_counts_floods_for_itself(self) -> None:
        """However it was forked, the flood of its parent is not its own; the parent's goes on."""
        floods = Floods()
        floods.pass_through(HERE, 1, NOON)
        for fork in FORKS:
            child = fork()
            if child == 0:
                os._exit(0 if floods.pass_through(HERE, 1, NOON).admitted else 1)
            assert os.waitpid(child, 0)[1] == 0
        assert not floods.pass_through(HERE, 1, NOON).admitted


#: Twenty a second for five minutes.
FLOOD = [number / 20 for number in range(6000)]


@promise(Section.BEFORE_DISK, "A flood pushes out no rarer event (also `scripts/chaos flood`)")
class TestFloodsByFill:
    """What is left out without a ``flood_burst`` depends on how full the spool is."""

    @staticmethod
    def admitted(fill: float, times: list[float]) -> list[float]:
        """Of events of one origin at these seconds, those that are kept in a spool that stays so full."""
        floods = Floods()
        return [at for at in times if floods.pass_through(HERE, None, NOON + at, lambda _: fill).admitted]

    @pytest.mark.parametrize("fill", [0.0, 0.24])
    def test_below_a_quarter_everything_is_kept(self, fill: float) -> None:
        """However many they are."""
        assert self.admitted(fill, FLOOD) == FLOOD

    @pytest.mark.parametrize("fill", [0.25, 0.49])
    def test_above_it_a_burst_and_then_one_a_second(self, fill: float) -> None:
        """As with a ``flood_burst`` of 100."""
        kept = self.admitted(fill, FLOOD)
        assert kept[:BURST] == FLOOD[:BURST]
        assert {round(later - earlier, 6) for earlier, later in zip(kept[BURST + 5 :], kept[BURST + 6 :])} == {1.0}

    @pytest.mark.parametrize("fill", [0.51, 0.7, 0.9, 1.0, 3.0])
    def test_above_a_half_a_lasting_flood_is_left_out(self, fill: float) -> None:
        """Its beginning is kept, less of it in a fuller spool, then nothing while it lasts."""
        kept = self.admitted(fill, FLOOD)
        assert max(kept) < 10
        assert len(kept) <= {0.51: 105, 0.7: 55}.get(fill, 3)

    @pytest.mark.parametrize("fill", [0.0, 0.3, 0.6, 1.0, 3.0])
    def test_event_once_a_minute_is_always_kept(self, fill: float) -> None:
        """For a day; also with other intervals."""
        every_minute = [60.0 * number for number in range(24 * 60)]
        assert self.admitted(fill, every_minute) == every_minute
        in_pairs = [120.0 * number + second for number in range(12 * 60) for second in (0.0, 1.0)]
        assert self.admitted(fill, in_pairs) == in_pairs

    def test_fuller_spool_keeps_only_rarer_events(self) -> None:
        """An event every five seconds is kept when an event every second no longer is."""
        every_second, every_five = ([step * float(number) for number in range(600)] for step in (1, 5))
        assert self.admitted(0.55, every_second) == every_second
        assert len(self.admitted(0.7, every_second)) < 100
        assert self.admitted(0.7, every_five) == every_five
        assert len(self.admitted(0.9, every_five)) < 5

    def test_a_flood_that_ends_is_kept_again(self) -> None:
        """Once there is room, with the number of those that were left out."""
        floods, fill = Floods(), 0.9
        for number in range(1000):
            floods.pass_through(HERE, None, NOON + number / 10, lambda _: fill)
        fill = 0.2
        passage = floods.pass_through(HERE, None, NOON + 100, lambda _: fill)
        assert passage.admitted
        assert passage.left_out.startswith("997 like this left out")

    def test_rare_event_does_not_ask_for_the_fill_level(self) -> None:
        """The fill level is read again only before an event would be left out."""
        asked: list[bool] = []

        def fill(fresh: bool) -> float:
            asked.append(fresh)
            return 0.2 if fresh or len(asked) < 5 else 1.0

        floods = Floods()
        for minute in range(3):
            assert floods.pass_through(HERE, None, NOON + 60 * minute, fill).admitted
        assert asked == []
        assert all(floods.pass_through(HERE, None, NOON + 120, fill).admitted for _ in range(6))
        assert asked == [False] * 5 + [True]

    @promise(
        Section.BEFORE_DISK,
        "An event that ends the program is never left out of a flood",
        broken_by="treated like any other",
    )
    @pytest.mark.parametrize("burst", [None, 1])
    def test_last_words_are_never_left_out(self, burst: Optional[int]) -> None:
        """An event that ends the program is kept in the midst of a flood, and reports it."""
        guard = Gate(Config(flood_burst=burst), fill=lambda _: 1.0)
        decisions = [guard.decide(KeyError(), HERE, NOON) for _ in range(20)]
        assert decisions[-1].refused == "flood"
        last = guard.decide(KeyError(), HERE, NOON, last_words=True)
        assert last.refused is None
        assert last.left_out.startswith(f"{[one.refused for one in decisions].count('flood')} like this left out")
        assert guard.decide(KeyError(), HERE, NOON).refused == "flood"
