# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ten thousand servers checked every three seconds, natively: time, memory, and a mass death.

`.venv/bin/python -m tests.bench.ten_thousand [--services 1000] [--servers 10]`

lvsd runs with a table in memory (lvsd_alone.py), so that it needs no IPVS and nothing is slowed
down by user-mode Linux; this process is its pulse. Further: the same number answering among a
thousand that are silent, which must not make the checks of the others late.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.fleet import (
    ROOT,
    Servers,
    Spent,
    Wanted,
    address,
    lvs_cf,
    own_network,
    proportional,
    spent,
    until,
)

from piranha.control.link import Link  # isort: skip - fleet.py sets the path

CORE, MEMORY, SEEN = 50.0, 80.0, 7.0  # percent of a processor, MB, seconds
SECONDS = 15.0
SILENT = 1000
SILENT_PORT = 81
LATE = 0.5  # of an interval: more would be a check left out


class Lvsd:
    """lvsd, and our end of its link."""

    def __init__(self, folder: Path, config: str) -> None:
        run_dir = folder / "run"
        run_dir.mkdir(exist_ok=True)
        (folder / "lvs.cf").write_text(config, encoding="utf-8")
        ours, theirs = socket.socketpair()
        argv = ["/usr/bin/python3", "-m", "tests.bench.lvsd_alone", str(folder / "lvs.cf")]
        self._process = subprocess.Popen(
            [*argv, str(run_dir), str(theirs.fileno())], cwd=ROOT, pass_fds=[theirs.fileno()]
        )
        theirs.close()
        self._link = Link(ours)
        self._state: dict[str, Any] = {}
        self.events = 0

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def count(self, state: str) -> int:
        """How many servers are in a state, as it told last."""
        while messages := self._link.receive():
            for message in messages:
                self._state = message.get("state", self._state)
                self.events += "event" in message
        if self._process.poll() is not None:
            raise SystemExit("lvsd has ended")
        return int(self._state.get("servers", {}).get(state, 0))

    def listen(self, seconds: float) -> None:
        """Take what it says for a while, as pulse does."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.count("UP")
            time.sleep(0.05)

    def cost(self, seconds: float) -> Spent:
        """Processor time over some seconds."""
        before = spent([self.pid])
        self.listen(seconds)
        return spent([self.pid]) - before

    def end(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait(10)


def verdict(kept: bool, what: str) -> bool:
    """Print a limit and whether it is kept."""
    print(f"  {what}: {'kept' if kept else 'BROKEN'}", flush=True)
    return kept


def mass(folder: Path, wanted: Wanted) -> bool:
    """All well, and then all dead."""
    print(f"{wanted.total:,} servers every {wanted.interval:g} s", flush=True)
    servers = Servers("connect")
    lvsd = Lvsd(folder, lvs_cf(wanted))
    try:
        up = until(lambda: lvsd.count("UP") == wanted.total, 120, "all servers are up")
        print(f"  all up {up:.1f} s after the start", flush=True)
        lvsd.listen(wanted.interval)
        cost = lvsd.cost(SECONDS)
        memory = proportional(lvsd.pid)
        share = cost.both / SECONDS * 100
        each = cost.both / (wanted.total * SECONDS / wanted.interval) * 1e6
        before = spent([lvsd.pid])
        servers.die()
        seen = until(lambda: lvsd.count("DOWN") == wanted.total, 60, "all are seen down", 0.01)
        death = (spent([lvsd.pid]) - before).both
        print(
            f"  their end takes {death:.1f} s of a processor; before that, a check takes {each:.0f}"
            f" us ({cost.user / cost.both:.0%} of it ours, the rest the kernel's)"
        )
        return all(
            [
                verdict(share <= CORE, f"{share:.1f} % of a processor (at most {CORE:.0f})"),
                verdict(memory <= MEMORY, f"{memory:.1f} MB, PSS (at most {MEMORY:.0f})"),
                verdict(seen <= SEEN, f"all seen down after {seen:.1f} s (at most {SEEN:.0f})"),
            ]
        )
    finally:
        lvsd.end()
        servers.die()


def silent(folder: Path, wanted: Wanted) -> bool:
    """A thousand that swallow every packet beside a thousand that are well."""
    print(f"{SILENT:,} silent servers beside {wanted.total:,} that are well", flush=True)
    blocks = "".join(
        f"    server mute{number} {{\n        address = {address(100_000 + number)}\n"
        f"        port = {SILENT_PORT}\n        active = 1\n    }}\n"
        for number in range(SILENT)
    )
    config = lvs_cf(wanted)
    extra = (
        "virtual mute {\n    active = 1\n    address = 203.0.113.11 eth0\n    port = 80\n"
        f"    check = tcp\n    timeout = {wanted.interval:g}\n    reentry = 1\n{blocks}}}\n"
    )
    servers, deaf = Servers("connect"), Servers("deaf", SILENT_PORT)
    fill = [socket.socket() for _unused in range(3)]
    for sock in fill:  # its queue is full from now on
        sock.setblocking(False)
        sock.connect_ex((address(100_000), SILENT_PORT))
    lvsd = Lvsd(folder, config + extra)
    try:
        until(lambda: lvsd.count("UP") == wanted.total, 60, "the servers that are well are up")
        until(lambda: lvsd.count("DOWN") == SILENT, 60, "the silent ones are seen")
        lvsd.listen(wanted.interval)
        servers.gaps()
        share = lvsd.cost(SECONDS).both / SECONDS * 100
        gaps = servers.gaps()
        print(f"  {share:.1f} % of a processor, {gaps['count']:.0f} checks of those that are well")
        late = gaps["longest"] - wanted.interval
        return verdict(
            gaps["count"] > 0 and late <= LATE * wanted.interval,
            f"checked every {gaps['usual']:.2f} s, the latest {late:.2f} s late"
            f" (at most {LATE * wanted.interval:g})",
        )
    finally:
        lvsd.end()
        servers.die()
        deaf.die()
        for sock in fill:
            sock.close()


def main(arguments: list[str]) -> int:
    """Measure, print, judge; 1 if a limit is broken."""
    parser = argparse.ArgumentParser(prog="tests.bench.ten_thousand", description=__doc__)
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--servers", type=int, default=10)
    asked = parser.parse_args(arguments)
    own_network()
    with tempfile.TemporaryDirectory(prefix="piranha-bench-") as folder:
        kept = mass(Path(folder), Wanted(asked.services, asked.servers))
        kept = silent(Path(folder), Wanted(100, 10)) and kept
    return int(not kept)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
