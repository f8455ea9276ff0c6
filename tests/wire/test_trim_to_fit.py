"""Trim to fit: what a tracker finds too large is made smaller, in a fixed order, and says so."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from lastword.event import LEFT_OUT, TRIMMED_TAG, Event, Frame, Variable, frames_left_out
from lastword.wire.booboo import MAX_BODY
from lastword.wire.formats import FORMATS
from lastword.wire.trim import LADDER, Allowance, fit, trimmed
from tests.support.events import EVENT_ID, breadcrumb, destination, exception, exception_event, frame, message_event
from tests.support.promise import Section, promise

DESTINATIONS = {
    "backtrace": destination("backtrace+https://submit.backtrace.io/universe/TOKEN/json"),
    "booboo": destination(),
}
VARIABLES: list[Variable] = [(f"name_{number}", "repr", repr("x" * 180)) for number in range(14)]


def stack(depth: int, **changes: Any) -> list[Frame]:
    """Frames of many files, every other one of a library, with source and variables."""
    return [
        frame(
            f"f{number}",
            line=number + 4,
            first_source_line=number + 1,
            path=f"/app/module_{number % 20}.py",
            in_app=number % 2 == 1,
            **{"variables": VARIABLES, **changes},
        )
        for number in range(depth)
    ]


def large_event(depth: int = 101, chained: int = 2) -> Event:
    """About 900 KB in each format."""
    chain = [exception("Cause", "v" * 5000, stack(depth), kind="cause", parent=link) for link in range(chained)]
    raised = exception("RecursionError", "m" * 8000, stack(depth), notes=["n" * 1000] * 3)
    call = ["/app/pool.py", "run", 7]
    threads = [{"id": number, "name": "pool", "main": False, "calls": [call] * 10} for number in range(1, 11)]
    return exception_event(
        exceptions=[raised, *chain], threads=threads, user={"id": "42", "more": ["y" * 1000] * 5}, tags={"a": "b"}
    )


def report_in(body: bytes) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(body[body.index(b"{") : body.rindex(b"}") + 1]))


def tag_of(report: dict[str, Any]) -> str | None:
    tags = report["tags"] if "tags" in report else report["attributes"]
    return cast("str | None", tags.get(TRIMMED_TAG))


@promise(Section.BAD_EVENT, "A trimmed event says what was left out", broken_by="no tag")
@pytest.mark.parametrize("wire", sorted(FORMATS))
@pytest.mark.parametrize("limit", [450_000, 102_400, 50_000, 20_000, 5_000])
def test_the_body_is_within_the_limit(wire: str, limit: int) -> None:
    """With any limit: id, type, value, the innermost frame, and a note of what was left out."""
    body = FORMATS[wire].request(large_event(), DESTINATIONS[wire], limit).body
    assert len(body) <= limit
    report = report_in(body)
    assert "left out to fit: " in str(tag_of(report))
    if wire == "backtrace":
        assert report["uuid"].replace("-", "") == EVENT_ID
        assert report["classifiers"] == ["RecursionError"]
        [thread] = report["threads"].values()
        assert thread["stack"][0]["funcName"] == "f100"
    else:
        assert report["exception_type"] == "RecursionError"
        assert report["stacktrace"][-1]["function"] == "f100"


@pytest.mark.parametrize("wire", sorted(FORMATS))
def test_an_event_that_fits_is_sent_as_it_is(wire: str) -> None:
    """To the byte: the limit changes nothing and says nothing."""
    event = exception_event()
    whole = FORMATS[wire].request(event, DESTINATIONS[wire])
    assert FORMATS[wire].request(event, DESTINATIONS[wire], len(whole.body)) == whole
    assert tag_of(report_in(whole.body)) is None
    assert len(FORMATS[wire].request(event, DESTINATIONS[wire], len(whole.body) - 1).body) < len(whole.body)


def test_booboo_keeps_its_own_limit() -> None:
    """102,400 bytes pass, one more is trimmed; a larger limit from outside does not count."""
    room = MAX_BODY - len(FORMATS["booboo"].request(message_event(""), destination()).body)
    exact = FORMATS["booboo"].request(message_event("x" * room), destination(), 10 * MAX_BODY).body
    assert (len(exact), tag_of(report_in(exact))) == (MAX_BODY, None)
    over = FORMATS["booboo"].request(message_event("x" * (room + 1)), destination(), 10 * MAX_BODY).body
    assert len(over) < MAX_BODY
    assert report_in(over)["message"].endswith(" characters left out) …" + "x" * 1024)
    assert "middles of texts 1" in str(tag_of(report_in(over)))


def test_backtrace_has_no_limit_by_default() -> None:
    """No size is documented, so nothing is taken away before an answer asks for it."""
    body = FORMATS["backtrace"].request(large_event(), DESTINATIONS["backtrace"]).body
    assert len(body) > 700_000
    assert tag_of(report_in(body)) is None


@pytest.mark.parametrize("wire", sorted(FORMATS))
@pytest.mark.parametrize("limit", [1000, 1, 0, -1])
def test_impossible_limit_gives_the_smallest_body(wire: str, limit: int) -> None:
    """Trimming ends and raises nothing: the tracker may accept it after all."""
    body = FORMATS[wire].request(large_event(), DESTINATIONS[wire], limit).body
    assert 0 < len(body) < 2500
    assert body == FORMATS[wire].request(large_event(), DESTINATIONS[wire], 0).body


@pytest.mark.parametrize("wire", sorted(FORMATS))
def test_trimming_twice_gives_the_same_bytes(wire: str) -> None:
    """Also for an event that went through the disk, so that a tracker can drop a repeat; and the event is untouched."""
    event = large_event()
    before = json.dumps(event)
    once = FORMATS[wire].request(event, DESTINATIONS[wire], 40_000)
    assert json.dumps(event) == before
    assert FORMATS[wire].request(json.loads(before), DESTINATIONS[wire], 40_000) == once


def test_every_rung_of_the_ladder_takes_more_away() -> None:
    """So that bisection finds the first that fits, and no event is trimmed more than it needs."""
    event = large_event(40)
    sizes = [len(json.dumps(trimmed(event, rung))) for rung in LADDER]
    jumps = [
        (rung, sizes[rung - 1], sizes[rung]) for rung in range(1, len(sizes)) if sizes[rung] > sizes[rung - 1] + 60
    ]
    assert jumps == []  # 60: the tag that says so has grown
    assert all(limit >= len(fit(event, render, limit)) for limit in sizes)


def render(event: Event) -> bytes:
    return json.dumps(event).encode()


@promise(Section.BAD_EVENT, "Trimming renders only a logarithmic number of times", broken_by="linear search")
def test_number_of_renderings_is_logarithmic() -> None:
    """The number of renderings grows with the logarithm of the ladder, whatever the event holds."""
    rendered = []

    def counting(event: Event) -> bytes:
        rendered.append(event)
        return render(event)

    fit(large_event(), counting, 100_000)
    assert len(rendered) <= 2 + len(LADDER).bit_length()


def first_that_loses(event: Event, loss: Any) -> int:
    """The rung of the ladder from which on the event lacks something."""
    return next(number for number, rung in enumerate(LADDER) if loss(trimmed(event, rung)))


@promise(Section.BAD_EVENT, "The least useful parts are trimmed first", broken_by="steps swapped")
def test_least_useful_parts_go_first() -> None:
    """Library variables, other threads, source context, old breadcrumbs, middle frames, long texts, then the rest."""
    event = large_event(depth=10)
    event["breadcrumbs"] = [breadcrumb()] * 100
    event["extra"], event["contexts"] = {"a": 1}, {"order": {"id": 1}}

    def frames_of(smaller: Event) -> list[Frame]:
        return smaller["exceptions"][0]["frames"]

    losses = [
        lambda smaller: not frames_of(smaller)[8]["variables"],  # innermost of a library
        lambda smaller: not smaller["threads"],
        lambda smaller: len(frames_of(smaller)[-1]["source"]) == 1,
        lambda smaller: len(smaller["breadcrumbs"]) == 10,
        lambda smaller: len(frames_of(smaller)) < 10,
        lambda smaller: len(smaller["exceptions"][0]["value"]) < 8000,
        lambda smaller: not frames_of(smaller)[-1]["variables"],
        lambda smaller: not (smaller["user"] or smaller["extra"] or smaller["contexts"]),
        lambda smaller: not smaller["breadcrumbs"],
        lambda smaller: not smaller["host"]["memory"],
        lambda smaller: len(smaller["exceptions"]) == 1,
        lambda smaller: len(frames_of(smaller)) == 3,
        lambda smaller: not frames_of(smaller)[-1]["source"],
    ]
    rungs = [first_that_loses(event, loss) for loss in losses]
    assert rungs == sorted(set(rungs))


def test_frames_farthest_from_the_raise_are_trimmed_first() -> None:
    """Within a step the innermost frames are the last to lose anything."""
    smaller = trimmed(large_event(20), Allowance(variables=4, source_context=2))
    kept = [(bool(frame["variables"]), len(frame["source"]) > 1) for frame in smaller["exceptions"][1]["frames"][-5:]]
    assert kept == [(False, False), (True, False), (True, False), (True, True), (True, True)]


def test_frames_in_the_middle_are_counted() -> None:
    """The frame in their place counts those that capture had left out before, too."""
    frames = [*stack(10), frames_left_out(900), *stack(10)]
    smaller = trimmed(exception_event(exceptions=[exception(frames=frames)]), Allowance(frames_per_end=4))
    shown = smaller["exceptions"][0]["frames"]
    assert len(shown) == 9
    assert (shown[4]["file"], shown[4]["function"]) == (LEFT_OUT, "(912 frames left out)")
    assert smaller["tags"][TRIMMED_TAG] == "left out to fit: frames 12"


def test_a_source_line_stays_with_its_frame() -> None:
    """Without its neighbours it is still the line that the frame was in, under its number."""
    [shown] = trimmed(exception_event(), Allowance(source_context=0))["exceptions"][0]["frames"]
    assert (shown["source"], shown["first_source_line"]) == (['    raise CardRefused("card refused")'], 4)
    elsewhere = exception_event(exceptions=[exception(frames=[frame(line=90)])])
    [shown] = trimmed(elsewhere, Allowance(source_context=0))["exceptions"][0]["frames"]
    assert (shown["source"], shown["first_source_line"]) == ([], 0)


@promise(Section.BAD_EVENT, "Long texts are cut wherever they stand", broken_by="keys or nested data whole")
def test_long_texts_are_cut_wherever_they_stand() -> None:
    """Names, values, and what is nested, as its JSON; both ends stay, with how much is missing, and short ones."""
    user = {"id": 7, "name": "n" * 300, "rows": [1, 2], "many": ["x" * 300], "k" * 300: None}
    smaller = trimmed(message_event("m" * 300, user=user, tags={"t" * 300: "short"}), Allowance(characters=100))
    cut = "… (200 characters left out) …"
    assert smaller["message"] == cut.join(["m" * 50] * 2)
    assert list(smaller["tags"]) == [cut.join(["t" * 50] * 2), TRIMMED_TAG]
    assert smaller["user"] == {
        "id": 7,
        "name": cut.join(["n" * 50] * 2),
        "rows": [1, 2],
        "many": '["' + "x" * 48 + "… (204 characters left out) …" + "x" * 48 + '"]',
        cut.join(["k" * 50] * 2): None,
    }
    assert smaller["id"] == EVENT_ID


def test_the_newest_breadcrumbs_stay() -> None:
    """They are nearest to the failure."""
    event = message_event(breadcrumbs=[breadcrumb(str(number)) for number in range(100)])
    smaller = trimmed(event, Allowance(breadcrumbs=3))
    assert [crumb["message"] for crumb in smaller["breadcrumbs"]] == ["97", "98", "99"]
    assert smaller["tags"][TRIMMED_TAG] == "left out to fit: breadcrumbs 97"


def test_extra_and_contexts_are_cut_like_a_user() -> None:
    """Nested values as their JSON; but the fingerprint stays whole, for events that belong together share it."""
    nested = {"many": ["x" * 300], "id": 7}
    event = message_event(
        extra=nested,
        contexts={"order": nested},
        breadcrumbs=[breadcrumb("m" * 300, data=nested)],
        fingerprint=["f" * 300],
        transaction="t" * 300,
    )
    smaller = trimmed(event, Allowance(characters=100))
    cut = {"many": '["' + "x" * 48 + "… (204 characters left out) …" + "x" * 48 + '"]', "id": 7}
    assert smaller["extra"] == smaller["contexts"]["order"] == smaller["breadcrumbs"][0]["data"] == cut
    assert smaller["breadcrumbs"][0]["message"] == "… (200 characters left out) …".join(["m" * 50] * 2)
    assert smaller["transaction"] == "… (200 characters left out) …".join(["t" * 50] * 2)
    assert smaller["fingerprint"] == ["f" * 300]


def test_data_that_a_format_never_sends_is_not_named_as_left_out() -> None:
    """booboo has no place for breadcrumbs, so none were lost to the limit."""
    event = large_event()
    event["breadcrumbs"] = [breadcrumb("m" * 1000)] * 100
    event["extra"] = {f"key {number}": "e" * 1000 for number in range(50)}
    body = FORMATS["booboo"].request(event, destination()).body
    without: Event = {**event, "breadcrumbs": [], "extra": {}}
    assert body == FORMATS["booboo"].request(without, destination()).body


@pytest.mark.parametrize("wire", sorted(FORMATS))
@pytest.mark.parametrize(
    "bulk",
    [
        {"message": "m" * 900_000},
        {"message": "\U0001f4a5" * 80_000},
        {"tags": {f"tag {number}": "t" * 200 for number in range(4000)}},
        {"tags": {"t" * 400_000: "t" * 400_000}},
        {"user": {"rows": list(range(50_000))}},
        {"user": {f"row {number}": number for number in range(15_000)}},
        {"user": {"id": "u" * 900_000}},
        {"extra": {f"row {number}": number for number in range(15_000)}},
        {"extra": {"rows": list(range(50_000))}},
        {"contexts": {f"group {number}": {"n": number} for number in range(15_000)}},
        {"contexts": {"group": {f"row {number}": number for number in range(15_000)}}},
        {"breadcrumbs": [breadcrumb("m" * 1000)] * 1000},
        {"breadcrumbs": [breadcrumb(data={"rows": list(range(50_000))})]},
        {"fingerprint": ["f" * 1000] * 1000},
        {"transaction": "t" * 400_000},
        {"stack": stack(600)},
        {"stack": [frame("f" * 400_000, path="/" + "p" * 400_000)]},
        {"stack": [frame(source=["s" * 900_000], line=1)]},
        {"release": "r" * 400_000, "environment": "e" * 400_000},
        {"exceptions": [exception("T" * 400_000, "v" * 400_000, [])] * 2},
        {"exceptions": [exception(notes=["n" * 1000] * 900)]},
        {"exceptions": [exception(frames=stack(2), kind="member", parent=0)] * 200},
    ],
)
def test_any_large_event_can_be_trimmed(wire: str, bulk: dict[str, Any]) -> None:
    """A hook may have put anything anywhere."""
    assert len(FORMATS[wire].request(message_event(**bulk), DESTINATIONS[wire], 20_000).body) <= 20_000


def test_endless_nesting_is_trimmed_too() -> None:
    """Data nested deeper than any stack ends in a text instead of an error."""
    deep: list[Any] = ["x" * 500]
    for _ in range(5000):
        deep = [deep]
    body = FORMATS["booboo"].request(message_event("m" * 200_000, user={"deep": deep}), destination()).body
    assert len(body) <= MAX_BODY
