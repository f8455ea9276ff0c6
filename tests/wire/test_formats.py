"""The fine print of the two formats: what stands where, what is cut, and that nothing makes them fail."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lastword.event import Event, Needs
from lastword.wire import NEEDS
from lastword.wire.backtrace_prepared import MAX_BLOCK_LINES
from lastword.wire.formats import FORMATS
from tests.support.events import EVENT_ID, breadcrumb, destination, exception, exception_event, frame, message_event

BACKTRACE = destination("backtrace+https://submit.backtrace.io/universe/TOKEN/json")
BOOBOO = destination()


def report_of(event: Event) -> dict[str, Any]:
    """The JSON object that Backtrace gets."""
    body = FORMATS["backtrace"].request(event, BACKTRACE).body
    report: dict[str, Any] = json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])
    return report


def payload_of(event: Event) -> dict[str, Any]:
    """The JSON object that booboo gets."""
    payload: dict[str, Any] = json.loads(FORMATS["booboo"].request(event, BOOBOO).body)
    return payload


def test_formats_name_the_data_they_need_from_capture() -> None:
    """Backtrace shows the caller of a message and the figures of the machine; booboo neither."""
    assert NEEDS.keys() == FORMATS.keys()
    assert {"backtrace": Needs(message_stack=True, all_threads=True, memory=True), "booboo": Needs()} == NEEDS


@pytest.mark.parametrize("wire", sorted(FORMATS))
def test_a_repeated_request_is_the_same_to_the_last_byte(wire: str) -> None:
    """The tracker can drop a repeat; an event that went through the disk gives the same bytes as well."""
    to = BACKTRACE if wire == "backtrace" else BOOBOO
    variables = [("a", "repr", "1"), ("b", "failed", "B")]
    event = exception_event(exceptions=[exception(frames=[frame(variables=variables)])], tags={"b": "1", "a": "2"})
    from_disk: Event = json.loads(json.dumps(event))
    assert FORMATS[wire].request(event, to) == FORMATS[wire].request(from_disk, to)


@pytest.mark.parametrize("wire", sorted(FORMATS))
@pytest.mark.parametrize(
    "value", [float("nan"), float("-inf"), "\ud800", "\x00", "\u2028", 2**80, {"a": [{"b": None}]}, "--" + EVENT_ID]
)
def test_no_value_of_the_program_makes_a_request_fail_or_its_json_invalid(wire: str, value: object) -> None:
    """Lone surrogates, NaN and the like arrive as the nearest thing that JSON has."""

    def no_constant(name: str) -> object:
        raise AssertionError(f"{name} is not JSON")

    text = value if isinstance(value, str) else "text"
    event = message_event(text, user={"id": value, text: "x"}, tags={text: text}, stack=[frame(text, source=[text])])
    body = FORMATS[wire].request(event, BACKTRACE if wire == "backtrace" else BOOBOO).body
    report = body[body.index(b"{") : body.rindex(b"}") + 1].decode("ascii")
    assert isinstance(json.loads(report, parse_constant=no_constant), dict)


def test_endless_nesting_is_cut() -> None:
    """Data nested deeper than the encoder's stack ends in an ellipsis instead of an error."""
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    assert "…" in json.dumps(payload_of(message_event(user={"deep": deep})), ensure_ascii=False)


@pytest.mark.parametrize(
    ("number", "sent"),
    [(2**53 - 1, 2**53 - 1), (2**53, str(2**53)), (1 - 2**53, 1 - 2**53), (-(2**53), str(-(2**53))), (True, True)],
)
def test_backtrace_gets_large_integers_as_text(number: int, sent: object) -> None:
    """From 2**53 on a double is not exact any more; booboo, whose package leaves them alone, gets the number."""
    event = message_event(user={"id": number, "more": [number]})
    report = report_of(event)
    assert report["attributes"]["user.id"] == sent
    assert report["annotations"]["user.more"] == [sent]
    assert payload_of(event)["context"]["user"] == {"id": number, "more": [number]}


def test_the_backtrace_body_is_one_part_named_upload_file() -> None:
    """The exact frame of the multipart body; its boundary comes from the event id."""
    request = FORMATS["backtrace"].request(message_event(), BACKTRACE)
    boundary = f"lastword-{EVENT_ID}"
    assert request.headers == {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    head, _, rest = request.body.decode("ascii").partition("{")
    assert head == (
        f'--{boundary}\r\nContent-Disposition: form-data; name="upload_file"; filename="upload_file"\r\n\r\n'
    )
    assert rest.endswith(f"}}\r\n--{boundary}--\r\n")


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (message_event(), "Message"),
        (exception_event(handled=True), "Exception"),
        (exception_event(handled=False), "Unhandled exception"),
    ],
)
def test_backtrace_names_the_three_kinds_of_error(event: Event, kind: str) -> None:
    """``error.type`` cannot be overridden by a tag; classifiers are there for exceptions alone."""
    event["tags"] = {"error.type": "mine", "error.message": "mine"}
    report = report_of(event)
    assert report["attributes"]["error.type"] == kind
    assert report["attributes"]["error.message"] != "mine"
    assert ("classifiers" in report) == (kind != "Message")


