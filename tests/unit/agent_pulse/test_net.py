# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames, devices and files: the pure parts around addresses."""

from __future__ import annotations

import struct
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest
from piranha.net import announce
from piranha.net.addresses import VirtualAddress
from piranha.net.announce import frames_for, gratuitous_arp, unsolicited_advertisement
from piranha.net.links import Carriers, DeviceError, device_for, split_alias
from piranha.net.rtnetlink import Held, Interface
from piranha.net.watch import Changes, note
from piranha.pulse import ledger
from piranha.pulse.heart_settings import Route
from piranha.pulse.wire import Role

MAC = bytes.fromhex("020000000001")
ETH0 = Interface(2, "eth0", MAC, up=True, running=True)
ETH1 = Interface(3, "eth1", MAC, up=True, running=True)
HELD = [
    Held(ip_address("192.0.2.11"), 24, 2),
    Held(ip_address("192.0.2.11"), 16, 3),
    Held(ip_address("192.0.2.100"), 32, 3),
    Held(ip_address("2001:db8::1"), 64, 3),
]


def test_gratuitous_arp() -> None:
    request, reply = gratuitous_arp(MAC, IPv4Address("192.0.2.100"))
    address = IPv4Address("192.0.2.100").packed
    for frame, operation in ((request, 1), (reply, 2)):
        assert len(frame) == 60
        assert frame[:14] == b"\xff" * 6 + MAC + b"\x08\x06"
        assert struct.unpack("!HHBBH", frame[14:22]) == (1, 0x0800, 6, 4, operation)
        assert frame[22:32] == MAC + address
        assert frame[38:42] == address


def test_unsolicited_advertisement() -> None:
    address = IPv6Address("2001:db8::100")
    frame = unsolicited_advertisement(MAC, address)
    body = frame[54:]
    pseudo = address.packed + IPv6Address("ff02::1").packed + struct.pack("!II", len(body), 58)
    total = sum(struct.unpack(f"!{len(pseudo + body) // 2}H", pseudo + body))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert total == 0xFFFF, "the checksum fits"
    assert frame[21] == 255
    assert body[0] == 136
    assert body[4] & 0x20, "it overrides what neighbours know"
    assert body[8:24] == address.packed
    assert body[24:] == b"\x02\x01" + MAC


def test_links_without_hardware_addresses_get_no_frames() -> None:
    assert frames_for(IPv4Address("192.0.2.1"), b"") == ()
    assert frames_for(IPv4Address("192.0.2.1"), bytes(6)) == ()


