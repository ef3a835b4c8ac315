# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""An lvs.cf with everything that the page may not touch freely, and parts of the editor over it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from piranha.editing.desk import Desk, Places
from piranha.editing.settings import Settings
from piranha.gui.protocol import EDIT, Actor

ANN = Actor("ann", EDIT)

TEXT = """\
# our cluster; do not let the comments go
serial_no = 7
primary = 192.0.2.1
backup = 192.0.2.2   # the other one
backup_active = 1
network = direct
notify_cmd = "/usr/local/bin/tell all"
rsh_command = /usr/bin/ssh

virtual web {
    active = 1
    address = 198.51.100.10 eth0
    vip_nmask = 255.255.255.255
    port = 80
    send_program = "/usr/local/bin/check %h"
    server one {
        address = 192.0.2.11
        active = 1
    }
    server two {
        address = 192.0.2.12
        active = 1
    }
}
virtual tls {
    active = 1
    address = 198.51.100.10 eth0
    port = 443
    check = https
    check_ca_file = /etc/piranha/ca.pem
    server one {
        address = 192.0.2.11
        active = 1
    }
}
failover spool {
    active = 0
    address = 198.51.100.11 eth0
    port = 25
    start_cmd = "/etc/init.d/spool start"
    stop_cmd = "/etc/init.d/spool stop"
    load_monitor = uptime
}
"""


def desk(folder: Path, text: str = TEXT, reload: Callable[[], list[str]] | None = None) -> Desk:
    """A desk over a folder of its own, where we count as root."""
    (folder / "history").mkdir()
    (folder / "run").mkdir()
    (folder / "lvs.cf").write_text(text, encoding="utf-8")
    places = Places(
        folder / "lvs.cf", folder / "run/lvs.cf", folder / "history", frozenset({0, os.getuid()})
    )
    return Desk(places, reload or (lambda: []), clock=lambda: 1000.0)


def settings(folder: Path, **more: object) -> Settings:
    """Settings that let the page edit."""
    given: dict[str, object] = {"ceiling": EDIT, "scripts": str(folder / "scripts"), **more}
    return Settings(**given)  # type: ignore[arg-type]  # a test names only fields that are there
