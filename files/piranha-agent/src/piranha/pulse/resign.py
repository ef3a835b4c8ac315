# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets go for a heart that cannot: removes its addresses, then says goodbye in its name.

For the supervisor, once it has ended a silent heart, and for `piranha release` after the whole
service has died. It needs nothing but what the heart left in the run folder (ledger.py); the
configuration may be broken by then. How the partner can believe it is told in conversation.py.
"""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

from piranha.fos.record import may_run
from piranha.net.addresses import VirtualAddress, release_all

from . import oldwire
from .conversation import farewells
from .keys import KeyFileError, read_keys
from .ledger import forget, read_all, read_session, write_addresses
from .oldwire import Said

FAREWELLS = 3
"""How often each is said."""


class ResignError(Exception):
    """Addresses may still be here; the text says which and why, a sentence each."""


def resign(config_path: Path, run_dir: Path) -> int:
    """Remove the addresses that the heart's files in run_dir list, then tell the partner.

    Gives 0, also where there was nothing to do. Raises ResignError where an address could not
    be removed: then nothing is said, since the partner must not take what is still held here.
    config_path is not needed; it is in the signature that pulse's helpers share.
    """
    addresses = _stop_holding(run_dir)
    try:
        problems = release_all(addresses)
    except OSError as error:
        problems = [f"the virtual addresses could not be removed: {error.strerror}"]
    if problems:
        raise ResignError("; ".join(problems))
    if not may_run(run_dir):
        # Else the partner would start at once what may still run here; so it waits a dead time.
        _say_goodbye(run_dir)
    forget(run_dir)
    return 0


def _stop_holding(run_dir: Path) -> list[VirtualAddress]:
    """Note it first, so that a heart which starts meanwhile adopts nothing; gives all addresses."""
    addresses: list[VirtualAddress] = []
    for group, listed in read_all(run_dir).items():
        addresses += listed.addresses
        # A full or read-only folder must not keep the addresses here.
        with contextlib.suppress(OSError):
            if listed.found:
                write_addresses(run_dir, listed.addresses, hold=False, group=group)
    return addresses


def _say_goodbye(run_dir: Path) -> None:
    """Send the farewells over every path; a partner that misses them waits its dead time."""
    speaker = read_session(run_dir)
    if speaker is None:
        return
    if speaker.classic is not None:
        said = [oldwire.write(Said.STOPPED, speaker.classic)] * FAREWELLS
    else:
        try:
            keys = read_keys(speaker.key_file)
        except KeyFileError:
            return
        said = farewells(keys, speaker.role, list(speaker.sessions), speaker.digest, FAREWELLS)
    for route in speaker.routes:
        family = socket.AF_INET6 if ":" in route.own else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as sender:
                # Any port of ours: the heart's own may still be taken if it hangs in the kernel.
                sender.bind((route.own, 0))
                for data in said:
                    sender.sendto(data, (route.partner, speaker.port))
        except OSError:
            continue
