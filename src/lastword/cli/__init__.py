"""The command line; ``lastword --help`` lists the commands.

Exit status 0: all is well; 1: the command found a problem or failed; 2: the command cannot be run as it was given.
"""

from __future__ import annotations

import argparse
import re
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn, Optional

from lastword.cli import output
from lastword.dsn import public_part
from lastword.errors import ConfigError, SpoolError
from lastword.foreign_text import printable, without_secrets
from lastword.version import __version__


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run one command and return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        with output.nothing_raw():
            status = _run(options)
        output.flush()  # here, where a BrokenPipeError is still caught
        return status
    except BrokenPipeError:  # the reader of our output, such as `head`, has closed it
        output.abandon()
        return 1
    except (ConfigError, SpoolError, OSError) as error:  # OSError: a file was removed or replaced meanwhile
        output.lines(f"lastword {options.command}: {error}", error=True)
        return 2
    except KeyboardInterrupt:
        return 130
    except Exception:  # a defect of lastword; its message may quote anything
        output.lines(without_secrets(traceback.format_exc()).rstrip(), error=True)
        return 1


def _run(options: argparse.Namespace) -> int:
    parameters = {name: value for name, value in vars(options).items() if name != "command"}
    module, _, function = _COMMANDS[options.command].partition(":")
    status: int = getattr(import_module(f"lastword.cli.{module}"), function)(**parameters)
    return status


#: The function that runs each command, and its module; its parameters are the command's options. Only that module is
#: imported: all imports take some 50 ms of CPU time, those for `status` of 30 writers only 12.
_COMMANDS = {
    "demo": "demo:run",
    "test": "test_event:run",
    "status": "status:run",
    "doctor": "doctor:run",
    "flusher": "foreground:run",
    "flush": "drain:run",
    "ls": "events:run_ls",
    "show": "events:run_show",
    "replay": "change:replay",
    "purge": "change:purge",
    "run": "run:run",
    "redirect": "change:redirect",
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exit with ``message``, made printable and with DSNs reduced to their public part.

        argparse quotes the arguments in ``message``: they may hold a misplaced DSN, a part of one that the shell split,
        or file names that the shell expanded.
        """
        safe = re.sub(r"[^\s']*(?:://|@)[^\s']*", lambda dsn: public_part(dsn[0]), message)
        super().error(printable(safe, lines=False))


def _parser() -> _Parser:
    parser = _Parser(prog="lastword", description="Error reporting that survives its process.")
    parser.add_argument("--version", action="version", version=f"lastword {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    command = commands.add_parser("run", help="run a program with drop-ins for the packages that it imports")
    names_help = "backtracepython, booboo, or both with a comma"
    command.add_argument("--compat", dest="packages", required=True, metavar="NAMES", help=names_help)
    command.add_argument("arguments", nargs=argparse.REMAINDER, metavar="-- PROGRAM", help="and its arguments")

    command = commands.add_parser("demo", help="raise errors in gunicorn and Celery workers, with kills and an outage")
    command.add_argument("--backtrace", action="store_true", help="send Backtrace's format instead of booboo's")
    command.add_argument("--spool", metavar="DIR", help="use this directory, and keep it (default: a temporary one)")

    command = _add(commands, "test", "send one test event through the spool")
    command.add_argument("dsn", nargs="?", metavar="DSN", help="the tracker; the default is $LASTWORD_DSN")
    command.add_argument("--timeout", type=float, default=15.0, metavar="S", help="seconds to wait (default 15)")

    command = _add(commands, "status", "show who writes and sends, and what became of all events")
    command.add_argument("--json", dest="as_json", action="store_true", help="print one JSON object")

    command = _add(commands, "doctor", "find out why events do not arrive")
    command.add_argument("dsn", nargs="?", metavar="DSN", help="test this tracker too; the default is $LASTWORD_DSN")
    command.add_argument("--send", action="store_true", help="send a test event to each tracker")

    _add_senders(commands)
    _add_event_commands(commands)
    return parser


def _add_senders(commands: argparse._SubParsersAction[_Parser]) -> None:
    command = _add(commands, "flusher", "send in the foreground, as a service of systemd or the like")
    empty_help = "end when no process writes any more and nothing can be sent"
    command.add_argument("--exit-when-empty", action="store_true", help=empty_help)
    command = _add(commands, "flush", "send the held events, and report whether any are left")
    command.add_argument("--timeout", type=float, default=60.0, metavar="S", help="seconds to try (default 60)")


def _add_event_commands(commands: argparse._SubParsersAction[_Parser]) -> None:
    command = _add(commands, "ls", "list the held events")
    command.add_argument("--set-aside", action="store_true", help="list the events that were set aside instead")

    command = _add(commands, "show", "show one event that is held or set aside")
    command.add_argument("event_id", metavar="ID", help="its id, or the beginning of it")

    for name, help_text in (
        ("replay", "send events again that were set aside"),
        ("purge", "remove events for good: those that were set aside, or single held ones"),
    ):
        command = _add(commands, name, help_text)
        which = command.add_mutually_exclusive_group(required=True)
        which.add_argument("ids", nargs="*", default=[], metavar="ID", help="ids, or beginnings of ids")
        which.add_argument("--all", dest="everything", action="store_true", help="all events that were set aside")

    command = _add(commands, "redirect", "send the events held for one tracker to another")
    command.add_argument("old", metavar="OLD", help="a DSN or a destination's key, or `none`: captured without a DSN")
    command.add_argument("new", metavar="NEW", help="a DSN")


def _add(commands: argparse._SubParsersAction[_Parser], name: str, summary: str) -> _Parser:
    command = commands.add_parser(name, help=summary)
    spool_help = "the spool directory (default: $LASTWORD_SPOOL, else the place that the README describes)"
    command.add_argument("--spool", metavar="DIR", help=spool_help)
    return command
