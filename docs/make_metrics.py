# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes docs/metrics.md from the table of metrics; a unit test compares."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "metrics.md"

sys.path.insert(0, str(ROOT / "files/piranha-agent/src"))

from piranha.control.exporter import CLIENTS, PATIENCE  # noqa: E402 - the path must be set first
from piranha.control.metrics import METRICS  # noqa: E402 - the path must be set first

_HEAD = """\
<!--
SPDX-FileCopyrightText: piranha.lvs founders
SPDX-License-Identifier: GPL-3.0-or-later
Made by docs/make_metrics.py from files/piranha-agent/src/piranha/control/metrics.py; do not edit.
-->
# Metrics for Prometheus

    piranha metrics                              prints them once, for a textfile collector
    piranha metrics --listen 192.0.2.2:9539      serves http://192.0.2.2:9539/metrics

With the role, `piranha_router_metrics: "192.0.2.2:9539"` (a variable of each router, or
`0.0.0.0:9539` for all) has `piranha-metrics.service` serve them; nothing listens by default. It is
a process of its own, as a user that exists only while it runs, without a capability and without
a right but to open `/run/piranha/control.sock`, by the group `piranha`. It takes {CLIENTS} clients
at once, gives each {PATIENCE:g} s, and reads the status once a second at most. There is no TLS and
no password: listen on a management network, or at `unix:/PATH` where you run the command yourself.

| metric | kind | labels | what |
| --- | --- | --- | --- |
"""


def page() -> str:
    """Give the whole page."""
    rows = [
        f"| `{one.name}` | {one.kind} | {', '.join(one.labels)} | {one.doc} |" for one in METRICS
    ]
    return _HEAD.format(CLIENTS=CLIENTS, PATIENCE=PATIENCE) + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
