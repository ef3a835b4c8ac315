# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles bring, on Debian 13's own Python 3.13, systemd 257, nftables and iproute2.

A root of Debian 13, made as the lab's machines are (minutes, once), with namespaces of its own for
network, mounts and processes, read only. What runs is this machine's kernel. No systemd is started.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.roles import test_units as units

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/lab"))
SUITE = "trixie"
# $1: the root; $2: what is shown to it at /mnt; then the command.
ENTER = """
set -eu
root=$1 shown=$2
shift 2
mount --bind "$root" "$root"
mount -o remount,ro,bind "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs tmpfs "$root/run"
mount --bind "$shown" "$root/mnt"
ip link set lo up
exec chroot "$root" "$@"
"""
IMPORT = """
import importlib, pkgutil, piranha
from piranha.cli import main
for module in pkgutil.walk_packages(piranha.__path__, "piranha."):
    importlib.import_module(module.name)
raise SystemExit(main(["config", "check", "/mnt/lvs.cf"]))
"""
LVS_CF = """
primary = 192.0.2.1
network = direct
virtual web {
    active = 1
    address = 192.0.2.80 eth0:1
    port = 80
    server one {
        address = 192.0.2.11
        active = 1
    }
}
"""

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def root() -> Path:
    from piranha_lab import image

    os.environ["PIRANHA_LAB_SUITE"] = SUITE
    try:
        return image.ensure(print)
    finally:
        del os.environ["PIRANHA_LAB_SUITE"]


def within(root: Path, shown: Path, *words: str, text: str = "") -> str:
    """Run a command of that root's; gives what it prints on both outputs."""
    unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"]
    enter = ["--propagation=private", "sh", "-c", ENTER, "enter", str(root), str(shown)]
    done = subprocess.run(
        [*unshare, *enter, *words],
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, (words, done.stdout)
    return done.stdout


def test_its_systemd_finds_nothing_wrong_with_a_unit(root: Path, tmp_path: Path) -> None:
    for template in units.TEMPLATES:
        units.rendered(template, tmp_path, units.USUAL)
    names = [f"/mnt/{path.name}" for path in sorted(tmp_path.glob("*.service"))]
    assert len(names) >= 5
    assert within(root, tmp_path, "systemd-analyze", "verify", *names) == ""


def test_its_python_runs_all_of_the_agent(root: Path, tmp_path: Path) -> None:
    archive = ROOT / "roles/piranha_router/files/piranha-agent.tar.xz"
    subprocess.run([sys.executable, str(ROOT / "files/piranha-agent/bundle.py")], check=True)
    shutil.copy(archive, tmp_path / archive.name)
    unpack = (ROOT / "roles/piranha_router/files/piranha_unpack.py").read_text()
    (tmp_path / "unpack.py").write_text(unpack)
    words = ("python3", "-W", "error", "/mnt/unpack.py", f"/mnt/{archive.name}", "/mnt")
    assert within(root, tmp_path, *words) == ""
    (tmp_path / "lvs.cf").write_text(LVS_CF)
    python = ["env", "PYTHONPATH=/mnt", "python3", "-W", "error", "-c", IMPORT]
    assert within(root, tmp_path, *python) == "/mnt/lvs.cf: fine\n"
    assert within(root, tmp_path, "python3", "--version").startswith("Python 3.13")


def test_its_programs_understand_and_are_understood_by_the_helpers(
    root: Path, tmp_path: Path
) -> None:
    web: dict[str, Any] = {
        "hook": "input",
        "protocol": "tcp",
        "from": [],
        "to": "203.0.113.100",
        "port": 80,
    }
    chains = {"input": "inet filter input", "forward": "inet filter forward"}
    plan = {"chains": chains, "openings": [web], "masquerade": ["192.0.2.0/24"]}
    (tmp_path / "piranha").mkdir()
    (tmp_path / "piranha/firewall.json").write_text(json.dumps(plan))
    helper = (ROOT / "roles/piranha_router/files/piranha_firewall.py").read_text()
    (tmp_path / "firewall.py").write_text(helper.replace("/etc/piranha", "/mnt/piranha"))
    rules = (
        "table inet filter { chain input { type filter hook input priority filter; };"
        " chain forward { type filter hook forward priority filter; }; }"
    )
    script = (
        f"nft '{rules}'; python3 -I /mnt/firewall.py apply; nft list ruleset;"
        " python3 -I /mnt/firewall.py remove; nft list ruleset"
    )
    said = within(root, tmp_path, "sh", "-ec", script)
    assert said.count("203.0.113.100 tcp dport 80 accept") == 1
    assert said.count("masquerade") == 1

    wanted = {
        "virtual_addresses": ["203.0.113.100"],
        "tunnels": [],
        "sysctls": {},
        "mtu": 0,
        "gateway": None,
        "route": "default",
        "services": [],
    }
    (tmp_path / "plan.json").write_text(json.dumps(wanted))
    real = (ROOT / "roles/piranha_realserver/files/piranha_realserver.py").read_text()
    real = real.replace("/etc/piranha-realserver.json", "/mnt/plan.json")
    (tmp_path / "real.py").write_text(real)
    script = (
        "python3 -I /mnt/real.py apply addresses; ip -brief address show dev lo;"
        " python3 -I /mnt/real.py apply addresses; python3 -I /mnt/real.py remove addresses"
    )
    lines = within(root, tmp_path, "sh", "-ec", script).splitlines()
    assert sum("203.0.113.100/32" in line for line in lines) == 3, "added, shown, removed; no more"
