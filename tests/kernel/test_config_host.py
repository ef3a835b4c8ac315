# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""`config check --on-this-host` on a real kernel: what it says of IPVS is what ipvsadm finds."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from piranha.cli import main
from piranha.config.host_facts import gather
from piranha.core.lvs_cf.directives import SCHEDULERS
from piranha.core.lvs_cf.host import Questions

FILE = """\
primary = 127.0.0.1
network = tunnel
virtual web {
    active = 1
    address = 127.0.0.80 lo:1
    scheduler = SCHEDULER
    server one {
        address = 192.0.2.9
        active = 1
    }
}
"""


def works(scheduler: str) -> bool:
    """Whether the kernel takes a service with this scheduler; ipvsadm is asked."""
    service = ["-t", "192.0.2.99:80"]
    added = subprocess.run(
        ["ipvsadm", "-A", *service, "-s", scheduler], capture_output=True, timeout=30, check=False
    )
    if added.returncode == 0:
        subprocess.run(["ipvsadm", "-D", *service], timeout=30, check=True)
    return added.returncode == 0


def test_the_kernel_has_the_schedulers_that_are_told() -> None:
    host = gather(Questions((), (), None))
    assert host.ipvs is True
    assert host.schedulers is not None
    assert {name for name in SCHEDULERS if works(name)} == host.schedulers & set(SCHEDULERS)
    assert "wlc" in host.schedulers


def test_a_file_is_judged_by_what_the_kernel_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "lvs.cf"
    path.write_text(FILE.replace("SCHEDULER", "wlc"))
    assert main(["config", "check", "--on-this-host", str(path)]) == 0
    assert "[E5" not in capsys.readouterr().out
    missing = [name for name in SCHEDULERS if not works(name)]
    for name in missing:
        path.write_text(FILE.replace("SCHEDULER", name))
        assert main(["config", "check", "--on-this-host", str(path)]) == 1
        assert f"the kernel of this host has no scheduler {name}" in capsys.readouterr().out
