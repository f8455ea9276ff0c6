"""How much the demo does, and in what time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    requests: int
    request_kills: int
    tasks: int
    task_kills: int
    seconds: float
    outage: float  # seconds without a tracker, in the middle of the run


FULL = Plan(requests=420, request_kills=12, tasks=120, task_kills=4, seconds=14.0, outage=4.0)
SHORT = Plan(requests=60, request_kills=4, tasks=20, task_kills=1, seconds=4.0, outage=1.5)
