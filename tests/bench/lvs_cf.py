# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long `piranha config check` takes for large files, and keepalived's own check beside it.

`.venv/bin/python -m tests.bench.lvs_cf [--sizes 100,1000,4000] [--servers 16] [--runs 3]`

Whole processes are measured, from fork to exit, as users start them: wall-clock time, processor
time and peak memory. The best of some runs counts, since everything else on a machine only adds.
Judged: the limits for 1,000 virtual servers, and whether the cost grows in proportion; both by
processor time, which is the wall-clock time of an idle machine and no more on a busy one.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
SYSTEM_PYTHON = "/usr/bin/python3"
LIMITS = {1000: (1.5, 150.0)}  # virtual servers -> seconds, MB
GROWTH = 1.25  # times as much per virtual server at the largest size as at the middle one
MB = 1024.0  # of the kernel's kB


class Cost(NamedTuple):
    """What one run took."""

    wall: float
    processor: float
    memory: float  # MB at its peak


def lvs_cf(virtuals: int, servers: int) -> Iterator[str]:
    """A file without a finding: that many virtual servers with that many real servers each."""
    yield "primary = 192.0.2.1\nbackup = 192.0.2.2\nbackup_active = 1\nkeepalive = 1\ndeadtime = 4"
    yield "network = direct\n"
    for number in range(virtuals):
        high, low = divmod(number, 250)
        yield f"virtual web{number} {{\n    active = 1"
        yield f"    address = 10.{high}.{low}.1 eth0:{number}"
        yield "    vip_nmask = 255.255.255.255\n    port = 80\n    protocol = tcp"
        yield "    scheduler = wlc\n    timeout = 6\n    reentry = 15"
        yield '    send = "GET / HTTP/1.0\\r\\n\\r\\n"\n    expect = "HTTP"'
        for one in range(servers):
            yield f"    server s{one} {{\n        address = 10.{100 + high}.{low}.{one + 1}"
            yield f"        active = 1\n        weight = {one + 1}\n    }}"
        yield "}\n"


def keepalived_conf(virtuals: int, servers: int) -> Iterator[str]:
    """The same cluster in keepalived's language."""
    yield "global_defs {\n    router_id bench\n}"
    for number in range(virtuals):
        high, low = divmod(number, 250)
        yield f"virtual_server 10.{high}.{low}.1 80 {{\n    delay_loop 6\n    lb_algo wlc"
        yield "    lb_kind DR\n    protocol TCP"
        for one in range(servers):
            yield f"    real_server 10.{100 + high}.{low}.{one + 1} 80 {{"
            yield f"        weight {one + 1}\n        TCP_CHECK {{\n            connect_timeout 6"
            yield "        }\n    }"
        yield "}"


def write(path: Path, parts: Iterator[str]) -> int:
    """Write a file piece by piece; the number of its lines.

    This process must stay small: the kernel counts its memory as the peak of what it starts.
    """
    lines = 0
    with path.open("w", encoding="utf-8") as file:
        for part in parts:
            file.write(f"{part}\n")
            lines += part.count("\n") + 1
    return lines


def measured(argv: list[str], env: dict[str, str], good: tuple[int, ...] = (0,)) -> Cost:
    """Run a program to its end with its output thrown away."""
    began = time.perf_counter()
    pid = os.posix_spawnp(
        argv[0], argv, env, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    )
    _pid, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - began
    if os.waitstatus_to_exitcode(status) not in good:
        raise SystemExit(f"{' '.join(argv)} ended with {os.waitstatus_to_exitcode(status)}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / MB)


def best(argv: list[str], env: dict[str, str], runs: int) -> Cost:
    """The least of each figure over some runs."""
    costs = [measured(argv, env) for _run in range(runs)]
    return Cost(*(min(figures) for figures in zip(*costs, strict=True)))


def main(arguments: list[str]) -> int:
    """Measure, print a table, judge; 1 if a limit is broken."""
    parser = argparse.ArgumentParser(prog="tests.bench.lvs_cf", description=__doc__)
    parser.add_argument("--sizes", default="100,1000,4000")
    parser.add_argument("--servers", type=int, default=16)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args(arguments)
    sizes = [int(size) for size in asked.sizes.split(",")]
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    ours = {**env, "PYTHONPATH": str(ROOT / "files/piranha-agent/src")}
    check = [SYSTEM_PYTHON, "-m", "piranha", "config", "check"]
    print(f"{asked.servers} real servers in each virtual server, best of {asked.runs} runs")
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MB
    print(f"peak memory is seen from {own:.0f} MB on, which is what measuring itself takes")
    print("                      piranha config check           keepalived --config-test")
    print("  virtual    lines   wall s   cpu s   us/line    MB   wall s   cpu s    MB   ratio")
    costs: dict[int, Cost] = {}
    with tempfile.TemporaryDirectory(prefix="piranha-bench-") as folder:
        for size in sizes:
            mine, theirs = Path(folder) / "lvs.cf", Path(folder) / "keepalived.conf"
            lines = write(mine, lvs_cf(size, asked.servers))
            write(theirs, keepalived_conf(size, asked.servers))
            cost = costs[size] = best([*check, str(mine)], ours, asked.runs)
            peer = best(["keepalived", "--config-test", "-f", str(theirs)], env, asked.runs)
            print(
                f"  {size:7,} {lines:8,} {cost.wall:8.3f} {cost.processor:7.3f}"
                f" {cost.processor / lines * 1e6:9.2f} {cost.memory:5.0f}"
                f" {peer.wall:8.3f} {peer.processor:7.3f} {peer.memory:5.0f}"
                f" {cost.wall / peer.wall:7.1f}",
                flush=True,
            )
    return int(not judge(costs))


def judge(costs: dict[int, Cost]) -> bool:
    """Print what the figures mean; whether all of them are good enough."""
    good = True
    for size, (seconds, memory) in LIMITS.items():
        if size in costs:
            cost = costs[size]
            kept = cost.processor < seconds and cost.memory < memory
            good = good and kept
            print(
                f"limit for {size:,} virtual servers, {seconds} s and {memory:.0f} MB:"
                f" {'kept' if kept else 'BROKEN'} ({cost.processor:.2f} s, {cost.memory:.0f} MB)"
            )
    sizes = sorted(costs)[-2:]
    if len(sizes) == 2:
        few, many = sizes
        ratio = (costs[many].processor / many) / (costs[few].processor / few)
        linear = ratio <= GROWTH
        good = good and linear
        print(
            f"processor time per virtual server, {many:,} against {few:,}: {ratio:.2f}"
            f" (at most {GROWTH}): {'linear' if linear else 'NOT LINEAR'}"
        )
    return good


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
