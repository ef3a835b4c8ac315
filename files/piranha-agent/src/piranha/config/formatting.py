# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""`piranha config format`: even layout, comments kept; printed, written or only judged."""

from __future__ import annotations

import argparse
import difflib
import os
import stat
import sys
import tempfile
from pathlib import Path

from piranha.core.lvs_cf.api import decode, encode, load
from piranha.core.lvs_cf.layout import tidy

from .terminal import (
    ERRORS,
    FINE,
    STDIN,
    UNREADABLE,
    Unreadable,
    complain,
    print_findings,
    printable,
    read,
    shown_name,
)


def run(arguments: argparse.Namespace) -> int:
    """0 done or nothing to do; 1 a file has errors or would change (--check, --diff); 2 trouble."""
    prints = not (arguments.write or arguments.check or arguments.diff)
    if prints and len(arguments.files) > 1:
        complain("format prints one file; use --write, --check or --diff for several")
        return UNREADABLE
    if arguments.write and STDIN in arguments.files:
        complain("standard input cannot be written to; leave --write out")
        return UNREADABLE
    return max(_one(name, arguments, prints) for name in arguments.files)


def _one(name: str, arguments: argparse.Namespace, prints: bool) -> int:
    try:
        data = read(name)
    except Unreadable as why:
        complain(str(why))
        return UNREADABLE
    text, shown = decode(data), shown_name(name)
    loaded = load(text, shown)
    if loaded.errors:
        print_findings(loaded, loaded.errors, sys.stderr)
        complain(f"{shown} is left as it is, since it has errors")
        return ERRORS
    tidied = tidy(loaded.document)
    if prints:
        sys.stdout.write(printable(tidied))
        return FINE
    if tidied == text:
        return FINE
    if arguments.diff:
        _print_difference(text, tidied, shown)
    if not arguments.write:
        if not arguments.diff:
            print(f"would change {shown}")
        return ERRORS
    try:
        replace(Path(name), encode(tidied))
    except OSError as error:
        reason = error.strerror or str(error)
        complain(f"cannot write {shown}: {reason}; it is as it was, check rights and space")
        return UNREADABLE
    print(f"changed {shown}")
    return FINE


def _print_difference(before: str, after: str, name: str) -> None:
    # Line ends are part of the layout, but a bare \r would garble a terminal.
    ours = [line.replace("\r", "^M") for line in before.split("\n")]
    lines = difflib.unified_diff(ours, after.split("\n"), name, f"{name} (formatted)", lineterm="")
    for line in lines:
        print(printable(line))


def replace(path: Path, data: bytes) -> None:
    """Give a file a new content at one instant, with the owner and mode it had. Raises OSError.

    The file that a link leads to is the one replaced.
    """
    path = path.resolve()
    was = path.stat()
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            if (was.st_uid, was.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(file.fileno(), was.st_uid, was.st_gid)
            os.fchmod(file.fileno(), stat.S_IMODE(was.st_mode))
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
