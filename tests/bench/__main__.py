"""Run the benchmark named on the command line; the exit status says whether all was within its limits."""

from __future__ import annotations

import argparse

from tests.bench import capture, contention, drain, idle, memory, recovery, status


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    kinds = parser.add_subparsers(metavar="benchmark", required=True)
    capture.add_arguments(kinds.add_parser("capture", help=capture.QUESTION, description=capture.__doc__))
    contention.add_arguments(kinds.add_parser("contention", help=contention.QUESTION, description=contention.__doc__))
    drain.add_arguments(kinds.add_parser("drain", help=drain.QUESTION, description=drain.__doc__))
    idle.add_arguments(kinds.add_parser("idle", help=idle.QUESTION, description=idle.__doc__))
    memory.add_arguments(kinds.add_parser("memory", help=memory.QUESTION, description=memory.__doc__))
    recovery.add_arguments(kinds.add_parser("recovery", help=recovery.QUESTION, description=recovery.__doc__))
    status.add_arguments(kinds.add_parser("status", help=status.QUESTION, description=status.__doc__))
    options = parser.parse_args()
    return 0 if options.measure(options) else 1


if __name__ == "__main__":
    raise SystemExit(main())
