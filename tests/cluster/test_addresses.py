# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others do to the virtual addresses, and how they look in the kernel. Hearts alone."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections import Counter
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.cluster.heart_lab import (
    ALL,
    DEADTIME,
    GATEWAY,
    VIRTUAL,
    VIRTUAL6,
    Heart,
    Net,
    Pings,
    config,
    inside,
    ip,
    pause,
    settle,
)

Three = tuple[Net, Heart, Heart]
SOURCES = Path(__file__).resolve().parents[2] / "files/piranha-agent/src"
SOON = 1.0
"""Seconds; the heart is told at once, but a virtual machine may be slow."""


def shown(namespace: str) -> dict[str, dict[str, Any]]:
    """Give what ip(8) tells of each address of a namespace."""
    argv = ["ip", "-n", namespace, "-json", "address", "show"]
    text = subprocess.run(argv, check=True, timeout=20, capture_output=True, text=True).stdout
    told = json.loads(text)
    return {
        entry["local"]: {**entry, "device": link["ifname"]}
        for link in told
        for entry in link["addr_info"]
    }


def test_addresses_are_set_as_the_file_says(three: Three) -> None:
    net, primary, backup = three
    text = config(nat_router=f"{GATEWAY} eth1", nat_nmask="255.255.255.0")
    text = text.replace(f"{VIRTUAL} eth0:1\n", f"{VIRTUAL} eth0:web\nvip_nmask = 255.255.255.192\n")
    for heart in (primary, backup):
        heart.config.write_text(text)
        heart.start()
    settle(primary, backup)
    found = shown(net.routers[0])
    virtual, virtual6, gateway = (found[one] for one in (VIRTUAL, VIRTUAL6, GATEWAY))
    assert (virtual["device"], virtual["label"], virtual["prefixlen"]) == ("eth0", "eth0:web", 26)
    assert (gateway["device"], gateway["label"], gateway["prefixlen"]) == ("eth1", "eth1", 24)
    assert virtual6["device"] == "eth0"
    assert virtual6["nodad"] is True
    assert "tentative" not in virtual6


def test_an_address_that_somebody_deletes_comes_back_at_once(settled: Three) -> None:
    net, primary, backup = settled
    name = net.routers[0]
    with Pings(net.client) as pings:
        pause(0.5, primary, backup)
        moment = time.monotonic()
        ip("-n", name, "address", "del", f"{VIRTUAL}/32", "dev", "eth0")
        ip("-n", name, "address", "del", f"{VIRTUAL6}/128", "dev", "eth0")
        primary.until(lambda: primary.holds() == ALL, SOON)
        print(f"back after {time.monotonic() - moment:.3f} s")
        pause(0.5, primary, backup)
        assert pings.gap(moment) < SOON
    assert any(f"removed {VIRTUAL}" in text for text in primary.events)
    # Not `flush`, which looks again until nothing is left: it would fight with the heart.
    ip("-n", name, "address", "del", f"{GATEWAY}/32", "dev", "eth1")
    primary.until(lambda: primary.holds() == ALL, SOON)
    said = [text for text in primary.events if "somebody has removed" in text]
    assert len(said) == 1, "whoever does it again and again fills no log"
    settle(primary, backup)


def test_a_deleted_first_address_of_a_network_takes_no_other_with_it(three: Three) -> None:
    """The kernel removes the others too, where promote_secondaries is not set."""
    net, primary, backup = three
    others = [f"192.0.2.{number}" for number in range(101, 105)]
    blocks = "".join(
        f"virtual w{number} {{\nactive = 1\naddress = {address} eth0:1\n"
        "vip_nmask = 255.255.255.0\n}\n"
        for number, address in enumerate(others)
    )
    for heart in (primary, backup):
        heart.config.write_text(config(extra=blocks))
        heart.start()
    settle(primary, backup)
    name = net.routers[0]
    mine = f"{primary.state['links'][0]['own']}/24"
    with Pings(net.client, others[2]) as pings:
        moment = time.monotonic()
        ip("-n", name, "address", "del", mine, "dev", "eth0")
        try:
            primary.until(lambda: set(others) <= set(shown(name)), SOON)
            pause(0.5, primary)
            assert pings.gap(moment) < SOON
        finally:
            ip("-n", name, "address", "add", mine, "dev", "eth0")
    # The first virtual one is the network's first address now; it goes by reload.
    primary.config.write_text(config(extra=blocks[blocks.index("virtual w1") :]))
    assert primary.ask("reload")["ok"] is True
    held = set(shown(name))
    assert set(others) & held == set(others[1:])
    assert mine.partition("/")[0] in held, "the router's own address was the second of the network"
    assert primary.holds() == ALL


