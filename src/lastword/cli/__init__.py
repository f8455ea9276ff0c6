"""The command line: ``lastword demo``, ``lastword test``, ``lastword status``.

Exit status 0: all is well; 1: something is wrong with what was looked at or tried; 2: the command cannot be done as it
was asked for.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Optional

from lastword.cli import demo, status, test_event
from lastword.errors import ConfigError, SpoolError
from lastword.version import __version__


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run one command; returns the exit status."""
    told = _parser().parse_args(arguments)
    try:
        code = _run(told)
        sys.stdout.flush()  # here, where a reader that has gone can still be borne
        return code
    except (ConfigError, SpoolError) as error:
        sys.stderr.write(f"lastword {told.command}: {error}\n")
        return 2
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(told: argparse.Namespace) -> int:
    if told.command == "demo":
        return demo.run(backtrace=told.backtrace, spool=told.spool)
    if told.command == "test":
        return test_event.run(told.dsn, spool=told.spool, timeout=told.timeout)
    return status.run(spool=told.spool)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lastword", description="Error reporting that survives its process.")
    parser.add_argument("--version", action="version", version=f"lastword {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    command = commands.add_parser("demo", help="errors in real gunicorn and Celery workers, with kills and an outage")
    command.add_argument("--backtrace", action="store_true", help="send Backtrace's format instead of booboo's")
    command.add_argument("--spool", metavar="DIR", help="use this directory, and keep it (default: a temporary one)")

    command = commands.add_parser("test", help="send one test event through the spool and say what came of it")
    command.add_argument("dsn", nargs="?", metavar="DSN", help="where to; the default is $LASTWORD_DSN")
    command.add_argument("--timeout", type=float, default=15.0, metavar="S", help="seconds to wait (default 15)")
    _add_spool(command)

    command = commands.add_parser("status", help="who writes, who sends, what is held, delivered and lost")
    _add_spool(command)
    return parser


def _add_spool(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--spool", metavar="DIR", help="the spool directory (default: $LASTWORD_SPOOL, then as the README says)"
    )
