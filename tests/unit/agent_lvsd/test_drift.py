# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cheap look at the table, on a text as a real kernel writes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from piranha.core.ipvs.model import ServiceKey
from piranha.lvsd.drift import Glance, head, prints

TEXT = """\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  CB007164:0050 wlc
  -> C0000215:0050      Masq    3      0          0
  -> C0000216:0050      Masq    1      7          12
SCTP  0A000001:0000 wlc  persistent 6000 FFFFFFFF
  -> C0000215:0000      Masq    3      0          0
UDP  [2001:0db8:0000:0000:0000:0000:0000:0010]:0035 wlc
  -> [2001:0db8:0000:0000:0000:0000:0000:0021]:0035      Masq    3      0          0
FWM  0000004D wlc persistent 6000 FFFFFFFF
  -> C0000215:0000      Masq    3      0          0
"""
WEB = ServiceKey.by_address("tcp", "203.0.113.100", 80)
ALL = ServiceKey.by_address("sctp", "10.0.0.1", 0)
DNS = ServiceKey.by_address("udp", "2001:db8::10", 53)
MARK = ServiceKey.by_mark(77, "ipv4")
KEYS = (WEB, ALL, DNS, MARK)
HEADER = "".join(TEXT.splitlines(keepends=True)[:3])


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    path = tmp_path / "ip_vs"
    path.write_text(TEXT)
    return path


@pytest.fixture
def glance(proc: Path) -> Glance:
    """One that has looked once."""
    made = Glance(proc)
    assert made.changed(KEYS) is None
    return made


def test_every_service_is_found_under_the_name_of_its_key() -> None:
    assert list(prints(TEXT.encode())) == [head(key) for key in KEYS]


def test_connections_and_the_order_of_servers_are_no_change(glance: Glance, proc: Path) -> None:
    lines = TEXT.replace("7          12", "800000     1").splitlines(keepends=True)
    lines[4], lines[5] = lines[5], lines[4]
    proc.write_text("".join(lines))
    assert glance.changed(KEYS) == set()


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ("C0000216:0050      Masq    1 ", "C0000216:0050      Masq    0 ", WEB),
        ("C0000216:0050      Masq ", "C0000216:0050      Route", WEB),
        ("TCP  CB007164:0050 wlc", "TCP  CB007164:0050 rr", WEB),
        (
            "SCTP  0A000001:0000 wlc  persistent 6000",
            "SCTP  0A000001:0000 wlc  persistent 7000",
            ALL,
        ),
        ("0021]:0035", "0022]:0035", DNS),
        ("FWM  0000004D", "FWM  0000004E", MARK),
    ],
)
def test_what_differs_is_named(
    glance: Glance, proc: Path, before: str, after: str, key: ServiceKey
) -> None:
    proc.write_text(TEXT.replace(before, after))
    assert glance.changed(KEYS) == {key}
    assert glance.changed(KEYS) == set()


def test_a_cleared_table_is_all_that_is_ours(glance: Glance, proc: Path) -> None:
    proc.write_text(HEADER)
    assert glance.changed((WEB, DNS)) == {WEB, DNS}


def test_what_was_written_since_the_last_look_is_doubted_once(tmp_path: Path) -> None:
    """Cleared right after lvsd made it, the table looks as it did before."""
    path = tmp_path / "ip_vs"
    path.write_text(HEADER)
    glance = Glance(path)
    assert glance.changed(()) is None
    glance.doubt([WEB, MARK])
    assert glance.changed((WEB, DNS)) == {WEB}
    assert glance.changed((WEB, DNS)) == set()


def test_a_file_that_cannot_be_read_is_unknown(glance: Glance, proc: Path) -> None:
    proc.unlink()
    assert glance.changed(KEYS) is None
    proc.write_text(TEXT)
    assert glance.changed(KEYS) is None
    assert glance.changed(KEYS) == set()
