"""Findings on one spool, for ``lastword status`` and for ``doctor``, which also tests the trackers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lastword.audit.accounts import Accounts
from lastword.audit.findings import Finding, findings
from lastword.cli.diagnosis.place import check_place
from lastword.cli.diagnosis.sending import check_sending
from lastword.spool.layout import Layout


def check_spool(layout: Layout, accounts: Accounts, names: Mapping[str, str]) -> Iterator[Finding]:
    """Yield findings on a spool that exists; ``names`` maps destination keys to readable names."""
    yield from check_place(layout)
    yield from check_sending(layout, accounts, names)
    yield from findings(layout, [writer.id for writer in accounts.writers if not writer.is_described])