def test_addresses_of_an_interface_that_goes_and_comes(settled: Three) -> None:
    """`ip link set eth0 down` takes the IPv6 addresses; they are there when it is up again."""
    net, primary, backup = settled
    ip("-n", net.routers[0], "link", "set", "eth0", "down")
    pause(0.5, primary, backup)
    ip("-n", net.routers[0], "link", "set", "eth0", "up")
    primary.until(lambda: primary.holds() == ALL, SOON)
    pause(DEADTIME, primary, backup)
    settle(primary, backup)


def test_announcements_are_repeated_with_growing_gaps(settled: Three) -> None:
    net, primary, backup = settled
    argv = ["ip", "-n", net.routers[1], "-json", "link", "show", "eth0"]
    listed = json.loads(subprocess.run(argv, check=True, timeout=20, capture_output=True).stdout)
    sender = bytes.fromhex(listed[0]["address"].replace(":", ""))
    kind = (socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    with inside(net.client, lambda: socket.socket(*kind)) as tap:
        tap.settimeout(0.001)
        assert primary.ask("stop")["ok"] is True
        primary.reap()
        backup.until(lambda: backup.is_("active"))
        begin = time.monotonic()
        heard: list[tuple[float, str]] = []
        while (now := time.monotonic()) < begin + 6:
            backup.hear()
            try:
                frame = tap.recv(2000)
            except TimeoutError:
                continue
            if frame[6:12] == sender:  # not the last one of the router that has stopped
                heard += [(now - begin, one) for one in announced(frame)]
    counts = Counter(what for _when, what in heard)
    assert counts == {
        f"request {VIRTUAL}": 6,
        f"reply {VIRTUAL}": 6,
        f"advertisement {VIRTUAL6}": 6,
    }
    times = [when for when, what in heard if what.startswith("request")]
    gaps = [b - a for a, b in pairwise(times)]
    # 0.1, 0.4, 0.5, 1 and 3 s; each may be heard late on a busy machine.
    assert 3.5 < sum(gaps) < 6
    assert gaps[4] > gaps[3] > gaps[0]


def test_send_arp_tells_the_neighbours(net: Net) -> None:
    """The command by the name of old, in a namespace that has none of our hearts."""
    kind = (socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    env = {**os.environ, "PYTHONPATH": str(SOURCES)}
    program = ["ip", "netns", "exec", net.routers[0], sys.executable, "-m", "piranha", "send_arp"]
    with inside(net.client, lambda: socket.socket(*kind)) as tap:
        tap.bind(("eth0", 0x0003))
        tap.settimeout(5)
        for address, words in (
            (VIRTUAL, ["02:00:00:00:00:99", "192.0.2.255", "ffffffffffff"]),
            (VIRTUAL6, ["020000000099"]),
        ):
            subprocess.run(
                [*program, "-i", "eth0", address, *words], check=True, env=env, timeout=30
            )
            while not (found := announced(frame := tap.recv(2000))):
                continue
            assert found[0].endswith(address)
            assert frame[6:12] == bytes.fromhex("020000000099")
    ip("-n", net.client, "neighbour", "flush", "dev", "eth0")


def announced(frame: bytes) -> list[str]:
    """Give what a frame announces: an ARP message of a virtual address, or an advertisement."""
    if frame[12:14] == b"\x08\x06" and frame[28:32] == frame[38:42]:
        kind = "request" if struct.unpack("!H", frame[20:22])[0] == 1 else "reply"
        return [f"{kind} {ip_address(frame[28:32])}"]
    if frame[12:14] == b"\x86\xdd" and frame[20] == 58 and frame[54] == 136:
        target = str(ip_address(frame[62:78]))
        return [f"advertisement {target}"] if target == VIRTUAL6 else []
    return []
