# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a large IPVS table takes, by the library and by ipvsadm, in the same kernel and run.

`tests/lab/in-ipvs-kernel .venv/bin/python -m tests.bench.ipvs_table [SERVICES [SERVERS]]`

Prints seconds and ratios; judges nothing. The library is measured in this warm process, from the
tables in memory to the kernel's last answer; ipvsadm as a process of its own, as it is used.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def timed(act: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that it takes, and what it returns."""
    start = time.perf_counter()
    result = act()
    return time.perf_counter() - start, result


def program(*words: str, given: str = "") -> str:
    """Run ipvsadm with a text as its input; its output."""
    with tempfile.TemporaryFile("w+") as text:
        text.write(given)
        text.seek(0)
        return subprocess.run(
            ["ipvsadm", *words],
            stdin=text,
            stdout=subprocess.PIPE,
            check=True,
            timeout=LIMIT,
            text=True,
        ).stdout


def main(arguments: list[str]) -> int:
    """Measure and print."""
    services, servers = (*map(int, arguments), *(1000, 16)[len(arguments) :])
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        print("ipvs_table: cannot make a network namespace of its own; run it as root")
        return 1
    # With no interface up the kernel takes no address for a real server's.
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=LIMIT)
    desired = large(services, servers)
    lines = "\n".join(ipvsadm.table_lines(desired)) + "\n"
    one = desired[next(iter(desired))]
    server = next(iter(one.servers.values())).replace(weight=7)
    lighter = Table([(one.service, {**one.servers, server.key: server}.values())])
    with Kernel() as kernel:
        kernel.read()  # opens the socket
        ours, report = timed(lambda: kernel.apply(plan(desired, kernel.read(), [])))
        report.raise_first()
        nothing, left = timed(lambda: plan(desired, kernel.read(), []))
        weight, report = timed(
            lambda: kernel.apply(plan(lighter, kernel.read().only([one.service.key]), []))
        )
        report.raise_first()
        save, printed = timed(lambda: program("-Sn"))
        clear, _empty = timed(lambda: program("-C"))
        theirs, _empty = timed(lambda: program("-R", given=lines))
        same = kernel.read() == desired
        remove, report = timed(lambda: kernel.apply(plan(Table(), desired, list(desired))))
        report.raise_first()
    if left or not same or len(printed.splitlines()) != services * (servers + 1):
        print("ipvs_table: the two do not agree about the table; the figures mean nothing")
        return 1
    print(f"IPVS table of {services} services with {servers} servers each, seconds:")
    rows = [
        ("write it from empty", ours, "ipvsadm -R", theirs),
        ("find that nothing has to change", nothing, "ipvsadm -Sn", save),
        ("change one weight (reading all)", weight, "ipvsadm -R", theirs),
        ("remove it service by service", remove, "ipvsadm -C", clear),
    ]
    for what, mine, command, other in rows:
        print(f"  {what:34} {mine:7.3f}   {command:12} {other:7.3f}   ratio {other / mine:6.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
