# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person reads who has described the cluster wrongly: real runs of ansible-playbook.

They run with --check against this machine and end in the preflight checks, before any task that
could touch it.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
# `ansible-test units` runs in a copy that lies where a collection does; a checkout has a link.
STAGED = ROOT.parts[-3:] == ("ansible_collections", "piranha", "lvs")
COLLECTIONS = ROOT.parents[2] if STAGED else ROOT / "build/collections"
HTTP = {"name": "http", "address": "203.0.113.100 eth1:1", "real_server_group": "web"}


HERE = {"name": "web1", "address": "192.0.2.1"}
HTTP_HERE = {"name": "http", "address": "203.0.113.100", "port": 80, "real_servers": [HERE]}
HTTPS_HERE = {**HTTP_HERE, "name": "https", "port": 443, "forward": "direct"}
NAT = {"network": "nat", "nat_router": "192.0.2.254 eth2:1"}
LOCAL = {"ansible_connection": "local"}
PARTNER = {**LOCAL, "piranha_address": "192.0.2.2"}


def real_server(globals_: dict[str, Any], *virtual: Any, **more: Any) -> dict[str, Any]:
    """Give the variables of a cluster whose real server is lvs1 (192.0.2.1)."""
    return {
        "piranha_globals": globals_,
        "piranha_virtual_servers": list(virtual or (HTTP_HERE,)),
        **more,
    }


def play(
    folder: Path,
    role: str,
    variables: dict[str, Any],
    partner: dict[str, Any] | None = None,
    pattern: str = "lvs1",
    *flags: str,
) -> str:
    """Run a role with --check on made-up names of this machine; give what it says."""
    inventory = {
        "piranha_routers": {"hosts": {"lvs1": LOCAL, "lvs2": partner or PARTNER}},
        "all": {
            "vars": {
                "ansible_python_interpreter": sys.executable,
                "piranha_router_python": sys.executable,
                "piranha_address": "192.0.2.1",
                **variables,
            }
        },
    }
    (folder / "inventory.yml").write_text(json.dumps(inventory), encoding="utf-8")
    plays = [{"hosts": pattern, "gather_facts": False, "roles": [{"role": f"piranha.lvs.{role}"}]}]
    (folder / "play.yml").write_text(json.dumps(plays), encoding="utf-8")
    done = subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"),
            "-i",
            "inventory.yml",
            "play.yml",
            "-C",
            *flags,
        ],
        cwd=folder,
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_LOCAL_TEMP": str(folder / "local"),
            "ANSIBLE_REMOTE_TMP": str(folder / "remote"),
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
            "ANSIBLE_NOCOLOR": "1",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in {2, 4}, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("role", "variables", "sentence"),
    [
        (
            "piranha_router",
            {"piranha_router_group": "nobody"},
            "piranha_router_group: the inventory has no group 'nobody'",
        ),
        (
            "piranha_router",
            {"piranha_virtual_servers": [HTTP]},
            "piranha_virtual_servers[0].real_server_group: the inventory has no group 'web'",
        ),
        (
            "piranha_router",
            {"piranha_router_kernel_modules": ["no_such_module"]},
            "of lvs1 has no module no_such_module below /lib/modules",
        ),
        (
            "piranha_realserver",
            real_server({"network": "nat"}),
            "The gateway of the real server lvs1 is not known",
        ),
        (
            "piranha_realserver",
            real_server(NAT, {**HTTP_HERE, "fwmark": 1}, piranha_realserver_route="policy"),
            "A virtual server reaches every port of lvs1",
        ),
        (
            "piranha_realserver",
            real_server(NAT, HTTP_HERE, HTTPS_HERE),
            "lvs1 is reached by direct and nat; a default route through the router",
        ),
        (
            "piranha_realserver",
            real_server({**NAT, "network": "bridge"}),
            "globals.network: error:",
        ),
        (
            "piranha_realserver",
            {"piranha_realserver_route": "both"},
            "value of piranha_realserver_route must be one of: default, policy, got: both",
        ),
    ],
)
def test_a_wrong_description_is_refused_in_a_sentence(
    tmp_path: Path, role: str, variables: dict[str, Any], sentence: str
) -> None:
    assert sentence in play(tmp_path, role, variables)


def test_what_would_not_work_or_not_be_safe_is_told_all_at_once(tmp_path: Path) -> None:
    given = {
        "piranha_router_kernel_modules": [],
        "piranha_router_masquerade": ["192.0.2.0/24"],
        "piranha_router_gui": True,
        "piranha_router_gui_address": "0.0.0.0",
        "piranha_router_gui_port": 80,
        "piranha_router_metrics": "192.0.2.1:80",
        "piranha_router_gui_tls": False,
        "piranha_router_gui_key": "secret-secret",
    }
    said = play(tmp_path, "piranha_router", given, None, "lvs1", "-vvv")
    for sentence in (
        "piranha_router_firewall is 'none', so that nobody would masquerade them",
        "listen at 0.0.0.0 without TLS, so that passwords would cross the network readable",
        "piranha_router_gui_port is 80, which only root may listen at",
        "piranha_router_metrics is '192.0.2.1:80', which is no place to listen at",
        "piranha_router_gui_certificate and piranha_router_gui_key belong together",
    ):
        assert sentence in said
    assert "secret-secret" not in said


def test_a_key_that_is_none_is_refused_and_never_shown(tmp_path: Path) -> None:
    given = {"piranha_router_kernel_modules": [], "piranha_heartbeat_key": "secret-secret"}
    said = play(tmp_path, "piranha_router", given, None, "lvs1", "-vvv")
    sentence = "piranha_heartbeat_key must be 64 hexadecimal digits"
    assert sentence in said
    assert "secret-secret" not in said


def test_an_unreachable_router_is_named_and_its_partner_is_left_alone(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = taken.getsockname()[1]
    away = {"ansible_host": "127.0.0.1", "ansible_port": closed, "ansible_connection": "ssh"}
    said = play(
        tmp_path,
        "piranha_router",
        {"piranha_router_kernel_modules": []},
        away,
        "piranha_routers",
    )
    assert "lvs2]: UNREACHABLE!" in said
    assert "Connection refused" in said
    assert "lvs2, which may have it, is not part of it" in said
    assert "changed=0" in said
