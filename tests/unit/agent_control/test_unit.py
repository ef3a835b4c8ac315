# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The systemd unit is well-formed and its sandbox tight, as systemd judges."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TEMPLATE = ROOT / "roles/piranha_router/templates/piranha-pulse.service.j2"
MOST_EXPOSURE = 2.5


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The template with its few variables filled in; the program is one that exists here."""
    values = {
        "ansible_managed | comment": "# managed",
        "__piranha_router_launcher": "/usr/bin/env",
        "__piranha_router_unit_file": "/etc/systemd/system/piranha-pulse.service",
        "piranha_router_config_file": "/etc/lvs.cf",
    }
    text = re.sub(
        r"{{ ([^}]+) }}",
        lambda found: values[found[1]],
        TEMPLATE.read_text(encoding="utf-8"),
    )
    path = tmp_path / "piranha-pulse.service"
    path.write_text(text, encoding="utf-8")
    return path


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["systemd-analyze", *words], capture_output=True, text=True, timeout=30, check=False
        )
    except FileNotFoundError:
        pytest.fail("systemd-analyze is not installed here; apt-get install systemd")


def test_systemd_finds_nothing_wrong(unit: Path) -> None:
    done = analyze("verify", str(unit))
    assert (done.returncode, done.stderr) == (0, "")


def test_the_sandbox_is_tight(unit: Path) -> None:
    done = analyze("security", "--offline=true", str(unit))
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found is not None, done.stderr
    assert float(found[1]) <= MOST_EXPOSURE
