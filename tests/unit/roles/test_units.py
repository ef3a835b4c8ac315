# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every systemd unit of the roles is well-formed and its sandbox tight, as systemd judges.

The templates are found, not listed: a new one is judged as soon as it is there.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
TEMPLATES = sorted(ROOT.glob("roles/*/templates/*.service.j2"))
MOST_EXPOSURE = 2.5
# These three run once and open no socket to anybody. They have to write kernel parameters, load a
# module or set the packet filter.
ALLOWED = {
    "piranha-firewall.service": 5.9,
    "piranha-realserver-routes.service": 6.1,
    "piranha-realserver.service": 6.7,
}
# What a template needs beside its role's own variables; the widest sandbox that it can ask for.
FACTS: dict[str, Any] = {
    "ansible_managed": "managed",
    "__piranha_realserver_needs": {"tunnels": [{"type": "gue"}]},
}
PROGRAM = "/usr/bin/env"  # stands for ours, which are not installed here


def variables(role: Path) -> dict[str, Any]:
    """The role's variables that are plain, with a program that exists in the place of ours."""
    found: dict[str, Any] = dict(FACTS)
    for file in (role / "defaults/main.yml", role / "vars/main.yml"):
        if file.exists():
            found |= yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    for name, value in found.items():
        if isinstance(value, str) and re.match(r"/usr/(local/)?s?bin/piranha", value):
            found[name] = PROGRAM
    return found


@jinja2.pass_context
def chosen(context: jinja2.runtime.Context, *words: Any) -> list[Any]:
    """As Ansible has it: a list, where Jinja gives a generator, which has no length."""
    return list(jinja2.filters.FILTERS["selectattr"](context, *words))


@pytest.fixture(params=TEMPLATES, ids=lambda path: str(path.name))
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A unit as the role would write it."""
    template: Path = request.param
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701 - no HTML
    environment.filters["comment"] = lambda text: f"# {text}"
    environment.filters["selectattr"] = chosen
    text = environment.from_string(template.read_text(encoding="utf-8")).render(
        variables(template.parents[1])
    )
    path = tmp_path / template.stem
    path.write_text(text, encoding="utf-8")
    return path


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["systemd-analyze", *words], capture_output=True, text=True, timeout=30, check=False
        )
    except FileNotFoundError:
        pytest.fail("systemd-analyze is not installed here; apt-get install systemd")


def test_there_are_units() -> None:
    assert {path.stem for path in TEMPLATES} >= {"piranha-pulse.service"}


def test_systemd_finds_nothing_wrong(unit: Path) -> None:
    done = analyze("verify", str(unit))
    assert (done.returncode, done.stderr) == (0, "")


def test_the_sandbox_is_tight(unit: Path) -> None:
    done = analyze("security", "--offline=true", str(unit))
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found is not None, done.stderr
    assert float(found[1]) <= ALLOWED.get(unit.name, MOST_EXPOSURE)
