# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Goes once through what a heart does at its start, without any effect.

A forked process shares its memory with pulse until it writes to it, and each first write costs a
copy of a page: 3,000 of them at a heart's start, 2 ms on a machine and 700 ms in user-mode Linux.
The heart's understudy (ward.py) pays for them here, long before it has to step in.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path

from piranha.control.link import Link
from piranha.net.addresses import Addresses
from piranha.net.rtnetlink import Netlink
from piranha.net.sync import Backup

from . import report
from .engine import Engine
from .heart import clock
from .reading import read_settings
from .wire import SESSION_SIZE, Key


def rehearse(config_path: Path, link: Link) -> None:
    """Read the configuration, look at the addresses, start an engine, and throw all of it away.

    link: told nothing but one empty snapshot of the kind that a heart sends.
    """
    addresses = Addresses(Netlink())
    settings, keys = read_settings(config_path, addresses)
    addresses.missing(settings.addresses)
    addresses.carriers(settings.addresses).without()
    Backup().rehearse()
    now = clock()
    keys = keys or (Key.of(os.urandom(32)),)
    session = functools.partial(os.urandom, SESSION_SIZE)
    engine = Engine(keys, settings.timing, settings.digest, session, now, tuple(settings.groups))
    engine.start(now, holding=False)
    engine.woke(now)
    engine.tick(now)
    engine.next_at()
    link.send({"rehearsed": report.snapshot(engine, settings, [], "", now)})
