"""Writers, forked one after the other and SIGKILLed; see tests/chaos/kill.py.

Each records one event in the ordinary way and then others as fast as the disk takes them. One in five is killed at any
moment from its birth on, the others when they have begun to write.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from typing import Any

import lastword
from lastword import sdk
from lastword.assembly import message_event
from lastword.event import new_id
from lastword.spool.record import encode_event
from tests.support.prelude import acked

kills, size, most, span, seed = json.loads(sys.argv[1])
chance = random.Random(seed)
client: Any = sdk.current_client()
to = client.config.destination
event = message_event("x", level="info", settings=client.settings)
event_id, event["message"] = event["id"], "x" * size
template = encode_event(event_id, to.key, event)


def write(begun: int) -> None:
    acked(lastword.capture_message("the first of this writer"))
    os.write(begun, b".")
    for _ in range(most - 1):
        fresh = new_id()
        client.recorder.writer.append(template.replace(event_id.encode(), fresh.encode()), to)
        acked(fresh)
        client.pending.ensure_flusher()


until_nobody_lives, living = os.pipe()
for _ in range(kills):
    reading, begun = os.pipe()
    writer = os.fork()
    if writer == 0:
        try:
            os.close(living)
            write(begun)
            os.read(until_nobody_lives, 1)
        finally:
            os._exit(1)
    if chance.random() > 0.2:
        os.read(reading, 1)
        time.sleep(chance.uniform(0, span))
    else:
        time.sleep(chance.uniform(0, 0.01))
    os.kill(writer, signal.SIGKILL)
    os.close(reading)
    os.close(begun)
    assert os.waitstatus_to_exitcode(os.waitpid(writer, 0)[1]) == -signal.SIGKILL
