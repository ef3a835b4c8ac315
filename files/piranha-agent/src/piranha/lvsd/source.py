# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads lvs.cf from the disk and makes a layout of it, or says why that cannot be.

The only file of lvsd that opens lvs.cf and resolves names; what is in it means what layout.py says.
"""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

from piranha.core.lvs_cf import api
from piranha.core.lvs_cf.findings import ERROR

from .layout import Layout, LayoutError, host_names, layout


def load(path: Path) -> Layout:
    """Read and check the file; LayoutError has a sentence for everything that is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise LayoutError([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise LayoutError([f"{path}: is not UTF-8 text; save it as UTF-8"]) from error
    loaded = api.load(text, str(path))
    wrong = [found.format(str(path)) for found in loaded.findings if found.severity == ERROR]
    if wrong:
        raise LayoutError(wrong)
    if loaded.config.globals.text("service") != "lvs":
        raise LayoutError(
            [f"{path}: service is not lvs, so that lvsd has nothing to do; restart pulse instead"]
        )
    addresses = {name: _resolve(path, name) for name in host_names(loaded.config)}
    return replace(layout(loaded.config, addresses), digest=api.digest(loaded.config))


def _resolve(path: Path, name: str) -> str:
    # Blocks for as long as the resolver takes: names are resolved at start and reload only, and
    # a thread would be one too many where programs are forked (see nanny/program.py).
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise LayoutError(
            [f"{path}: the name {name} cannot be resolved: {error.strerror}; write the address"]
        ) from error
    return str(found[0][4][0])
