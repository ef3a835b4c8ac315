# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""1,000 services of 16 servers, natively, with and without people who look on by the web page.

`.venv/bin/python -m tests.bench.page [--services 1000] [--servers 16]`

pulse, heart and lvsd are whole, but for the kernel's table, which is in memory (lvsd_alone.py); the
editor is the real one with the niceness of its unit. Twenty clients ask it for the whole status
every second, and two more ask and never read. What is judged: whether a check comes later because
of them, whether the heart or lvsd had to be started again, and how long somebody waits who wants to
see what another weight of one server would change, while the others go on asking.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, cast

from tests.bench.fleet import (
    OWN,
    ROOT,
    Servers,
    Wanted,
    below,
    environment,
    lvs_cf,
    name_of,
    own_network,
    proportional,
    spent,
    until,
)

from piranha.control.client import Client, Refused, Unreachable  # isort: skip - fleet.py sets the path

VIEWERS, DEAF = 20, 2
SECONDS = 30.0
LATE = 0.5
"""Of an interval: more would be a check left out."""

PREVIEW = 2.0
"""Seconds until it is seen what a change would do; the editor has read the file when it started."""

REQUEST = b'{"id": 1, "do": "status", "by": {"user": "viewer", "role": "view"}}\n'


def pulse(folder: Path) -> int:
    """Be pulse, with lvsd's table in memory."""
    from dataclasses import replace

    from piranha.core.ipvs.kernel import Kernel
    from piranha.lvsd import child
    from piranha.lvsd.drift import Glance
    from piranha.pulse import supervisor

    from tests.bench.lvsd_alone import MemoryPort, Text

    def lvsd(link: socket.socket, config: Path, run_dir: Path) -> int | None:
        port = MemoryPort()
        glance = Glance(cast(Path, Text(port)))
        return child.run(link, config, run_dir, Kernel(port=port), glance)

    jobs = replace(supervisor.Jobs.warm(), lvsd=lvsd)
    return supervisor.run(folder / "lvs.cf", folder / "run", jobs)


def ask(folder: Path) -> dict[str, Any]:
    """The status, without its virtual services; empty while pulse cannot answer."""
    try:
        with Client(folder / "run/control.sock", 30) as client:
            return client.ask("status", detail=False)
    except (Unreachable, Refused):
        return {}


