# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `piranha passwd`, also called as piranha-passwd: accounts of the web page.

A password is asked for twice at a terminal, or read from standard input; never from the command
line, where everybody on the machine could see it. gui/accounts.py decides, this reads and writes.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import grp
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from piranha.gui.accounts import Account

OK, PROBLEM, MISUSED = 0, 1, 2
USERS = Path("/etc/piranha/gui-users")
GROUP = "piranha-gui"
ROLES = ("view", "operate", "edit")
ACTIONS = {
    "add": "make an account with a password: NAME, --role",
    "change": "give an account another password: NAME",
    "role": "give an account or token another role: NAME, --role",
    "delete": "remove an account or token: NAME",
    "list": "show all accounts, without their hashes",
    "token": "make a token for a machine and print it once: NAME, --role",
    "sync": "make the users those of a JSON list on standard input:"
    ' [{"name": N, "role": R, "password": P}]; tokens stay',
}


class Misused(Exception):
    """The words do not fit together; the text is one sentence."""


def register(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser(
        "passwd",
        help="manage the accounts of the web page",
        description="Manage the accounts of the web page. A password is asked for, or read from"
        " standard input with --stdin; it is never given on the command line.",
        epilog="exit status: 0 done, 1 it could not be done, 2 used wrongly",
    )
    action = command.add_argument(
        "action",
        metavar="ACTION",
        help="; ".join(f"{name}: {words}" for name, words in ACTIONS.items()),
    )
    # Not argparse's choices: its complaint repeats the word, which may be somebody's password.
    action.offers = lambda: ACTIONS
    command.add_argument("name", nargs="?", metavar="NAME", help="of the account")
    command.add_argument(
        "--role", choices=ROLES, default=None, help="what it may do; view unless given"
    )
    command.add_argument(
        "--stdin", action="store_true", help="read the password from standard input, one line"
    )
    command.add_argument(
        "-n", "--dry-run", action="store_true", help="sync: say what would be, and change nothing"
    )
    command.add_argument(
        "--file", type=Path, default=USERS, metavar="FILE", help="the accounts (%(default)s)"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it; gives the exit status."""
    from piranha.gui.accounts import AccountError

    try:
        return _run(options)
    except Misused as why:
        _complain(str(why))
        return MISUSED
    except AccountError as why:
        _complain(str(why))
        return PROBLEM
    except PermissionError:
        _complain(f"{options.file} is root's; use sudo")
        return PROBLEM
    except OSError as why:
        _complain(f"{options.file}: {why.strerror or why}")
        return PROBLEM
    except (KeyboardInterrupt, EOFError):
        _complain("nothing was changed")
        return PROBLEM


def _run(options: argparse.Namespace) -> int:
    from piranha.gui import accounts as rules

    if options.action not in ACTIONS:
        raise Misused(
            f"the first word must be one of {', '.join(ACTIONS)}. If you gave a password: others"
            " could see it there, so do not use it any more"
        )
    if options.action not in ("list", "sync") and options.name is None:
        raise Misused(f"{options.action} needs the name of an account")
    path: Path = options.file
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    try:
        before = rules.read(text)
    except rules.AccountError as why:
        raise rules.AccountError(f"{path}: {why}") from None
    if options.action == "list":
        for one in before:
            print(f"{one.kind:5} {one.role:7} {one.name}")
        return OK
    after, words = _change(options, before)
    if after == before:
        print("same")
    elif options.action == "sync" and options.dry_run:
        print("would change")
    else:
        _write(path, rules.write(after))
        print(words)
    return OK


def _change(options: argparse.Namespace, before: list[Account]) -> tuple[list[Account], str]:
    from piranha.gui import accounts as rules

    name, role = options.name, options.role
    if options.action == "sync":
        return rules.synced(before, _wanted(sys.stdin.read())), "changed"
    if options.action == "delete":
        return rules.deleted(before, name), f"{name} is gone"
    if options.action == "role":
        if role is None:
            raise Misused("role needs --role")
        return rules.with_role(before, name, role), f"{name} may {role} now"
    role = role or ROLES[0]
    if options.action == "token":
        token = rules.new_token()
        return rules.with_token(before, name, role, token), token
    if options.action == "add":
        rules.check_name(name)
        if rules.find(before, rules.USER, name) is not None:
            raise rules.AccountError(f"{name} is there already; use change for another password")
        password = _password(options.stdin)
        return rules.added(before, name, role, password), f"{name} may {role}"
    if rules.find(before, rules.USER, name) is None:
        raise rules.AccountError(f"there is no account {name[:64]!r}; add makes one")
    return rules.changed(before, name, _password(options.stdin)), f"{name} has another password"


def _password(stdin: bool) -> str:
    if stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise Misused("there is no terminal to ask for the password at; give it with --stdin")
    ask: Callable[[str], str] = getpass.getpass
    first = ask("Password: ")
    if ask("Once more: ") != first:
        raise Misused("these were two different passwords; nothing was changed")
    return first


def _wanted(text: str) -> list[tuple[str, str, str]]:
    try:
        data = json.loads(text)
        found = [(one["name"], one.get("role", ROLES[0]), one["password"]) for one in data]
    except (ValueError, TypeError, KeyError, AttributeError):
        found = [(None, None, None)]
    if not all(isinstance(word, str) for one in found for word in one):
        raise Misused("standard input must be a JSON list of users with name, role and password")
    return found


def _write(path: Path, text: str) -> None:
    """Write it whole, for root and the page's group to read."""
    from piranha.files import replace

    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    replace(path, text, durable=True)
    if os.geteuid() == 0:
        with contextlib.suppress(KeyError):
            os.chown(path, 0, grp.getgrnam(GROUP).gr_gid)
            path.chmod(0o640)


def _complain(sentence: str) -> None:
    print(f"piranha: {sentence}", file=sys.stderr)