def breadcrumbs_of(event: Event) -> list[dict[str, Any]]:
    """The breadcrumbs that Backtrace gets, as a tracker reads them."""
    request = FORMATS["backtrace"].request(event, BACKTRACE)
    head, _, part = request.body.partition(b'filename="bt-breadcrumbs-0"')
    shown: list[dict[str, Any]] = json.loads(part[part.index(b"[") : part.rindex(b"]") + 1])
    assert head.count(b"upload_file") == 2
    return shown


def test_backtrace_gets_breadcrumbs_as_its_own_packages_send_them() -> None:
    """An attachment by the name that its page of breadcrumbs reads; none where there are none."""
    crumbs = [breadcrumb(type=name, data={"n": 2**60, "rows": [1]}) for name in ("http", "default", "query")]
    shown = breadcrumbs_of(message_event(breadcrumbs=crumbs))
    assert [(crumb["id"], crumb["type"]) for crumb in shown] == [(1, "http"), (2, "manual"), (3, "manual")]
    assert shown[0]["timestamp"] == 1699999998250
    assert shown[0]["attributes"] == {"n": str(2**60), "rows": "[1]"}
    assert b"bt-breadcrumbs" not in FORMATS["backtrace"].request(message_event(), BACKTRACE).body


def test_backtrace_groups_by_a_fingerprint() -> None:
    """Equal lists, and only these, have the same; one that asks for the tracker's own grouping has none."""

    def fingerprint(*parts: str) -> Any:
        return report_of(message_event(fingerprint=list(parts)))["attributes"].get("_mod_fingerprint")

    assert fingerprint("a", "b") == fingerprint("a", "b")
    assert len({fingerprint("a", "b"), fingerprint("b", "a"), fingerprint("ab"), fingerprint("a,b")}) == 4
    assert fingerprint() is None
    assert fingerprint("{{ default }}", "tenant") is None


def test_backtrace_gets_tags_extra_and_contexts() -> None:
    """Scalars to be searched, the rest to be read; a tag goes before an extra of the same name."""
    said: Any = {"attempt": 2, "rows": [1], "environment": "mine", "Exception": {"mine": True}}
    report = report_of(
        exception_event(extra=said, contexts={"order": {"id": 7}}, tags={"attempt": "tag"}, transaction="POST /")
    )
    attributes, annotations = report["attributes"], report["annotations"]
    assert (attributes["attempt"], attributes["environment"], attributes["transaction"]) == ("tag", "mine", "POST /")
    assert (annotations["rows"], annotations["order"]) == ([1], {"id": 7})
    assert annotations["Exception"]["type"] == "CardRefused"


def test_booboo_gets_only_what_it_documents() -> None:
    """An event with all that a program can say has no key that one without does not have."""
    plain = payload_of(message_event())
    said = payload_of(
        message_event(
            extra={"a": 1}, contexts={"b": {}}, breadcrumbs=[breadcrumb()], transaction="t", fingerprint=["f"]
        )
    )
    assert said == plain


def test_backtrace_blames_the_thread_that_captured() -> None:
    """By any name: a message of a worker thread does not point at the main thread."""
    event = message_event(thread={"id": 7, "name": "mailer", "main": False})
    report = report_of(event)
    assert report["mainThread"] == "7"
    assert [(key, thread["name"], thread["fault"]) for key, thread in report["threads"].items()] == [
        ("7", "mailer", True)
    ]


def test_frames_run_inwards_for_booboo_and_outwards_for_backtrace() -> None:
    """The point of the raise is last for booboo and first for Backtrace."""
    event = exception_event(exceptions=[exception(frames=[frame("outer"), frame("inner")])])
    [thread] = report_of(event)["threads"].values()
    assert [shown["funcName"] for shown in thread["stack"]] == ["inner", "outer"]
    assert [shown["function"] for shown in payload_of(event)["stacktrace"]] == ["outer", "inner"]


