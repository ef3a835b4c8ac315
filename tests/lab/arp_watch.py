# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a network again and again who has an address, and writes down who says so.

    arp_watch.py INTERFACE ADDRESS RESULT [--seconds N] [--interval N]

With direct routing the real servers have the virtual address too and must never say so, least of
all while they are being set up. RESULT is a JSON object that grows while this runs, written
anew every second: `asked`, and for each hardware address that answered, or announced itself as the
owner, how often. It ends after --seconds (600), or at TERM. It judges nothing. IPv4 only, for IPv6
never answers for an address of another interface.
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import struct
import sys
import time
from collections import Counter
from pathlib import Path

ARP, IPV4 = 0x0806, 0x0800
BROADCAST = b"\xff" * 6
REQUEST = 1
FORM = struct.Struct("!6s6sHHHBBH6s4s6s4s")


def question(hardware: bytes, address: bytes) -> bytes:
    """Give the frame that asks who has an address; as a probe it names no sender."""
    nobody = bytes(4)
    return FORM.pack(
        BROADCAST, hardware, ARP, 1, IPV4, 6, 4, REQUEST, hardware, nobody, bytes(6), address
    )


def owner(frame: bytes, address: bytes) -> str | None:
    """Give the hardware address that a frame names as the owner of the address; pure."""
    if len(frame) < FORM.size:
        return None
    fields = FORM.unpack_from(frame)
    if fields[2] != ARP or fields[9] != address:
        return None
    return ":".join(f"{byte:02x}" for byte in fields[8])


def write(path: Path, asked: int, owners: Counter[str]) -> None:
    """Write the result beside itself and rename."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps({"asked": asked, "owners": owners}), encoding="utf-8")
    part.replace(path)


def watch(interface: str, address: str, result: Path, seconds: float, interval: float) -> None:
    """Ask and listen until the time is up."""
    wanted = socket.inet_aton(address)
    owners: Counter[str] = Counter()
    asked, end, written = 0, time.monotonic() + seconds, 0.0
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ARP)) as line:
        line.bind((interface, ARP))
        hardware = line.getsockname()[4]
        frame, next_question = question(hardware, wanted), time.monotonic()
        while (now := time.monotonic()) < end:
            if now >= next_question:
                line.send(frame)
                asked, next_question = asked + 1, now + interval
            if now - written >= 1:
                write(result, asked, owners)
                written = now
            line.settimeout(max(next_question - now, 0.001))
            try:
                name = owner(line.recv(2048), wanted)
            except TimeoutError:
                continue
            if name is not None:
                owners[name] += 1
    write(result, asked, owners)


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Watch who says that it has an address.")
    parser.add_argument("interface")
    parser.add_argument("address")
    parser.add_argument("result", type=Path)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--interval", type=float, default=0.05)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_unused: sys.exit(0))
    watch(options.interface, options.address, options.result, options.seconds, options.interval)
    return 0


if __name__ == "__main__":
    sys.exit(main())
