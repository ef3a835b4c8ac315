# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ipvs_info without a kernel that has IPVS: its sentences, and what it makes of a table.

Against the real table: tests/kernel/test_ipvs_info.py.
"""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.piranha.lvs.plugins.module_utils._module import ipvs_work
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.codec import Counters
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.kernel import Kernel
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.model import (
    Server,
    ServerKey,
    Service,
    ServiceKey,
    Table,
)
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.outcome import no_ipvs, spoken
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.settings import Daemon, Role
from ansible_collections.piranha.lvs.plugins.modules import ipvs_info

from tests.unit.plugins.module_utils.ipvs.memory import MemoryPort

from .running import run

WEB = Service(ServiceKey.by_address("tcp", "192.0.2.80", 80), "rr", persistence=300)
MARK = Service(ServiceKey.by_mark(5, "ipv6"), "sh", flags=["sh-port"], engine="sip")
ONE = Server(ServerKey("198.51.100.21", 80), 2, upper=9, lower=3)
COUNTERS = Counters(*range(1, 11))


@pytest.fixture
def full(memory: MemoryPort) -> MemoryPort:
    """A kernel with two services, a server and its connections, and a sync daemon."""
    memory.table = Table([(MARK, []), (WEB, [ONE])])
    memory.connections[WEB.key, ONE.key] = (3, 4, 5)
    memory.counted = {(WEB.key, None): COUNTERS, (WEB.key, ONE.key): COUNTERS}
    memory.running[Role.MASTER] = Daemon("master", "eth0", syncid=7)
    return memory


@pytest.mark.usefixtures("full")
def test_the_table_is_sorted_plain_data() -> None:
    result = run(ipvs_info)
    assert result["changed"] is False
    assert result["commands"] == [
        "-A -t 192.0.2.80:80 -s rr -p 300",
        "-a -t 192.0.2.80:80 -r 198.51.100.21:80 -m -w 2 -x 9 -y 3",
        "-A -f 5 -6 -s sh --pe sip -b sh-port",
    ]
    assert result["timeouts"] == {"tcp": 900, "tcp_fin": 120, "udp": 300}
    (daemon,) = result["sync_daemons"]
    assert (daemon["role"], daemon["interface"], daemon["syncid"]) == ("master", "eth0", 7)
    web, mark = result["services"]
    assert web == {
        "family": "ipv4",
        "protocol": "tcp",
        "address": "192.0.2.80",
        "port": 80,
        "fwmark": None,
        "scheduler": "rr",
        "flags": [],
        "persistence": 300,
        "mask": "255.255.255.255",
        "engine": None,
        "one_packet": False,
        "servers": [
            {
                "address": "198.51.100.21",
                "port": 80,
                "weight": 2,
                "forward": "nat",
                "upper": 9,
                "lower": 3,
                "tunnel": "ipip",
                "tunnel_port": 0,
                "tunnel_checksum": "nocsum",
            }
        ],
    }
    by_address = (mark["address"], mark["port"], mark["protocol"])
    assert (mark["fwmark"], *by_address) == (5, None, None, None)
    assert (mark["engine"], mark["flags"], mark["servers"]) == ("sip", ["sh-port"], [])


@pytest.mark.usefixtures("full")
def test_counters_come_on_request() -> None:
    web, mark = run(ipvs_info, counters=True)["services"]
    assert web["counters"] == web["servers"][0]["counters"] == COUNTERS._asdict()
    assert set(mark["counters"].values()) == {0}
    assert web["servers"][0]["connections"] == {"active": 3, "inactive": 4, "persistent": 5}


def test_one_service_alone_is_read_alone(full: MemoryPort) -> None:
    (mark,) = run(ipvs_info, service={"fwmark": 5, "family": "ipv6"})["services"]
    assert mark["fwmark"] == 5
    assert full.reads == 2  # the service and its servers
    assert run(ipvs_info, service={"fwmark": 6})["services"] == []


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            no_ipvs(),
            "IPVS in the kernel: this kernel has no IPVS (its netlink family is not registered); "
            "load it with 'modprobe ip_vs', or install a kernel that has it.",
        ),
        (
            spoken(PermissionError(errno.EPERM, "no")),
            "IPVS in the kernel: this process may not read or change the table; "
            "run it as root or with the capability CAP_NET_ADMIN.",
        ),
    ],
)
def test_what_keeps_it_from_reading_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, error: Exception, sentence: str
) -> None:
    def refused(_kernel: Kernel, *_arguments: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(ipvs_work, "open_kernel", lambda: Kernel(port=MemoryPort()))
    monkeypatch.setattr(Kernel, "snapshot", refused)
    result = run(ipvs_info)
    assert (result["failed"], result["msg"]) == (True, sentence)


@pytest.mark.usefixtures("full")
def test_every_value_that_is_returned_is_documented() -> None:
    documented = yaml.safe_load(ipvs_info.RETURN)
    result = run(ipvs_info, counters=True)
    service = documented["services"]["contains"]
    assert set(result) - {"failed", "changed", "warnings", "invocation"} == set(documented)
    assert set(result["services"][0]) == set(service)
    server = service["servers"]["contains"]
    assert set(result["services"][0]["servers"][0]) == set(server)
    assert set(service["counters"]["sample"]) == set(Counters._fields)


def test_the_whole_module_says_one_sentence_where_this_kernel_has_no_ipvs() -> None:
    """The module as Ansible runs it, on this very machine, whose kernel may well have no IPVS.

    Where the kernel has it, it is still one sentence (no privilege) or a table, never a traceback.
    """
    done = subprocess.run(
        [sys.executable, "-m", ipvs_info.__name__],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": {"counters": True}}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PYTHONPATH": ":".join(path for path in sys.path if path)},
        cwd=Path(__file__).parent,
    )
    assert "Traceback" not in done.stdout + done.stderr
    result = json.loads(done.stdout)
    if Path("/proc/net/ip_vs").exists():
        assert "services" in result or "CAP_NET_ADMIN" in result["msg"]
        return
    assert done.returncode == 1
    assert result["failed"] is True
    assert result["msg"] == str(no_ipvs())
