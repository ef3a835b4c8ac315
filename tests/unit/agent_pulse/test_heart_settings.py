# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the heart takes out of a configuration, and the sentences where it cannot."""

from __future__ import annotations

import hashlib
from ipaddress import ip_address
from pathlib import Path

import pytest
from piranha.core.lvs_cf import api
from piranha.net.addresses import VirtualAddress
from piranha.pulse import reading
from piranha.pulse.heart_settings import HeartSettings, Route, SettingsError, extract
from piranha.pulse.wire import Role

TEXT = """\
primary = 192.0.2.11
primary_private = 198.51.100.11
backup = 192.0.2.12
backup_private = 198.51.100.12
backup_active = 1
heartbeat_port = 1050
keepalive = 0.5
deadtime = 1.5
network = nat
nat_router = 198.51.100.1 eth1:1
nat_nmask = 255.255.255.0
virtual a {
    active = 1
    address = 192.0.2.100 eth0:1
}
virtual b {
    active = 1
    address = 192.0.2.100 eth0:2
    port = 443
}
virtual c {
    active = 1
    address = 192.0.2.101 eth0
    vip_nmask = 255.255.255.0
}
virtual off {
    active = 0
    address = 192.0.2.102 eth0:3
}
"""


def settings(text: str = TEXT, own: str = "192.0.2.11") -> HeartSettings:
    return extract(api.load(text).config, frozenset({ip_address(own), ip_address("127.0.0.1")}))


def test_the_primary() -> None:
    found = settings()
    assert found.role is Role.PRIMARY
    assert found.timing.partnered
    assert (found.timing.keepalive, found.timing.deadtime, found.port) == (0.5, 1.5, 1050)
    assert found.routes == (
        Route("192.0.2.11", "192.0.2.12"),
        Route("198.51.100.11", "198.51.100.12"),
    )
    assert found.addresses == (
        VirtualAddress("192.0.2.100", 32, "eth0:1"),
        VirtualAddress("192.0.2.101", 24, "eth0"),
        VirtualAddress("198.51.100.1", 24, "eth1:1"),
    )


def test_the_backup_sees_it_from_the_other_side() -> None:
    found = settings(own="192.0.2.12")
    assert found.role is Role.BACKUP
    assert found.routes[1] == Route("198.51.100.12", "198.51.100.11")
    assert found.digest == settings().digest


def test_one_path_only() -> None:
    for line in ("primary_private = 198.51.100.11\n", "backup_private = 198.51.100.12\n"):
        assert len(settings(TEXT.replace(line, "")).routes) == 1


@pytest.mark.parametrize(
    "change",
    [("backup_active = 1", "backup_active = 0"), ("backup = 192.0.2.12", "backup = 0.0.0.0")],
)
def test_no_partner(change: tuple[str, str]) -> None:
    found = settings(TEXT.replace(*change))
    assert not found.timing.partnered
    assert found.routes == ()


def test_nat_router_goes_with_nat_only() -> None:
    found = settings(TEXT.replace("network = nat", "network = direct"))
    assert "198.51.100.1" not in {entry.address for entry in found.addresses}


def test_comments_do_not_change_the_digest_but_meaning_does() -> None:
    assert settings("# hello\n\n" + TEXT).digest == settings().digest
    assert settings(TEXT.replace("eth0:2", "eth0:9")).digest != settings().digest


@pytest.mark.parametrize(
    ("change", "own", "sentence"),
    [
        (("x", "x"), "192.0.2.50", "neither primary 192.0.2.11 nor backup 192.0.2.12"),
        (("primary = 192.0.2.11\n", ""), "192.0.2.11", "primary is not set"),
        (("= 192.0.2.12", "= 127.0.0.1"), "192.0.2.11", "both addresses of this machine"),
        (("deadtime = 1.5", "deadtime = 0.5"), "192.0.2.11", "must be above keepalive"),
    ],
)
def test_what_cannot_be(change: tuple[str, str], own: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence) as caught:
        settings(TEXT.replace(*change), own)
    assert "\n" not in str(caught.value)


def test_failover_services_bring_their_own_addresses_and_no_gateway() -> None:
    block = "failover db {\n active = 1\n address = 192.0.2.200 eth0\n port = 5432\n}\n"
    found = settings("service = fos\n" + TEXT + block)
    assert [entry.address for entry in found.addresses] == ["192.0.2.200"]
    assert found.fos
    assert not settings(TEXT + block).fos
    assert "192.0.2.200" not in [entry.address for entry in settings(TEXT + block).addresses]


def test_the_device_may_differ_between_the_routers() -> None:
    text = TEXT.replace("192.0.2.101 eth0", "192.0.2.101 primary=eth0,backup=ens3:1")
    text = text.replace("198.51.100.1 eth1:1", "198.51.100.1 backup=ens4")
    devices = [
        {entry.address: entry.device for entry in settings(text, own).addresses}
        for own in ("192.0.2.11", "192.0.2.12")
    ]
    assert [found["192.0.2.101"] for found in devices] == ["eth0", "ens3:1"]
    # Where none is named for a router, its connected networks decide.
    assert [found["198.51.100.1"] for found in devices] == [None, "ens4"]


def test_further_links_are_further_routes() -> None:
    links = "primary_links = [ 10.9.0.1 2001:db8::1 ]\nbackup_links = [ 10.9.0.2 2001:db8::2 ]\n"
    assert settings(links + TEXT).routes[2:] == (
        Route("10.9.0.1", "10.9.0.2"),
        Route("2001:db8::1", "2001:db8::2"),
    )
    assert settings(links + TEXT, "192.0.2.12").routes[3] == Route("2001:db8::2", "2001:db8::1")
    with pytest.raises(SettingsError, match="differ in length"):
        settings("primary_links = [ 10.9.0.1 ]\n" + TEXT)
    with pytest.raises(SettingsError, match="write addresses, not names"):
        settings("primary_links = [ a.example ]\nbackup_links = [ b.example ]\n" + TEXT)


def test_beside_a_router_of_old_there_are_two_paths_at_most() -> None:
    links = "primary_links = [ 10.9.0.1 ]\nbackup_links = [ 10.9.0.2 ]\n"
    found = settings(links + "heartbeat_format = classic\n" + TEXT)
    assert found.timing.classic
    assert len(found.routes) == 2
    assert not settings().timing.classic
    alone = TEXT.replace("backup_active = 1", "backup_active = 0")
    assert not settings("heartbeat_format = classic\n" + alone).timing.classic


def test_what_pulse_found_before_the_fork_is_not_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lvs.cf"
    text = TEXT.replace("heartbeat_port = 1050", "heartbeat_port = 1051")
    path.write_text(text)
    reading.prepare(path)
    monkeypatch.setattr(reading, "outline", lambda _config: pytest.fail("it is found again"))
    own = frozenset({ip_address("192.0.2.12")})
    found = extract(reading.load(text).config, own, reading.outlined(text))
    anew = settings(text, "192.0.2.12")
    assert (found.role, found.digest, found.groups) == (Role.BACKUP, anew.digest, anew.groups)


def test_the_digest_is_that_of_the_canonical_text() -> None:
    text = api.write(api.load(TEXT).config)
    assert settings().digest == hashlib.sha256(text.encode()).digest()[:8]


def test_what_cannot_be_prepared_is_the_heart_s_to_refuse(tmp_path: Path) -> None:
    path = tmp_path / "lvs.cf"
    path.write_text(TEXT.replace("192.0.2.101 eth0", "name.example eth0"))
    reading.prepare(path)
    with pytest.raises(SettingsError, match=r"name\.example is a name"):
        reading.outlined(path.read_text())
