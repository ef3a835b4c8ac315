# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `piranha editor`: the process between the web page and pulse."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

HISTORY = Path("/var/lib/piranha-editor")
SETTINGS = Path("/etc/piranha/gui.json")

Add = Callable[..., argparse.ArgumentParser]
Option = Callable[[argparse.ArgumentParser], None]


def register(commands: Any, add: Add, config: Option) -> None:
    """Add the command. config: adds the option -c."""
    command = add(
        commands, "editor", _editor, "serve the web page's requests (its service does this)"
    )
    config(command)
    command.add_argument(
        "--settings",
        type=Path,
        default=SETTINGS,
        metavar="FILE",
        help="settings of the page (%(default)s)",
    )
    command.add_argument(
        "--history",
        type=Path,
        default=HISTORY,
        metavar="DIR",
        help="where the history of changes is kept (%(default)s)",
    )
    command.add_argument(
        "--relay",
        action="store_true",
        help="hand one request of the partner's page from standard input to the editor that runs",
    )


def _editor(options: argparse.Namespace) -> int:
    if options.relay:
        from piranha.editing import partner

        return partner.relay(options.run_dir / "gui.sock")
    from piranha.editing import door

    return door.run(
        options.config.absolute(), options.run_dir.absolute(), options.settings, options.history
    )