class Viewers:
    """Those who look on, until they are told to go."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._gone = threading.Event()
        self.answers: list[float] = []
        self.bytes = 0
        kinds = [self._look] * VIEWERS + [self._never_read] * DEAF
        self._threads = [threading.Thread(target=kind, daemon=True) for kind in kinds]
        for thread in self._threads:
            thread.start()

    def _look(self) -> None:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self._path))
            lines = sock.makefile("rb")
            while not self._gone.is_set():
                began = time.monotonic()
                sock.sendall(REQUEST)
                line = lines.readline()
                self.answers.append(time.monotonic() - began)
                self.bytes = max(self.bytes, len(line))
                self._gone.wait(max(0.0, 1.0 - (time.monotonic() - began)))

    def _never_read(self) -> None:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self._path))
            for _unused in range(50):
                sock.sendall(REQUEST)
            self._gone.wait()

    def go(self) -> None:
        """Send them home."""
        self._gone.set()
        for thread in self._threads:
            thread.join(30)


def previews(path: Path, config: Path) -> float:
    """Have three changes previewed; gives the seconds of the slowest."""
    text = config.read_text(encoding="utf-8")
    took = []
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        lines = sock.makefile("rb")
        for weight in (2, 3, 4):
            asked = {
                "id": weight,
                "do": "preview",
                "by": {"user": "editor", "role": "edit"},
                "digest": hashlib.sha256(text.encode()).hexdigest(),
                "text": text.replace("weight = 1", f"weight = {weight}", 1),
            }
            began = time.monotonic()
            sock.sendall(json.dumps(asked).encode() + b"\n")
            told = json.loads(lines.readline())["result"]
            took.append(time.monotonic() - began)
            assert len(told["table"]) == 1, told["table_note"]
    shown = ", ".join(f"{one:.2f} s" for one in took)
    print(f"  a change of one weight is previewed in {shown} (at most {PREVIEW:g} s)", flush=True)
    return max(took)


def measured(what: str, servers: Servers, wanted: Wanted, pids: list[int]) -> float:
    """Watch the checks for a while; gives by how much the latest was late."""
    time.sleep(wanted.interval)
    servers.gaps()
    before = spent(pids)
    time.sleep(SECONDS)
    share = (spent(pids) - before).both / SECONDS * 100
    gaps = servers.gaps()
    late = gaps["longest"] - wanted.interval
    print(
        f"  {what}: {gaps['count']:,.0f} checks, one every {gaps['usual']:.2f} s, the latest"
        f" {late:.2f} s late; pulse and lvsd take {share:.1f} % of a processor",
        flush=True,
    )
    return late


def run(folder: Path, wanted: Wanted) -> bool:
    """Measure, print, judge."""
    print(f"{wanted.total:,} servers every {wanted.interval:g} s", flush=True)
    (folder / "run").mkdir()
    (folder / "gui.json").write_text('{"ceiling": "edit"}', encoding="utf-8")
    (folder / "key").touch(mode=0o600)
    (folder / "key").write_text(secrets.token_hex(32) + "\n", encoding="ascii")
    text = f"heartbeat_key_file = {folder}/key\n{lvs_cf(wanted)}"
    (folder / "lvs.cf").write_text(text.replace(" eth0", " lo"), encoding="utf-8")
    subprocess.run(["ip", "address", "add", f"{OWN}/24", "dev", "lo"], check=True, timeout=30)
    servers = Servers("connect")
    base = [sys.executable, "-m"]
    with (folder / "log").open("wb") as log:
        argv = [*base, "tests.bench.page", "--pulse", str(folder)]
        agent = subprocess.Popen(argv, cwd=ROOT, stderr=log)
    where = ["--config", f"{folder}/lvs.cf", "--run-dir", f"{folder}/run"]
    where += ["--settings", f"{folder}/gui.json", "--history", f"{folder}/history"]
    editor = subprocess.Popen(
        ["nice", "-n", "25", *base, "piranha", "editor", *where], env=environment()
    )
    try:

        def up() -> bool:
            counted = (ask(folder).get("lvsd") or {}).get("servers") or {}
            return bool(counted.get("UP") == wanted.total)

        print(f"  all up after {until(up, 180, 'all servers are up', 0.5):.0f} s", flush=True)
        pids = [agent.pid, *(p for p in below(agent.pid) if name_of(p).startswith("lvsd"))]
        alone = measured("nobody looks on", servers, wanted, pids)
        viewers = Viewers(folder / "run/gui.sock")
        watched = measured(f"{VIEWERS} look on, {DEAF} never read", servers, wanted, pids)
        slowest = previews(folder / "run/gui.sock", folder / "lvs.cf")
        viewers.go()
        told = sorted(viewers.answers)
        status = ask(folder)
        print(
            f"  {len(told)} answers of {viewers.bytes / 1e6:.1f} MB, usually within"
            f" {told[len(told) // 2]:.2f} s; the editor has {proportional(editor.pid):.0f} MB"
        )
        limit = LATE * wanted.interval
        again = status["pulse"]["restarts"]
        kept = watched <= limit and not any(again.values()) and slowest <= PREVIEW
        print(
            f"  checks late by {watched:.2f} s at the most (at most {limit:g}, alone {alone:.2f}),"
            f" started again {json.dumps(again)}: {'kept' if kept else 'BROKEN'}"
        )
        return kept
    finally:
        editor.kill()
        editor.wait(10)
        for pid in below(agent.pid):
            os.kill(pid, 9)
        agent.wait(10)
        servers.die()


def main(arguments: list[str]) -> int:
    """Measure, print, judge; 1 if a limit is broken."""
    parser = argparse.ArgumentParser(prog="tests.bench.page", description=__doc__)
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--servers", type=int, default=16)
    parser.add_argument("--pulse", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.pulse is not None:
        return pulse(asked.pulse)
    own_network()
    with tempfile.TemporaryDirectory(prefix="piranha-bench-") as folder:
        return int(not run(Path(folder), Wanted(asked.services, asked.servers, interval=6.0)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
