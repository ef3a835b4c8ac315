# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of `piranha config`: subcommands, options, help. What they do is in config/.

Nothing is imported before a subcommand runs, so that the others start quickly.
"""

from __future__ import annotations

import argparse
from importlib import import_module

_CHECKED = "exit status: 0 fine or warnings only, 1 errors, 2 a file cannot be read"
_SHOWN = "exit status: 0 fine, 1 the file has errors, 2 it cannot be read"
_FORMATTED = (
    "exit status: 0 done or nothing to do, 1 a file has errors or (with --check or --diff alone)"
    " would change, 2 a file cannot be read or written"
)
_COMPARED = (
    "exit status: 0 they mean the same, 1 they differ, 2 a file cannot be read or has errors"
)
_EXPLAINED = "exit status: 0 it is explained, 2 there is no such word"
_FILE = "an lvs.cf; `-` is standard input"

Commands = argparse._SubParsersAction  # what add_subparsers() gives


def register(subparsers: Commands[argparse.ArgumentParser]) -> None:
    """Add `config` and its subcommands. Each sets `run`, a function from arguments to status."""
    summary = "check, show, tidy, compare and explain an lvs.cf"
    config = subparsers.add_parser("config", help=summary, description=_sentence(summary))
    commands = config.add_subparsers(dest="config_command", metavar="COMMAND", required=True)
    _check(commands)
    _show(commands)
    _format(commands)
    _diff(commands)
    _explain(commands)


def _check(commands: Commands[argparse.ArgumentParser]) -> None:
    check = _command(
        commands, "check", "check", "name every mistake of one or more files", _CHECKED
    )
    check.add_argument("files", nargs="+", metavar="FILE", help=_FILE)
    check.add_argument(
        "--classic", action="store_true", help="also refuse every line that Piranha 0.8.6 refused"
    )
    check.add_argument(
        "--on-this-host",
        action="store_true",
        help="also look at this machine's devices, addresses, programs and kernel",
    )
    check.add_argument("--strict", action="store_true", help="exit with 1 for warnings too")
    check.add_argument("--json", action="store_true", help="print the findings as JSON")


def _show(commands: Commands[argparse.ArgumentParser]) -> None:
    summary = "print every directive with its effective value"
    show = _command(commands, "show", "show", summary, _SHOWN)
    show.add_argument("file", metavar="FILE", help=_FILE)
    show.add_argument("--json", action="store_true", help="print the configuration as JSON")


def _format(commands: Commands[argparse.ArgumentParser]) -> None:
    summary = "give files an even layout, comments kept; prints the text unless told otherwise"
    tidied = _command(commands, "format", "formatting", summary, _FORMATTED)
    tidied.add_argument("files", nargs="+", metavar="FILE", help=_FILE)
    tidied.add_argument("-w", "--write", action="store_true", help="write the files in place")
    tidied.add_argument("--check", action="store_true", help="only tell which files would change")
    tidied.add_argument("--diff", action="store_true", help="print what would change, line by line")


def _diff(commands: Commands[argparse.ArgumentParser]) -> None:
    summary = "compare two files by meaning: comments, order and spelling do not count"
    diff = _command(commands, "diff", "diff", summary, _COMPARED)
    diff.add_argument("left", metavar="A", help=_FILE)
    diff.add_argument("right", metavar="B", help=_FILE)
    diff.add_argument(
        "--nodes",
        action="store_true",
        help="A is the primary's file and B the backup's: device names, and directives that"
        " nothing acts on, do not count",
    )
    diff.add_argument("--json", action="store_true", help="print the differences as JSON")


def _explain(commands: Commands[argparse.ArgumentParser]) -> None:
    summary = "tell what a directive, a kind of block or a finding's code means"
    explain = _command(commands, "explain", "explain", summary, _EXPLAINED)
    word = explain.add_argument(
        "word", nargs="?", metavar="DIRECTIVE", help="or a code such as E201; without it, a list"
    )
    explain.add_argument("--json", action="store_true", help="print it as JSON")
    # For cli_docs.completion(), which asks for it only when completion is made.
    word.offers = lambda: import_module("piranha.config.explain").words()  # type: ignore[attr-defined]


def _command(
    commands: Commands[argparse.ArgumentParser], name: str, room: str, summary: str, status: str
) -> argparse.ArgumentParser:
    """Add a subcommand that the room's run() carries out."""
    command = commands.add_parser(name, help=summary, description=_sentence(summary), epilog=status)

    def run(arguments: argparse.Namespace) -> int:
        return int(import_module(f"piranha.config.{room}").run(arguments))

    command.set_defaults(run=run)
    return command


def _sentence(summary: str) -> str:
    return f"{summary[0].upper()}{summary[1:]}."
