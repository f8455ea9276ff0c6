"""Events as people read them: like a traceback of Python's own, with variables, and harmless to a terminal."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from lastword.cli import main
from lastword.cli.reading import pages_of, title_of
from tests.support import needs
from tests.support.events import breadcrumb, exception, exception_event, frame, message_event
from tests.support.planted import hold
from tests.support.promise import Section, promise


def text_of(event: object) -> str:
    return "".join(span.text for span in pages_of(event))  # type: ignore[arg-type]


def test_a_chain_reads_as_python_prints_it() -> None:
    """The first exception first, with the sentence that links it to the next."""
    inner = exception("KeyError", "'total'", [frame("look", line=2)], kind="cause", parent=0, module="builtins")
    text = text_of(exception_event(exceptions=[exception(), inner]))
    assert text.endswith(
        "Traceback (most recent call last):\n"
        '  File "/app/shop.py", line 2, in look\n'
        "    amount = order.total\n"
        "KeyError: 'total'\n"
        "\n"
        "The above exception was the direct cause of the following exception:\n"
        "\n"
        "Traceback (most recent call last):\n"
        '  File "/app/shop.py", line 4, in pay\n'
        '    raise CardRefused("card refused")\n'
        "shop.CardRefused: card refused\n"
    )


@promise(
    Section.EVENTS,
    "Tracebacks have the same marks under their lines as Python prints, in Backtrace and in `lastword show`",
)
def test_the_marks_under_a_line_are_shown() -> None:
    """Those of the Python that captured; columns that are none cost nothing else."""
    marked = frame("look", line=2, columns=(2, 13, 24))
    text = text_of(exception_event(exceptions=[exception(frames=[marked])]))
    assert "    amount = order.total\n             ^^^^^^^^^^^\n" in text
    strange: list[object] = ["text", (1, 2), [None] * 3, {}]
    for columns in strange:
        odd = frame("look", line=2, columns=columns)
        assert "in look\n" in text_of(exception_event(exceptions=[exception(frames=[odd])]))


def test_groups_notes_and_variables_are_shown_in_order() -> None:
    """Members come after their group, notes under their exception, variables under their frame, some filtered."""
    shown = frame(variables=[["order", "repr", "<Order 7>"], ["card", "filtered", ""]])
    group = exception("ExceptionGroup", "two", [shown], notes=["try again"])
    member = exception("OSError", "first", [], kind="member", parent=0, module="builtins")
    text = text_of(exception_event(exceptions=[group, member]))
    assert "      order = <Order 7>\n      card = [filtered]\n" in text
    assert "two\ntry again\n\nOf the group ExceptionGroup:\n\nOSError: first\n" in text


def test_message_is_shown_with_stack_tags_and_user() -> None:
    """A message is shown with its stack, its program, and the tags and the user that were set."""
    text = text_of(message_event("deployed", tags={"queue": "mail"}, user={"id": "42"}))
    for words in ("\ndeployed\n", "in deploy", "shop.py, pid 4242", "queue=mail", "id=42", "web-1", "CPython 3.11.7"):
        assert words in text
    assert title_of(message_event("two\nlines " + "x" * 200)).startswith("two lines xxx")
    assert len(title_of(message_event("x" * 200))) == 100


@promise(
    Section.ATTACHMENTS, "`lastword show` names attachments and does not show their content", broken_by="content shown"
)
def test_attachments_are_shown_by_name_type_and_size() -> None:
    """Not what is in them; and why one is missing."""
    one = {"name": "cart.json", "type": "application/json", "size": 6, "content": "c2VjcmV0", "left_out": None}
    gone = {**one, "name": "shop.log", "size": 7, "content": None, "left_out": "there was no room for it"}
    text = text_of(message_event("deployed", attachments=[one, gone, "odd", {}]))
    assert (
        "\nAttachments:\n"
        "  cart.json  application/json, 6 bytes\n"
        "  shop.log  application/json, 7 bytes\n"
        "    left out: there was no room for it\n"
    ) in text
    assert "c2VjcmV0" not in text and "secret" not in text


def test_extra_contexts_and_breadcrumbs_are_shown_by_name() -> None:
    """Each value under its name, and the breadcrumbs in order, before what they led to."""
    crumbs = [
        breadcrumb("GET /cart", category="requests", data={"status": 200}),
        breadcrumb("declined", level="warning"),
    ]
    text = text_of(
        exception_event(
            extra={"rows": [1]},
            contexts={"order": {"id": 7}},
            fingerprint=["a", "b"],
            transaction="POST /checkout",
            breadcrumbs=crumbs,
        )
    )
    for line in ("transaction: POST /checkout", "extra:       rows=[1]", "order:       id=7", "fingerprint: a, b"):
        assert f"{line}\n" in text
    before, _, after = text.partition("Breadcrumbs (most recent last):\n")
    first, second, *_ = after.splitlines()
    assert first.endswith(" info     requests  GET /cart  status=200")
    assert second.endswith(" warning  declined")
    assert "Traceback" not in before
    assert "Breadcrumbs" not in text_of(exception_event())


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"breadcrumbs": [7, {"level": None, "timestamp": "then", "data": 3}], "fingerprint": 7, "contexts": {"a": 3}},
        {"exceptions": 7, "stack": None, "process": [], "tags": "x", "timestamp": "then"},
        {"exceptions": [{"frames": [{}, 3], "parent": 0, "kind": "cause"}, None]},
        {"exceptions": [{"frames": [{"source": [], "line": 3, "first_source_line": 1, "variables": [1]}]}]},
    ],
)
def test_events_of_any_shape_can_be_read(event: dict[str, object]) -> None:
    """Changes by a hook or another version do not hide the rest of an event."""
    assert isinstance(text_of(event), str)
    assert isinstance(title_of(event), str)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@needs.installed("rich")
@pytest.mark.parametrize(("no_rich", "coloured"), [(False, True), (True, False)])
def test_colour_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_rich: bool, coloured: bool) -> None:
    """On a terminal `show` has colours where rich is installed, and says the same without it."""
    [event_id] = hold(tmp_path / "spool", exceptions=[exception(value="not \x1b[5m this")])
    for variable in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    if no_rich:
        monkeypatch.setitem(sys.modules, "rich.console", None)
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    assert main(["show", event_id[:8], "--spool", str(tmp_path / "spool")]) == 0
    told = terminal.getvalue()
    assert ("\x1b[1;31m" in told) is coloured
    assert "shop.CardRefused: not \\x1b[5m this" in told
    assert "held, captured without a DSN" in told


def test_one_line_for_each_event(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`ls` begins with the oldest over all writers, and says why each waits."""
    spool = tmp_path / "spool"
    [second] = hold(spool, timestamp=2e9, dsn="booboo+http://t@127.0.0.1:9/o/p")
    [first] = hold(spool, timestamp=1e9)
    assert main(["ls", "--spool", str(spool)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [first, second]
    assert [line.rpartition("[")[2] for line in lines] == ["no DSN]", "held]"]
    assert main(["ls", "--set-aside", "--spool", str(spool)]) == 0
    assert capsys.readouterr().err == "nothing is set aside\n"


def test_a_rendered_event_is_shown_as_the_json_that_it_is() -> None:
    """`ls` has its type and message, `show` the whole."""
    body = '{"message": "no such order", "exception_type": "KeyError", "tags": {"queue": "mail"}}'
    content = {"wire": "booboo", "timestamp": 1.0, "type": "application/json", "text": body}
    assert title_of(content) == "KeyError: no such order"
    assert '"queue": "mail"' in text_of(content)
    report = '{"attributes": {"error.message": "m"}, "classifiers": ["E"]}'
    form = f"--B\r\nContent-Disposition: form-data\r\n\r\n{report}\r\n--B--"
    assert title_of({**content, "wire": "backtrace", "type": "multipart/form-data; boundary=B", "text": form}) == "E: m"
    assert title_of({"wire": "backtrace", "base64": "AAA="}) == "an event for backtrace"
