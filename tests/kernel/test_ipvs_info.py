# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ipvs_info as Ansible runs it on a target: a process, JSON in and JSON out."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.normal import HOST_MASK
from ansible_collections.piranha.lvs.plugins.modules import ipvs_info

from . import readers


def run(*before: str, **arguments: object) -> tuple[int, dict[str, Any]]:
    """Exit status and result of the module; ``before`` is a program to run it by."""
    done = subprocess.run(
        [*before, sys.executable, "-m", ipvs_info.__name__],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={
            "PYTHONPATH": ":".join(path for path in sys.path if path),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout)


def test_it_returns_the_table_with_counters() -> None:
    readers.ipvsadm("-A", "-t", "192.0.2.1:80", "-s", "wrr", "-p", "300")
    readers.ipvsadm("-a", "-t", "192.0.2.1:80", "-r", "198.51.100.1:80", "-m", "-w", "0")
    readers.ipvsadm("-A", "-f", "5", "-6", "-s", "sh", "-b", "sh-port")
    status, result = run(counters=True, _ansible_check_mode=True)
    assert status == 0
    assert result["changed"] is False
    assert sorted(result["commands"]) == sorted(readers.saved())
    web, mark = result["services"]
    assert (web["address"], web["port"], web["persistence"]) == ("192.0.2.1", 80, 300)
    assert web["mask"] == HOST_MASK["ipv4"]
    (server,) = web["servers"]
    assert (server["weight"], server["forward"]) == (0, "nat")
    assert server["connections"] == {"active": 0, "inactive": 0, "persistent": 0}
    assert set(server["counters"].values()) == {0}
    assert (mark["fwmark"], mark["family"], mark["flags"]) == (5, "ipv6", ["sh-port"])


def test_without_privilege_it_fails_in_one_sentence() -> None:
    dropped = ("setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin")
    status, result = run(*dropped)
    assert status == 1
    assert result["msg"].startswith("IPVS in the kernel: this process may not read")
    assert result["msg"].endswith("CAP_NET_ADMIN.")
