# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services that a running lvsd owns: refused, under check mode too, unless the task forces it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.ipvsadm import parse
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.model import ServiceKey
from ansible_collections.piranha.lvs.plugins.modules import (
    ipvs_info,
    ipvs_server,
    ipvs_service,
    ipvs_table,
)

from tests.unit.plugins.module_utils.ipvs.memory import MemoryPort

from .running import run

Options = dict[str, Any]
WEB = {"address": "192.0.2.80", "port": 80}
DNS = {"protocol": "udp", "address": "192.0.2.53", "port": 53}
ONE = {"service": WEB, "address": "198.51.100.21"}


@pytest.fixture
def full(memory: MemoryPort) -> MemoryPort:
    """A kernel with two services."""
    memory.table = parse(
        "-A -t 192.0.2.80:80 -s rr\n-a -t 192.0.2.80:80 -r 198.51.100.21:80 -m -w 1\n"
        "-A -u 192.0.2.53:53 -s wlc"
    )
    return memory


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    """Somebody who answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        made.bind(str(tmp_path / "control.sock"))
        made.listen()
        yield made


@pytest.fixture
def agent(full: MemoryPort, listener: socket.socket, tmp_path: Path) -> Path:
    """The list of an agent that owns the web service."""
    key = ServiceKey.by_address("tcp", "192.0.2.80", 80)
    owned = tmp_path / "owned.json"
    owned.write_text(json.dumps({"services": [key._asdict()]}))
    return owned


OWNED: list[tuple[ModuleType, Options]] = [
    (ipvs_service, {**WEB, "scheduler": "wlc"}),
    (ipvs_service, {**WEB, "state": "absent"}),
    (ipvs_server, {**ONE, "weight": 0}),
    (ipvs_server, {**ONE, "state": "absent"}),
    (ipvs_server, {**ONE, "state": "drained"}),
    (ipvs_table, {"services": [DNS, {**WEB, "servers": [{"address": "198.51.100.9"}]}]}),
    (ipvs_table, {"state": "overridden", "services": [DNS]}),
]


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(("module", "options"), OWNED)
def test_what_lvsd_owns_is_refused_unless_forced(
    full: MemoryPort, module: ModuleType, options: Options, check: bool
) -> None:
    result = run(module, check=check, **options)
    assert result["msg"] == (
        "a virtual service of lvsd (tcp 192.0.2.80:80): lvsd keeps them equal to lvs.cf and would "
        "undo the change; use piranha_server for the weight of a real server and lvs_cf for the "
        "rest, or force: true to change the table all the same."
    )
    assert full.sent == []
    assert run(module, check=check, **options, force=True)["changed"]
    assert bool(full.sent) is not check


@pytest.mark.usefixtures("agent")
def test_what_others_own_is_changed_beside_lvsd(full: MemoryPort) -> None:
    assert run(ipvs_service, **DNS, state="absent")["changed"]
    assert not run(ipvs_service, **WEB, scheduler="rr").get("changed")  # nothing to be undone
    assert not run(ipvs_table, state="overridden", services=run(ipvs_info)["services"])["changed"]


def test_an_agent_that_has_ended_owns_nothing(agent: Path, listener: socket.socket) -> None:
    """Its files stay: a socket at which nobody answers, and the list."""
    listener.close()
    assert agent.exists()
    assert run(ipvs_service, **WEB, scheduler="wlc")["changed"]


def test_a_list_that_cannot_be_read_is_refused(agent: Path, full: MemoryPort) -> None:
    agent.write_text('{"services": [{"family": "ipv9"}]}')
    result = run(ipvs_service, **DNS, state="absent")
    assert "does not tell which services are lvsd's" in result["msg"]
    assert full.sent == []
    agent.unlink()  # it manages other things
    assert run(ipvs_service, **WEB, scheduler="wlc")["changed"]
