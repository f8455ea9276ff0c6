"""Scrub an event: where it has names and texts, and how each is scrubbed.

Breadcrumbs are kept as JSON; only those that may hold a secret are decoded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

from lastword.event import FILTERED, Event, Frame
from lastword.event_json import EncodedFrame, EncodedList, encode_value, own_copy
from lastword.scrub.json_values import Clean, by_names, by_values
from lastword.scrub.rules import Rules
from lastword.scrub.texts import LatePattern, SecretsInTexts, Suspicion, processor_time

#: Seconds of processor time for the texts of one event; variables not scanned by then are removed.
TIME_LIMIT = 0.010
OUT_OF_TIME = "[filtered: there was no time to look at it]"

_OPEN_PARTS = ("user", "tags", "extra", "contexts", "breadcrumbs", "transaction", "fingerprint")

# A variable's text with fewer characters, or with only an object's class and address, cannot hold a secret.
_MIN_TEXT = 7

# An id of any other form (an object's text, or JSON) is scrubbed like other texts.
_ID = re.compile(r"[\w@.+|-]+")
_OBJECT = "<"

# The JSON escapes of the four letters that match an ASCII letter if case is ignored; folding leaves them unchanged.
_ALSO_ASCII = re.compile(r"\\u(?:0130|0131|017f|212a)")


def scrub(event: Event, rules: Rules) -> Event:
    """Return ``event`` without what ``rules`` find; a copy where it differs, except for variables filtered at capture.

    The values of sensitive names, and secrets within texts, become ``[filtered]``. Ids stay: that of the event, and the
    ``id`` of the user if it is a number or a word. After 10 ms, variables not scanned yet are replaced by a text that
    says so.
    """
    if rules.off:
        return event
    scrubbed = cast("dict[str, Any]", event.copy())
    texts: list[str] = []
    crumbs: Any = event["breadcrumbs"]
    encoded = crumbs if type(crumbs) is EncodedList and rules.are_ascii else EncodedList(())
    scrubbed["breadcrumbs"] = [] if encoded.texts else [*crumbs]
    for part in _OPEN_PARTS:
        if scrubbed.get(part):
            # A fingerprint has no names, but the first of two words may be ``auth``.
            names = rules.is_sensitive if part != "fingerprint" else None
            scrubbed[part] = by_names(scrubbed[part], names, texts)
    for name, items in scrubbed["contexts"].items():
        if items == FILTERED:  # a context stays a dict
            scrubbed["contexts"][name] = dict.fromkeys(event["contexts"][name], FILTERED)
    suspicion: Suspicion = ()
    if rules.texts is not None:
        texts += _texts_of(event)
        suspicion = rules.texts.suspect([*texts, *encoded.texts])
        if suspicion:
            _clean_texts(scrubbed, rules.texts, suspicion)
    if encoded.texts:
        scrubbed["breadcrumbs"] = _scrub_encoded(encoded, rules, suspicion)
    return cast("Event", scrubbed)


def _texts_of(event: Event) -> list[str]:
    texts = [event["message"]] if event["message"] else []
    for info in event["exceptions"]:
        texts += (info["value"], *info["notes"])
        for frame in info["frames"]:
            texts += _texts_of_variables(frame)
    return texts


def _texts_of_variables(frame: Frame) -> Sequence[str]:
    if type(frame) is EncodedFrame:
        return frame.texts
    return [text for _, _, text in frame["variables"] if len(text) >= _MIN_TEXT and text[0] != _OBJECT]


def _clean_texts(scrubbed: dict[str, Any], secrets: SecretsInTexts, suspicion: Suspicion) -> None:
    """Clean what users read first, so that the time does not run out before it is clean; variables come last."""
    # Compiling patterns, once per process, does not count.
    deadline = processor_time() + TIME_LIMIT - LatePattern.seconds
    clean: Clean = partial(secrets.without_secrets, suspicion=suspicion)
    user_id = (scrubbed["user"] or {}).get("id")
    is_id = type(user_id) is int or (type(user_id) is str and _ID.fullmatch(user_id) is not None)
    if scrubbed["message"]:
        scrubbed["message"] = clean(scrubbed["message"])
    for part in _OPEN_PARTS:
        if scrubbed.get(part):
            scrubbed[part] = by_values(scrubbed[part], clean)
    if is_id:
        scrubbed["user"]["id"] = user_id
    scrubbed["exceptions"] = [
        {**info, "value": clean(info["value"]), "notes": [clean(note) for note in info["notes"]]}
        for info in scrubbed["exceptions"]
    ]
    for info in scrubbed["exceptions"]:
        info["frames"] = [_clean_frame(frame, secrets, suspicion, deadline) for frame in info["frames"]]


def _clean_frame(frame: Frame, secrets: SecretsInTexts, suspicion: Suspicion, deadline: float) -> Frame:
    texts = _texts_of_variables(frame)
    if not texts:
        return frame
    if processor_time() > deadline + LatePattern.seconds:
        frame = own_copy(frame)
        frame["variables"] = [(name, "filtered", OUT_OF_TIME) for name, _, _ in frame["variables"]]
        return frame
    here = secrets.suspect(texts, suspicion)
    if here:
        frame = own_copy(frame)
        frame["variables"] = [
            (name, mark, secrets.without_secrets(text, here)) for name, mark, text in frame["variables"]
        ]
    return frame


def _scrub_encoded(items: EncodedList, rules: Rules, suspicion: Suspicion) -> EncodedList:
    """Return ``items`` without what ``rules`` find; only items that may hold a secret are decoded.

    ``suspicion`` is what their JSON, and other texts, may hold. JSON escapes no character of a literal, so it contains
    each literal of its texts, if ``rules.are_ascii``; a literal that only the JSON contains is gone after decoding.
    """
    may_be = [*suspicion, *rules.names.suspect(items.texts)]
    scrub_all = any(map(_ALSO_ASCII.search, items.texts))
    if not (may_be or scrub_all):
        return items
    known: dict[str, str] = {}  # categories, levels and addresses repeat

    def clean(text: str) -> str:
        if rules.texts is None:
            return text
        cleaned = known.get(text)
        if cleaned is None:
            cleaned = known[text] = rules.texts.without_secrets(text, suspicion)
        return cleaned

    def without_secrets(encoded: str) -> str:
        item = json.loads(encoded)
        scrubbed = by_values(item, clean, rules.is_sensitive)
        return encoded if scrubbed == item else encode_value(scrubbed)

    return EncodedList(
        [without_secrets(text) if scrub_all or rules.names.suspect((text,), may_be) else text for text in items.texts]
    )
