# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `piranha gui`, also `piranha-gui`: serves the web page. What it serves is in gui/."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from piranha.gui.protocol import SETTINGS

OK, PROBLEM, WRONG = 0, 1, 2
SOCKET = "gui.sock"

Add = Callable[..., argparse.ArgumentParser]


def register(commands: Any, add: Add) -> None:
    """Add the command."""
    command = add(commands, "gui", _gui, "serve the web page (its service does this)")
    command.add_argument(
        "--settings",
        type=Path,
        default=Path(SETTINGS),
        metavar="FILE",
        help="settings of the page (%(default)s)",
    )


def _gui(options: argparse.Namespace) -> int:
    """Serve until told to stop."""
    from piranha.editing import settings as files

    try:
        settings = files.load(options.settings)
    except files.SettingsError as why:
        print(f"piranha-gui: {why}", file=sys.stderr)
        return WRONG
    try:
        from piranha.gui.accounts import Accounts
        from piranha.gui.app import application
        from piranha.gui.server import CannotServe, configured, serve
        from piranha.gui.site import Settings
        from piranha.gui.socket_backend import SocketBackend
    except ImportError as why:
        print(f"piranha-gui: the agent's archive lacks {why.name}; renew it", file=sys.stderr)
        return PROBLEM
    accounts = Accounts(Path(settings.users))
    app = application(
        SocketBackend(options.run_dir.absolute() / SOCKET),
        accounts,
        Settings(secure=bool(settings.certificate)),
    )
    try:
        config = configured(
            app, settings.address, settings.port, settings.certificate, settings.key
        )
    except CannotServe as why:
        print(f"piranha-gui: {why}", file=sys.stderr)
        return PROBLEM
    return OK if serve(config) else PROBLEM
