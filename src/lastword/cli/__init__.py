"""The command line; ``lastword --help`` lists the commands.

Exit status 0: all is well; 1: the command found a problem or failed; 2: the command cannot be run as it was given.
"""

from __future__ import annotations

import argparse
import re
import traceback
from collections.abc import Sequence
from typing import Callable, NoReturn, Optional

from lastword.cli import output
from lastword.dsn import public_part
from lastword.errors import ConfigError, SpoolError
from lastword.foreign_text import printable
from lastword.version import __version__


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run one command and return the exit status."""
    told = _parser().parse_args(arguments)
    try:
        with output.nothing_raw():
            code = _run(told)
        output.flush()  # here, where a BrokenPipeError is still caught
        return code
    except (ConfigError, SpoolError) as error:
        output.lines(f"lastword {told.command}: {error}", error=True)
        return 2
    except BrokenPipeError:  # the reader of our output, such as `head`, has closed it
        output.abandon()
        return 1
    except OSError as error:  # a file was removed or replaced, or its permissions changed, meanwhile
        output.lines(f"lastword {told.command}: {error}", error=True)
        return 2
    except KeyboardInterrupt:
        return 130
    except Exception:  # a defect of lastword; its message may quote anything
        output.defect(traceback.format_exc())
        return 1


def _run(told: argparse.Namespace) -> int:
    return _COMMANDS[told.command](told)


# Each function imports only what it needs: all imports take some 50 ms of CPU time, `status` of 30 writers only 12.


def _demo(told: argparse.Namespace) -> int:
    from lastword.cli import demo

    return demo.run(backtrace=told.backtrace, spool=told.spool)


def _test(told: argparse.Namespace) -> int:
    from lastword.cli import test_event

    return test_event.run(told.dsn, spool=told.spool, timeout=told.timeout)


def _status(told: argparse.Namespace) -> int:
    from lastword.cli import status

    return status.run(spool=told.spool, as_json=told.json)


def _doctor(told: argparse.Namespace) -> int:
    from lastword.cli import doctor

    return doctor.run(told.dsn, spool=told.spool, send=told.send)


def _flusher(told: argparse.Namespace) -> int:
    from lastword.cli import foreground

    return foreground.run(spool=told.spool, exit_when_empty=told.exit_when_empty)


def _flush(told: argparse.Namespace) -> int:
    from lastword.cli import drain

    return drain.run(spool=told.spool, timeout=told.timeout)


def _ls(told: argparse.Namespace) -> int:
    from lastword.cli import events

    return events.run_ls(spool=told.spool, set_aside=told.set_aside)


def _show(told: argparse.Namespace) -> int:
    from lastword.cli import events

    return events.run_show(told.id, spool=told.spool)


def _replay(told: argparse.Namespace) -> int:
    from lastword.cli import change

    return change.replay(told.id, everything=told.all, spool=told.spool)


def _purge(told: argparse.Namespace) -> int:
    from lastword.cli import change

    return change.purge(told.id, everything=told.all, spool=told.spool)


def _redirect(told: argparse.Namespace) -> int:
    from lastword.cli import change

    return change.redirect(told.old, told.new, spool=told.spool)


def _run_program(told: argparse.Namespace) -> int:
    from lastword.cli import run

    return run.run(told.arguments, packages=told.compat)


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "demo": _demo,
    "test": _test,
    "status": _status,
    "doctor": _doctor,
    "flusher": _flusher,
    "flush": _flush,
    "ls": _ls,
    "show": _show,
    "replay": _replay,
    "purge": _purge,
    "run": _run_program,
    "redirect": _redirect,
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exit with ``message``, made printable and with DSNs reduced to their public part.

        argparse quotes the arguments in ``message``: they may hold a misplaced DSN, a part of one that the shell split,
        or file names that the shell expanded.
        """
        told = re.sub(r"[^\s']*(?:://|@)[^\s']*", lambda told: public_part(told[0]), message)
        super().error(printable(told, lines=False))


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = _Parser(prog="lastword", description="Error reporting that survives its process.")
    parser.add_argument("--version", action="version", version=f"lastword {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    command = commands.add_parser("run", help="run a program with drop-ins for the packages that it imports")
    command.add_argument(
        "--compat", required=True, metavar="NAMES", help="backtracepython, booboo, or both with a comma"
    )
    command.add_argument("arguments", nargs=argparse.REMAINDER, metavar="-- PROGRAM", help="and its arguments")

    command = commands.add_parser("demo", help="errors in real gunicorn and Celery workers, with kills and an outage")
    command.add_argument("--backtrace", action="store_true", help="send Backtrace's format instead of booboo's")
    command.add_argument("--spool", metavar="DIR", help="use this directory, and keep it (default: a temporary one)")

    command = _with_spool(commands.add_parser("test", help="send one test event through the spool"))
    command.add_argument("dsn", nargs="?", metavar="DSN", help="where to; the default is $LASTWORD_DSN")
    command.add_argument("--timeout", type=float, default=15.0, metavar="S", help="seconds to wait (default 15)")

    command = _with_spool(commands.add_parser("status", help="who writes, who sends, what is held, delivered and lost"))
    command.add_argument("--json", action="store_true", help="as one JSON object")

    command = _with_spool(commands.add_parser("doctor", help="find what keeps events from arriving"))
    command.add_argument("dsn", nargs="?", metavar="DSN", help="look at this tracker too; the default is $LASTWORD_DSN")
    command.add_argument("--send", action="store_true", help="send a test event to each tracker that is looked at")

    _add_senders(commands)
    _add_event_commands(commands)
    return parser


def _add_senders(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _with_spool(commands.add_parser("flusher", help="send in the foreground, for systemd and its like"))
    command.add_argument(
        "--exit-when-empty", action="store_true", help="end when no process writes any more and nothing can be sent"
    )
    command = _with_spool(commands.add_parser("flush", help="send what is held, and say whether anything is left"))
    command.add_argument("--timeout", type=float, default=60.0, metavar="S", help="seconds to try (default 60)")


def _add_event_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _with_spool(commands.add_parser("ls", help="list the events that are held"))
    command.add_argument("--set-aside", action="store_true", help="those that trackers refused instead")

    command = _with_spool(commands.add_parser("show", help="show one event that is held or set aside"))
    command.add_argument("id", metavar="ID", help="its id, or how that begins")

    for name, help_text in (
        ("replay", "send again what was set aside"),
        ("purge", "remove for good what was set aside, or single events that are held"),
    ):
        command = _with_spool(commands.add_parser(name, help=help_text))
        which = command.add_mutually_exclusive_group(required=True)
        which.add_argument("id", nargs="*", default=[], metavar="ID", help="ids, or how they begin")
        which.add_argument("--all", action="store_true", help="everything that is set aside")

    command = _with_spool(commands.add_parser("redirect", help="send what is held for one tracker to another one"))
    command.add_argument("old", metavar="OLD", help="a DSN or a destination's key, or `none`: captured without a DSN")
    command.add_argument("new", metavar="NEW", help="a DSN")


def _with_spool(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument(
        "--spool", metavar="DIR", help="the spool directory (default: $LASTWORD_SPOOL, then as the README says)"
    )
    return command
