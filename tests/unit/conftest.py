"""What unit tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lastword import diagnostics, listener, sdk
from lastword.capture import CaptureSettings
from lastword.event import Needs
from lastword.scope import context
from lastword.scrub import is_sensitive


@pytest.fixture
def settings() -> CaptureSettings:
    """Settings for capturing, as a client gives them."""
    return CaptureSettings(needs=Needs(), is_sensitive=is_sensitive, environment="production", release="1.2.3")


@pytest.fixture
def as_in_a_new_process() -> Iterator[None]:
    """What other tests have left behind is undone, and then what this one sets up."""
    undo()
    yield
    undo()


def undo() -> None:
    for client in (sdk._client, sdk._closed):
        for recorder in client.pending.recorders if client is not None else []:
            if recorder.writer is not None:
                recorder.writer.abandon()
    sdk._client = sdk._closed = None
    listener.uninstall()
    context.set_user(None)
    for tag in context.current()[1]:
        context.set_tag(tag, None)
    diagnostics.forget()