def test_missing_figures_are_left_out() -> None:
    """Where /proc says nothing (macOS, hidden), the attributes are absent instead of zero."""
    event = message_event()
    event["host"]["memory"], event["process"]["status"] = {"MemTotal": 5}, {}
    names = [name for name in report_of(event)["attributes"] if name.startswith(("system.", "vm.", "sched.", "desc"))]
    assert names == ["system.memory.total"]


def test_macos_is_called_as_backtrace_calls_it() -> None:
    """The kernel says Darwin, the tracker expects Mac OS."""
    event = message_event()
    event["host"]["sysname"] = "Darwin"
    assert report_of(event)["attributes"]["uname.sysname"] == "Mac OS"


def test_source_of_one_file_is_one_block_whose_lines_keep_their_numbers() -> None:
    """Excerpts overlap or leave gaps; a gap is filled with empty lines."""
    far = frame("far", line=9, first_source_line=8, source=["eight", "nine"])
    near = frame("near", line=3, first_source_line=2, source=["two", "three"])
    over = frame("over", line=4, first_source_line=3, source=["THREE", "four"])
    blocks = report_of(exception_event(exceptions=[exception(frames=[far, over, near])]))["sourceCode"]
    assert list(blocks) == ["/app/shop.py"]
    assert blocks["/app/shop.py"]["startLine"] == 2
    assert blocks["/app/shop.py"]["text"] == "two\nthree\nfour\n\n\n\neight\nnine\n"


def test_a_source_block_never_grows_beyond_its_limit() -> None:
    """An excerpt too far from that of the innermost frame is left out, not bridged by a million empty lines."""
    far = frame("far", line=10 + MAX_BLOCK_LINES, first_source_line=10 + MAX_BLOCK_LINES, source=["far"])
    near = frame("near", line=10, first_source_line=10, source=["near"])
    event = exception_event(exceptions=[exception(frames=[far, near])])
    assert report_of(event)["sourceCode"]["/app/shop.py"]["text"] == "near\n"


def test_a_recursion_is_counted_in_the_traceback_of_backtrace() -> None:
    """As Python words it: three repeats are shown, the others counted."""
    event = exception_event(exceptions=[exception(frames=[frame()] * 10)])
    traceback = report_of(event)["annotations"]["Exception"]["traceback"]
    assert traceback[3:] == ["  [Previous line repeated 7 more times]\n"]


def test_marked_variables_show_their_mark_and_never_their_value() -> None:
    """A filtered variable reads [filtered] and a failed repr <TypeName>, whatever text came along."""
    variables = [("password", "filtered", "hunter2"), ("cart", "failed", "Cart"), ("total", "repr", "3")]
    event = exception_event(exceptions=[exception(frames=[frame(variables=variables)])])
    shown = {"password": "[filtered]", "cart": "<Cart>", "total": "3"}
    assert payload_of(event)["stacktrace"][0]["vars"] == shown
    assert report_of(event)["annotations"]["Local variables"][0]["variables"] == shown


def test_booboo_gets_at_most_50_variables_of_200_characters_and_no_dunder_names() -> None:
    """The limits of its own package: names are counted after the dunder names are gone."""
    variables = [("__doc__", "repr", "None"), *((f"v{number}", "repr", "x" * 300) for number in range(60))]
    shown = payload_of(exception_event(exceptions=[exception(frames=[frame(variables=variables)])]))
    assert shown["stacktrace"][0]["vars"] == {f"v{number}": "x" * 200 for number in range(50)}


@pytest.mark.parametrize(("line", "before", "own", "after"), [(1, 0, "l1", 5), (7, 5, "l7", 5), (20, 5, "l20", 0)])
def test_booboo_gets_five_lines_on_either_side(line: int, before: int, own: str, after: int) -> None:
    """More source than that, taken for another format, is not sent."""
    source = [f"l{number}" for number in range(1, 21)]
    [shown] = payload_of(exception_event(exceptions=[exception(frames=[frame(line=line, source=source)])]))[
        "stacktrace"
    ]
    assert (len(shown["pre_context"]), shown["context_line"], len(shown["post_context"])) == (before, own, after)


@pytest.mark.parametrize(
    ("level", "sent"),
    [("fatal", "error"), ("error", "error"), ("warning", "warning"), ("info", "info"), ("debug", "info")],
)
def test_booboo_gets_only_levels_that_it_documents(level: str, sent: str) -> None:
    """error, warning, info; the two others are rounded to the nearest."""
    assert payload_of(message_event(level=level))["level"] == sent


def test_the_user_is_absent_when_there_is_none() -> None:
    """No key, rather than null."""
    assert "user" not in payload_of(message_event(user=None))["context"]
    assert not [name for name in report_of(message_event(user=None))["attributes"] if name.startswith("user")]
