# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of lvs_cf share: the file of a whole cluster, and short ways to load texts."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.api import Loaded, load

CLUSTER = (Path(__file__).parent / "data" / "cluster.cf").read_text(encoding="utf-8")

# A small configuration without any finding; tests change one thing in it.
QUIET = """\
primary = 192.0.2.1
backup = 192.0.2.2
backup_active = 1
keepalive = 2
deadtime = 6
nat_router = 198.51.100.1 eth1:1

virtual web {
    active = 1
    address = 192.0.2.80 eth0:1
    port = 80

    server one {
        address = 198.51.100.11
        active = 1
    }
}
"""


def changed(old: str, new: str) -> Loaded:
    """The quiet configuration with one text replaced by another; the old one must be there."""
    if QUIET.count(old) != 1:
        raise LookupError(f"{old!r} stands {QUIET.count(old)} times in the configuration")
    return load(QUIET.replace(old, new))


def codes(loaded: Loaded) -> list[str]:
    """The codes of the findings, in their order."""
    return [found.code for found in loaded.findings]
