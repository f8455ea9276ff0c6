"""What the demo found out, and how it is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from lastword.cli.demo.failures import Ack

#: Name, value, remark.
Row = tuple[str, str, str]


@dataclass(frozen=True)
class Outcome:
    """Every acknowledged capture is delivered, held or lost; one that lastword refused is lost."""

    in_gunicorn: int
    in_celery: int
    delivered: int
    held: int
    lost: int
    duplicates: int
    slowest: float  # milliseconds, as is the next
    median: float

    @classmethod
    def reckon(cls, acks: Sequence[Ack], received: Counter[str], in_spool: int) -> Outcome:
        """Compare what was acknowledged with how often each marker was received.

        ``in_spool`` events are waiting in the spool, so that many of the missing are held; the others are nowhere.
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
        """The number of captures that were acknowledged."""
        return self.in_gunicorn + self.in_celery

    @property
    def complaint(self) -> str:
        """What is wrong; '' when all is as promised."""
        if not self.raised:
            return "no error was raised"
        if self.lost:
            return f"{self.lost} errors are lost"
        if self.held:
            return f"{self.held} errors are still held, although the tracker is back"
        return ""

    def rows(self) -> list[Row]:
        """The table."""
        return [
            ("raised", str(self.raised), f"{self.in_gunicorn} in gunicorn, {self.in_celery} in Celery"),
            ("delivered", str(self.delivered), "found at the tracker"),
            ("held", str(self.held), "waiting in the spool"),
            ("lost", str(self.lost), "nowhere"),
            ("duplicates", str(self.duplicates), "delivered more than once"),
            ("slowest capture", f"{self.slowest:.1f} ms", f"half of all took less than {self.median:.1f} ms"),
        ]
