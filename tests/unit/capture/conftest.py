"""Settings for capturing, as a client gives them."""

from __future__ import annotations

import pytest

from lastword.capture import CaptureSettings
from lastword.event import Needs
from lastword.scrub import is_sensitive


@pytest.fixture
def settings() -> CaptureSettings:
    return CaptureSettings(needs=Needs(), is_sensitive=is_sensitive, environment="production", release="1.2.3")
