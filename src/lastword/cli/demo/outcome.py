"""The result of the demo and its presentation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from lastword.cli.demo.failures import Ack

#: Name, value and remark.
Row = tuple[str, str, str]


@dataclass(frozen=True)
class Outcome:
    """The final counts: every acknowledged capture is delivered, held or lost; one that lastword refused is lost."""

    in_gunicorn: int
    in_celery: int
    delivered: int
    held: int
    lost: int
    duplicates: int
    slowest: float  # milliseconds, like ``median``
    median: float

    @classmethod
    def reckon(cls, acks: Sequence[Ack], received: Counter[str], in_spool: int) -> Outcome:
        """Compare the acknowledged captures with how often each marker was received.

        ``in_spool`` is the number of events in the spool: that many missing captures are held, the rest are lost.
        """
        missing = sum(ack.id is None or not received[ack.marker] for ack in acks)
        held = min(missing, in_spool)
        return cls(
            in_gunicorn=sum("-web-" in ack.marker for ack in acks),
            in_celery=sum("-task-" in ack.marker for ack in acks),
            delivered=len(acks) - missing,
            held=held,
            lost=missing - held,
            duplicates=sum(times - 1 for times in received.values() if times > 1),
            slowest=max((ack.milliseconds for ack in acks), default=0.0),
            median=median(ack.milliseconds for ack in acks) if acks else 0.0,
        )

    @property
    def raised(self) -> int:
        """The number of acknowledged captures."""
        return self.in_gunicorn + self.in_celery

    @property
    def complaint(self) -> str:
        """The problem found; '' if there is none."""
        if not self.raised:
            return "no error was raised"
        if self.lost:
            return f"{self.lost} errors are lost"
        if self.held:
            return f"{self.held} errors are still held, although the tracker is back"
        return ""

    def rows(self) -> list[Row]:
        return [
            ("raised", str(self.raised), f"{self.in_gunicorn} in gunicorn, {self.in_celery} in Celery"),
            ("delivered", str(self.delivered), "found at the tracker"),
            ("held", str(self.held), "waiting in the spool"),
            ("lost", str(self.lost), "nowhere"),
            ("duplicates", str(self.duplicates), "delivered more than once"),
            ("slowest capture", f"{self.slowest:.1f} ms", f"half of all took less than {self.median:.1f} ms"),
        ]