class Wire:
    """In place of a packet socket: keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []

    def sendto(self, frame: bytes, where: tuple[str, int]) -> None:
        self.sent.append((where[0], frame))


@pytest.fixture
def announcer(monkeypatch: pytest.MonkeyPatch) -> tuple[announce.Announcer, Wire]:
    """An announcer that sends into nothing."""
    wire = Wire()
    monkeypatch.setattr(announce.socket, "socket", lambda *_unused: wire)
    return announce.Announcer(), wire


def told(announcer: announce.Announcer, wire: Wire, until: float) -> list[float]:
    """Let time pass as the heart does; gives when something was sent."""
    times = []
    while (due := announcer.next_at()) is not None and due <= until:
        before = len(wire.sent)
        assert announcer.step(due) is None
        times += [due] * (len(wire.sent) > before)
    return times


def test_announcements_grow_rarer_and_never_end(
    announcer: tuple[announce.Announcer, Wire],
) -> None:
    one, wire = announcer
    one.begin([(ip_address("192.0.2.100"), ETH0)], 100.0)
    assert told(one, wire, 225.0) == [100.0, 100.1, 100.5, 101.0, 102.0, 105.0, 160.0, 220.0]
    one.cancel()
    assert one.next_at() is None


def test_only_new_addresses_are_announced_and_all_are_refreshed(
    announcer: tuple[announce.Announcer, Wire],
) -> None:
    one, wire = announcer
    old, new = ip_address("192.0.2.100"), ip_address("192.0.2.101")
    one.begin([(old, ETH0)], 100.0, only=())
    assert told(one, wire, 110.0) == [], "who adopts has nothing new to say"
    one.begin([(old, ETH0), (new, ETH0)], 110.0, only=[new])
    assert told(one, wire, 120.0) == [110.0, 110.1, 110.5, 111.0, 112.0, 115.0]
    assert all(new.packed in frame and old.packed not in frame for _name, frame in wire.sent)
    wire.sent.clear()
    assert told(one, wire, 170.0) == [160.0]
    assert len(wire.sent) == 4


def test_many_addresses_go_out_in_portions(announcer: tuple[announce.Announcer, Wire]) -> None:
    one, wire = announcer
    one.begin([(ip_address(f"192.0.2.{n}"), ETH0) for n in range(200)], 100.0)
    one.step(100.0)
    assert len(wire.sent) == announce.AT_ONCE
    assert one.next_at() == 0.0, "and the rest at once, after the heartbeats"


def test_carriers() -> None:
    carriers = Carriers({"eth0", "eth1"}, [ETH0])
    assert carriers.without() == ("eth1",)
    assert carriers.update(ETH1, True), "it has come"
    assert carriers.without() == ()
    assert not carriers.update(ETH1, True)
    assert carriers.update(replace(ETH1, running=False), True)
    assert carriers.without() == ("eth1",)
    assert carriers.update(replace(ETH1, mac=bytes(6)), True), "it is back with another card"
    assert carriers.without() == ()
    assert not carriers.update(replace(ETH1, index=9, name="eth9"), True)
    carriers.update(replace(ETH1, name="lan"), True)
    assert carriers.without() == ("eth1",), "it was renamed"
    carriers.update(ETH0, False)
    assert carriers.without() == ("eth0", "eth1")


def test_what_the_kernel_tells_is_noted() -> None:
    found = Changes()
    head = struct.pack("=BBBBi", 2, 32, 0, 0, 2)
    address = struct.pack("=HH4s", 8, 2, bytes([192, 0, 2, 100]))
    note(message(21, head + address) + message(20, head + address), found)
    assert found.gone == {ip_address("192.0.2.100")}, "an address that comes is no news"
    link = struct.pack("=BxHiII", 0, 1, 2, 0x10001, 0) + struct.pack("=HH8s", 12, 3, b"eth0")
    bridge = struct.pack("=BxHiII", 7, 1, 2, 0x10001, 0) + struct.pack("=HH8s", 12, 3, b"eth0")
    note(message(16, link) + message(17, bridge), found)
    ((interface, there),) = found.interfaces
    assert (interface.name, interface.running, there) == ("eth0", True, True)


def message(kind: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


def test_split_alias() -> None:
    assert split_alias("eth0") == ("eth0", None)
    assert split_alias("eth0:1") == ("eth0", "eth0:1")


def test_named_and_found_devices() -> None:
    def found(address: str, device: str | None) -> Interface:
        virtual = frozenset({ip_address("192.0.2.100")})
        return device_for(ip_address(address), device, [ETH0, ETH1], HELD, virtual)

    assert found("203.0.113.1", "eth1:1") is ETH1
    assert found("192.0.2.100", None) is ETH0, "the smallest network, virtual ones aside"
    assert found("192.0.3.1", None) is ETH1
    assert found("2001:db8::77", None) is ETH1
    with pytest.raises(DeviceError, match="no interface eth7"):
        found("192.0.2.100", "eth7:1")
    with pytest.raises(DeviceError, match="write its device"):
        found("203.0.113.1", None)


def test_addresses_survive_the_file(tmp_path: Path) -> None:
    listed = (VirtualAddress("192.0.2.100", 32, "eth0:1"), VirtualAddress("2001:db8::1", 64))
    assert not ledger.read_addresses(tmp_path).found
    ledger.write_addresses(tmp_path, listed, hold=True)
    ledger.write_addresses(tmp_path, listed, hold=True)
    assert ledger.read_addresses(tmp_path) == ledger.Listed(listed, True, True)
    assert [path.name for path in tmp_path.iterdir()] == ["addresses.json"]
    assert (tmp_path / "addresses.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"addresses": 1}', '{"addresses": [{"address": "x", "prefix": 1}]}', "\xff"],
)
def test_damaged_files_count_as_absent(tmp_path: Path, text: str) -> None:
    for name in (ledger.ADDRESSES, ledger.SESSION):
        (tmp_path / name).write_text(text, encoding="latin-1")
    assert ledger.read_addresses(tmp_path) == ledger.Listed()
    assert ledger.read_session(tmp_path) is None


def test_a_session_survives_the_file(tmp_path: Path) -> None:
    speaker = ledger.Spokesman(
        sessions=tuple(bytes([number]) * 16 for number in range(4)),
        role=Role.BACKUP,
        routes=(Route("192.0.2.12", "192.0.2.11"),),
        port=539,
        key_file=Path("/etc/piranha/heartbeat.key"),
        digest=b"12345678",
    )
    ledger.write_session(tmp_path, speaker)
    assert ledger.read_session(tmp_path) == speaker
    ledger.forget(tmp_path)
    assert list(tmp_path.iterdir()) == []
    ledger.forget(tmp_path)
