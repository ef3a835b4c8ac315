# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a large IPVS table takes, by the library and by ipvsadm, in the same kernel and run.

`tests/lab/in-ipvs-kernel .venv/bin/python -m tests.bench.ipvs_table [SERVICES [SERVERS]]`

Prints seconds, ratios and the goals beside them. The library is measured in this warm process, from
the tables in memory to the kernel's last answer, and beside it as a whole process that starts
Python, reads the table as ipvsadm's lines and does one job. ipvsadm is always a process of its own,
as it is used. What is short is done several times; the median counts.
"""

from __future__ import annotations

import ctypes
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "build/collections"))

from ansible_collections.piranha.lvs.plugins.module_utils.ipvs import ipvsadm  # noqa: E402 - path
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.kernel import (  # noqa: E402
    Kernel,
)
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.model import (  # noqa: E402
    Server,
    ServerKey,
    Service,
    ServiceKey,
    Table,
)
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.plan import plan  # noqa: E402

CLONE_NEWNET = 0x40000000
TIMES = 5
LIMIT = 240  # seconds for any one program


def large(services: int, servers: int) -> Table:
    """A table of that many services with that many servers each."""
    return Table(
        (
            Service(ServiceKey.by_address("tcp", "192.0.2.1", 1 + number), "wlc"),
            [Server(ServerKey(f"198.51.{number % 250}.{1 + one}", 80)) for one in range(servers)],
        )
        for number in range(services)
    )


class Row(NamedTuple):
    """One line of the result: seconds of the library, as a whole process, and of ipvsadm."""

    what: str
    warm: float
    process: float | None
    command: str
    theirs: float
    goal: float | None  # how many times faster the warm library shall be, at least

    def __str__(self) -> str:
        ratio = self.theirs / self.warm
        line = f"  {self.what:34} {self.warm:8.3f} "
        line += " " * 8 if self.process is None else f"{self.process:8.3f}"
        line += f"   {self.command:11} {self.theirs:8.3f} {ratio:8.1f} times"
        if self.goal is not None:
            line += f", goal {self.goal:g}: {'met' if ratio >= self.goal else 'NOT MET'}"
        return line


def timed(act: Callable[[], Any], times: int = 1) -> float:
    """Seconds that it takes, the median of several times."""
    taken = []
    for _time in range(times):
        start = time.perf_counter()
        act()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def program(*argv: str, given: str = "") -> str:
    """Run a program with a text as its input; its output."""
    with tempfile.TemporaryFile("w+") as text:
        text.write(given)
        text.seek(0)
        return subprocess.run(
            argv, stdin=text, stdout=subprocess.PIPE, check=True, timeout=LIMIT, text=True
        ).stdout


def bring_about(kernel: Kernel, desired: Table, only: Collection[ServiceKey] | None = None) -> int:
    """What a module does: compare, and apply the difference. How many operations it took."""
    compared = kernel.compare(lambda actual: plan(desired, actual), only)
    report = kernel.apply(compared.operations, rollback=True, before=compared.actual)
    report.raise_first()
    return len(report.done)


def lighter(desired: Table) -> Table:
    """The first service, with another weight for one of its servers."""
    entry = desired[next(iter(desired))]
    server = next(iter(entry.servers.values()))
    changed = server.replace(weight=server.weight + 6)
    return Table([(entry.service, {**entry.servers, server.key: changed})])


def job(which: str) -> int:
    """One job as a process of its own: the lines come from standard input."""
    desired = ipvsadm.parse(sys.stdin.read())
    with Kernel() as kernel:
        if which == "table":
            bring_about(kernel, desired)
        else:
            part = lighter(desired)
            bring_about(kernel, part, list(part))
    return 0


def main(arguments: list[str]) -> int:
    """Measure and print."""
    if arguments and arguments[0] == "--job":
        return job(arguments[1])
    services, servers = (*map(int, arguments), *(1000, 16)[len(arguments) :])
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        print("ipvs_table: cannot make a network namespace of its own; run it as root")
        return 1
    # With no interface up the kernel takes no address for a real server's.
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=LIMIT)
    print(f"IPVS table of {services} services with {servers} servers each, measuring:", flush=True)
    desired = large(services, servers)
    lines = "\n".join(ipvsadm.table_lines(desired)) + "\n"
    with Kernel() as kernel:
        kernel.read()  # opens the socket
        rows = measured(kernel, desired, lines)
        same = kernel.read() == desired
    if not same:
        print("ipvs_table: the two do not agree about the table; the figures mean nothing")
        return 1
    print(f"  {'seconds':34} {'library':>8} {'process':>8}   {'ipvsadm':20}   ratio")
    for row in rows:
        print(row)
    return 0


def measured(kernel: Kernel, desired: Table, lines: str) -> list[Row]:
    """All measurements; they end with the desired table in the kernel, put there by ipvsadm."""

    def own_process(which: str) -> None:
        program(sys.executable, "-m", "tests.bench.ipvs_table", "--job", which, given=lines)

    def step(what: str) -> None:
        print(f"  {what} …", flush=True)

    def expect(count: int, wanted: int) -> None:
        if count != wanted:
            raise SystemExit(f"ipvs_table: {count} operations instead of {wanted}")

    step("writing it")
    entries = len(lines.splitlines())
    write = timed(lambda: expect(bring_about(kernel, desired), entries))
    step("finding nothing to change")
    nothing = timed(lambda: expect(bring_about(kernel, desired), 0), TIMES)
    nothing_process = timed(lambda: own_process("table"), TIMES)
    save = timed(lambda: expect(len(program("ipvsadm", "-Sn").splitlines()), entries), TIMES)
    step("changing one weight")
    weights = [lighter(desired)]
    for _time in range(TIMES - 1):
        weights.append(lighter(weights[-1]))
    coming = iter(weights)

    def change() -> None:
        part = next(coming)
        expect(bring_about(kernel, part, list(part)), 1)

    weight = timed(change, TIMES)
    bring_about(kernel, desired)
    weight_process = timed(lambda: own_process("weight"))
    step("removing it service by service, and at once")
    part = kernel.read()
    remove = timed(lambda: kernel.apply(plan(Table(), part, list(part))).raise_first())
    step("writing it as a whole process")
    write_process = timed(lambda: own_process("table"))
    flush = timed(kernel.flush)
    step("the same by ipvsadm -R")
    theirs = timed(lambda: program("ipvsadm", "-R", given=lines))
    clear = timed(lambda: program("ipvsadm", "-C"))
    program("ipvsadm", "-R", given=lines)
    return [
        Row("write it from empty", write, write_process, "ipvsadm -R", theirs, 5.0),
        Row("find that nothing has to change", nothing, nothing_process, "ipvsadm -Sn", save, 1.0),
        Row("change one weight, reading one", weight, weight_process, "ipvsadm -R", theirs, 10.0),
        Row("remove it service by service", remove, None, "ipvsadm -C", clear, None),
        Row("flush it", flush, None, "ipvsadm -C", clear, None),
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
