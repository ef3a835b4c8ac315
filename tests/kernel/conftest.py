# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real IPVS table for each test: empty, in a network namespace of the tests' own.

Where the kernel has none the tests fail, they are never skipped:
`tests/lab/in-ipvs-kernel .venv/bin/pytest tests/kernel` finds a kernel that has it.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.kernel import Kernel
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.model import Table
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.plan import plan

CLONE_NEWNET = 0x40000000
VIRTUAL = ("192.0.2.1/32", "2001:db8::1/128")


def own_network() -> None:
    """Leave the namespace we were started in, so that no table of the machine is touched."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWNET)")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in VIRTUAL:
        subprocess.run(["ip", "address", "add", address, "dev", "lo"], check=True)


@pytest.fixture(scope="session", autouse=True)
def ipvs() -> None:
    """The kernel has IPVS, and we are where its table is ours alone."""
    if os.geteuid() != 0:
        pytest.fail("these tests need root: run them with tests/lab/in-ipvs-kernel", pytrace=False)
    if not Path("/proc/net/ip_vs").exists():
        pytest.fail(
            "this kernel has no IPVS: run these tests as "
            "tests/lab/in-ipvs-kernel .venv/bin/pytest tests/kernel",
            pytrace=False,
        )
    own_network()


@pytest.fixture(autouse=True)
def empty(ipvs: None) -> None:
    """Every test begins with an empty table (by the library: it starts no program)."""
    with Kernel() as kernel:
        found = kernel.read()
        kernel.apply(plan(Table(), found, list(found))).raise_first()
        assert not kernel.read()


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    """The library's connection to the kernel."""
    with Kernel() as opened:
        yield opened
