# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of directives: whole, consistent with itself, and what the reference page shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf import directives as d
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.values import (
    read_value,
    write_value,
)

ROOT = Path(__file__).parents[5]

# The directives of Piranha 0.8.6, by block; the source is the specification of the original.
CLASSIC = {
    d.GLOBAL: """serial_no service primary primary_private primary_shared backup backup_active
        backup_private backup_shared heartbeat heartbeat_port keepalive deadtime rsh_command network
        nat_router nat_nmask reservation_conflict_action debug_level ipvsadm sync monitor_links
        syncdaemon syncd_iface syncd_id tcp_timeout tcpfin_timeout udp_timeout active_cmd
        inactive_cmd hard_shutdown""",
    d.VIRTUAL: """active address vip_nmask sorry_server fwmark protocol port scheduler persistent
        pmask client_monitor send expect send_program use_regex timeout reentry load_monitor
        quiesce_server start_cmd stop_cmd master dirs""",
    d.SERVER: "address active weight port",
}


def test_every_directive_of_the_original_is_there_and_no_other_is_called_classic() -> None:
    for where, names in CLASSIC.items():
        rows = [row for row in d.DIRECTIVES if row.where == where and row.dialect == d.CLASSIC]
        assert sorted(row.name for row in rows) == sorted(names.split())


def test_no_directive_stands_twice() -> None:
    places = [(row.where, row.name) for row in d.DIRECTIVES]
    assert len(places) == len(set(places))


def test_every_default_is_a_value_of_its_directive() -> None:
    for row in d.DIRECTIVES:
        if row.default is None:
            continue
        text = write_value(row, row.default).strip('"')
        assert read_value(row, (text,)) == (row.default, (), None), row.name


def test_every_directive_has_one_sentence_of_documentation() -> None:
    for row in d.DIRECTIVES:
        assert row.doc[0].isupper() or row.doc[0].isdigit(), row.name
        assert row.doc.endswith("."), row.name


@pytest.mark.parametrize("script", ["make_directives.py", "make_findings.py"])
def test_the_reference_pages_say_what_the_tables_say(script: str) -> None:
    command = [sys.executable, "-B", str(ROOT / "docs" / script), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
