"""Where an event has names and texts, and what becomes of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from lastword.event import Event, Frame
from lastword.scrub.names import FILTERED
from lastword.scrub.rules import Rules
from lastword.scrub.texts import SecretsInTexts, Suspicion

#: Seconds of the processor's time for the texts of one event; what is left then of its variables goes.
TIME_LIMIT = 0.010
OUT_OF_TIME = "[filtered: there was no time to look at it]"

#: Parts of an event that are JSON of the program's own making: texts, or dicts and lists of any depth.
_OPEN_PARTS = ("user", "tags", "extra", "contexts", "breadcrumbs", "transaction", "fingerprint")

# No text of a variable that has fewer characters, or is an object's class and address, can hold a secret.
_MIN_TEXT = 7
_OBJECT = "<"

_SHORT_NUMBER = 10**12  # shorter than that of any card

_Clean = Callable[[str], str]

# PyPy has it too; where the system has none, other work of the machine counts.
_processor_time = getattr(time, "thread_time", time.perf_counter)


def scrub(event: Event, rules: Rules) -> Event:
    """``event`` without what ``rules`` find; a copy where it differs, except for variables filtered at capture.

    The values of sensitive names, and secrets within texts, read ``[filtered]``. Ids are left alone: that of the event,
    and the ``id`` of the user. At most 10 ms go into it: then variables not looked at yet are taken out, and say so.
    """
    if rules.off:
        return event
    scrubbed = cast(dict[str, Any], event.copy())
    texts: list[str] = []
    for part in _OPEN_PARTS:
        if scrubbed.get(part):
            scrubbed[part] = _by_names(scrubbed[part], rules.is_sensitive, texts)
    for name, items in scrubbed["contexts"].items():
        if items == FILTERED:  # a context stays one
            scrubbed["contexts"][name] = dict.fromkeys(event["contexts"][name], FILTERED)
    if rules.texts is not None:
        texts += _texts_of(event)
        suspicion = rules.texts.suspect(texts)
        if suspicion:
            _clean_texts(scrubbed, rules.texts, suspicion)
    return cast(Event, scrubbed)


def _by_names(value: Any, is_sensitive: Callable[[str], bool], texts: list[str]) -> Any:
    """A copy in which the values of sensitive names are filtered; all other texts, and long numbers, go to `texts`."""
    kind = type(value)
    if kind is str:
        texts.append(value)
    elif kind is int and value > _SHORT_NUMBER:
        texts.append(str(value))
    elif kind is dict:
        return {
            name: FILTERED if is_sensitive(name) else _by_names(item, is_sensitive, texts)
            for name, item in value.items()
        }
    elif kind is list:
        return [_by_names(item, is_sensitive, texts) for item in value]
    return value


def _texts_of(event: Event) -> list[str]:
    texts = [event["message"]] if event["message"] else []
    for info in event["exceptions"]:
        texts += (info["value"], *info["notes"])
        for frame in info["frames"]:
            texts += _texts_of_variables(frame)
    return texts


def _texts_of_variables(frame: Frame) -> list[str]:
    return [text for _, _, text in frame["variables"] if len(text) >= _MIN_TEXT and text[0] != _OBJECT]


def _clean_texts(scrubbed: dict[str, Any], secrets: SecretsInTexts, suspicion: Suspicion) -> None:
    """What is read first is cleaned first, so that it is not what the time runs out for; variables come last."""
    deadline = _processor_time() + TIME_LIMIT
    clean: _Clean = partial(secrets.without_secrets, suspicion=suspicion)
    user_id = (scrubbed["user"] or {}).get("id")
    if scrubbed["message"]:
        scrubbed["message"] = clean(scrubbed["message"])
    for part in _OPEN_PARTS:
        if scrubbed.get(part):
            scrubbed[part] = _by_values(scrubbed[part], clean)
    if scrubbed["user"] and "id" in scrubbed["user"]:
        scrubbed["user"]["id"] = user_id
    scrubbed["exceptions"] = [
        {**info, "value": clean(info["value"]), "notes": [clean(note) for note in info["notes"]]}
        for info in scrubbed["exceptions"]
    ]
    for info in scrubbed["exceptions"]:
        info["frames"] = [_clean_frame(frame, secrets, suspicion, deadline) for frame in info["frames"]]


def _by_values(value: Any, clean: _Clean) -> Any:
    kind = type(value)
    if kind is str:
        return clean(value)
    if kind is int and value > _SHORT_NUMBER:
        return value if clean(str(value)) == str(value) else FILTERED
    if kind is dict:
        return {name: _by_values(item, clean) for name, item in value.items()}
    if kind is list:
        return [_by_values(item, clean) for item in value]
    return value


def _clean_frame(frame: Frame, secrets: SecretsInTexts, suspicion: Suspicion, deadline: float) -> Frame:
    texts = _texts_of_variables(frame)
    if not texts:
        return frame
    if _processor_time() > deadline:
        return {**frame, "variables": [(name, "filtered", OUT_OF_TIME) for name, _, _ in frame["variables"]]}
    here = secrets.suspect(texts, suspicion)
    if not here:
        return frame
    return {
        **frame,
        "variables": [(name, mark, secrets.without_secrets(text, here)) for name, mark, text in frame["variables"]],
    }
