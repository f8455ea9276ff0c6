"""What docs/operations.md tells people to put into units, cron tables, containers and scripts is what the CLI takes."""

from __future__ import annotations

import argparse
import configparser
import json
import re
import shlex
from pathlib import Path

import pytest

from lastword import cli
from tests.support.promise import Section, promise

pytestmark = promise(
    Section.FLUSHER_MODES,
    "Every command line in the documentation works",
    broken_by="a misspelt option; a line that is no setting",
)

OPERATIONS = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", OPERATIONS, re.DOTALL | re.MULTILINE)


def documented() -> list[str]:
    """The arguments of every command in a block, and in the line for cron."""
    found = re.findall(r"`[*/0-9 ]+ /\S*lastword (.*?)`", OPERATIONS)
    for _, text in BLOCKS:
        found += [shlex.join(json.loads(words)[1:]) for words in re.findall(r'\["lastword".*?\]', text)]
        found += re.findall(r"^(?:\w+=)?(?:/\S*/)?lastword (\S.*)$", text, re.MULTILINE)
    return found


def test_all_kinds_of_commands_are_found_in_the_page() -> None:
    """systemd twice, cron, supervisor, Kubernetes twice, a container's entry point."""
    commands = [command.split()[0] for command in documented()]
    assert sorted(commands) == ["flush", "flush", "flush", "flusher", "flusher", "flusher", "status"]


@pytest.mark.parametrize("command", documented())
def test_documented_command_is_accepted(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every option that is given."""
    told: list[argparse.Namespace] = []

    def taken(arguments: argparse.Namespace) -> int:
        told.append(arguments)
        return 0

    monkeypatch.setattr(cli, "_run", taken)
    assert cli.main(shlex.split(command)) == 0
    assert [arguments.command for arguments in told] == [command.split()[0]]


@pytest.mark.parametrize("text", [text for language, text in BLOCKS if language == "ini"])
def test_a_unit_can_be_parsed(text: str) -> None:
    """Every line of it is a section, a setting or a comment."""
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters="=", comment_prefixes="#")
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    known = {"Unit", "Service", "Timer", "Install", "program:lastword"}
    assert parser.sections() and set(parser.sections()) <= known
    assert all(value for section in parser.sections() for value in parser[section].values())
