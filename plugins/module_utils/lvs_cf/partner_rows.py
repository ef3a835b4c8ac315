# Copyright: (c) piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows for how two routers speak with each other, and when the addresses move between them.

What they mean to each other is check_partner.py's.
"""

from __future__ import annotations

from .row import CHOICE, EXTENDED, GLOBAL, HOST, LIST, PATH, SECONDS, SWITCH, Directive

_YEAR = 31536000

SIGNED = "signed"
OF_OLD = "classic"
"""The two formats of heartbeats: the second is that of Piranha 0.8.6."""
GATEWAY = "gateway"
"""The witness that is whatever the kernel uses as its default gateway."""

PARTNER_ROWS = (
    Directive(
        GLOBAL,
        "heartbeat_format",
        CHOICE,
        SIGNED,
        "Heartbeats as this agent signs them, or as Piranha 0.8.6 sent them, for a partner of old.",
        choices=(SIGNED, OF_OLD),
        dialect=EXTENDED,
    ),
    Directive(
        GLOBAL,
        "heartbeat_key_file",
        PATH,
        "/etc/piranha/heartbeat.key",
        "File with the key that authenticates heartbeats, the same on both routers.",
        dialect=EXTENDED,
    ),
    Directive(
        GLOBAL,
        "start_delay",
        SECONDS,
        0,
        "Extra time after start during which silence of the partner does not count.",
        low=0,
        high=_YEAR,
        dialect=EXTENDED,
    ),
    Directive(
        GLOBAL,
        "witness",
        LIST,
        None,
        "Addresses, or gateway: a router that reaches neither these nor its partner takes nothing.",
        item=HOST,
        dialect=EXTENDED,
    ),
    Directive(
        GLOBAL,
        "preempt",
        SWITCH,
        0,
        "Whether a primary that has come back takes the addresses back, connections first.",
        low=0,
        high=1,
        dialect=EXTENDED,
    ),
    Directive(
        GLOBAL,
        "preempt_delay",
        SECONDS,
        0,
        "How long the backup must have been active before the primary takes back (preempt).",
        low=0,
        high=_YEAR,
        dialect=EXTENDED,
    ),
    Directive(
        GLOBAL,
        "failover_on",
        CHOICE,
        "silence",
        "What moves the addresses: the partner's silence alone, or also its serving more (health).",
        choices=("silence", "health"),
        dialect=EXTENDED,
    ),
)
