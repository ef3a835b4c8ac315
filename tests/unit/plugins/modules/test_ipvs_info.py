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
from typing import Any

import pytest
import yaml
from ansible_collections.piranha.lvs.plugins.module_utils._module import ipvs_table
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.codec import (
    Counters,
    ServerRow,
    ServiceRow,
)
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.kernel import Snapshot
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.model import (
    Server,
    ServerKey,
    Service,
    ServiceKey,
    Table,
)
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.outcome import no_ipvs, spoken
from ansible_collections.piranha.lvs.plugins.modules import ipvs_info

WEB = Service(ServiceKey.by_address("tcp", "192.0.2.80", 80), "rr", persistence=300)
MARK = Service(ServiceKey.by_mark(5, "ipv6"), "sh", flags=["sh-port"], engine="sip")
ONE = Server(ServerKey("198.51.100.21", 80), 2, upper=9, lower=3)
COUNTERS = Counters(*range(1, 11))


class Left(Exception):
    """The module ended, with these results."""


class FakeModule:
    """What the glue uses of AnsibleModule."""

    def __init__(self, **params: object) -> None:
        self.params = params

    def exit_json(self, **results: object) -> None:
        raise Left({"failed": False, **results})

    def fail_json(self, **results: object) -> None:
        raise Left({"failed": True, **results})


class FakeKernel:
    """A kernel with the table above; raises what it is told to."""

    errors: tuple[Exception, ...] = ()

    def __enter__(self) -> FakeKernel:
        return self

    def __exit__(self, *_exception: object) -> None:
        pass

    def snapshot(self, counters: bool) -> Snapshot:
        if self.errors:
            raise self.errors[0]
        tallies = COUNTERS if counters else None
        return Snapshot(
            Table([(MARK, []), (WEB, [ONE])]),
            {MARK.key: ServiceRow(MARK, tallies), WEB.key: ServiceRow(WEB, tallies)},
            {(WEB.key, ONE.key): ServerRow(ONE, 3, 4, 5, tallies)},
        )


def result_of(monkeypatch: pytest.MonkeyPatch, error: Exception | None, **params: object) -> Any:
    monkeypatch.setattr(FakeKernel, "errors", (error,) if error else ())
    monkeypatch.setattr(ipvs_table, "Kernel", FakeKernel)
    with pytest.raises(Left) as left:
        ipvs_table.run_info(FakeModule(**params))  # type: ignore[arg-type]
    return left.value.args[0]


def test_the_table_is_sorted_plain_data(monkeypatch: pytest.MonkeyPatch) -> None:
    result = result_of(monkeypatch, None, counters=False)
    assert result == json.loads(json.dumps(result))
    assert result["changed"] is False
    assert result["commands"] == [
        "-A -t 192.0.2.80:80 -s rr -p 300",
        "-a -t 192.0.2.80:80 -r 198.51.100.21:80 -m -w 2 -x 9 -y 3",
        "-A -f 5 -6 -s sh --pe sip -b sh-port",
    ]
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
    assert (mark["fwmark"], mark["address"], mark["port"], mark["protocol"]) == (
        5,
        None,
        None,
        None,
    )
    assert (mark["engine"], mark["flags"], mark["servers"]) == ("sip", ["sh-port"], [])


def test_counters_come_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    web, mark = result_of(monkeypatch, None, counters=True)["services"]
    assert mark["counters"] == COUNTERS._asdict()
    assert web["servers"][0]["counters"] == COUNTERS._asdict()
    assert web["servers"][0]["connections"] == {"active": 3, "inactive": 4, "persistent": 5}


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
    result = result_of(monkeypatch, error, counters=False)
    assert result == {"failed": True, "msg": sentence}


def test_every_value_that_is_returned_is_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    documented = yaml.safe_load(ipvs_info.RETURN)
    result = result_of(monkeypatch, None, counters=True)
    service = documented["services"]["contains"]
    assert set(result) - {"failed", "changed"} == set(documented)
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
