# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every systemd unit of the roles is well-formed and its sandbox tight, as systemd judges.

The templates are found, not listed: a new one is judged as soon as it is there.
"""

from __future__ import annotations

import os
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
# What a template needs beside its role's own variables: for the widest sandbox, for the usual one.
WIDEST, USUAL = {"tunnels": [{"type": "gue"}]}, {"tunnels": [{"type": "ipip"}]}
FACTS: dict[str, Any] = {"ansible_managed": "managed"}
# Only where gue is used: the one unit that has to load a module itself.
WIDE = {"piranha-realserver.service": 2.6}
STATED = ROOT / "docs/security.md"
# What is empty by default, and then writes no unit.
SHOWN = {"piranha_router_metrics": "[2001:db8::1]:9539"}
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
    return found | SHOWN


@jinja2.pass_context
def chosen(context: jinja2.runtime.Context, *words: Any) -> list[Any]:
    """As Ansible has it: a list, where Jinja gives a generator, which has no length."""
    return list(jinja2.filters.FILTERS["selectattr"](context, *words))


def rendered(template: Path, folder: Path, needs: dict[str, Any]) -> Path:
    """A unit as the role would write it."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701 - no HTML
    environment.filters["comment"] = lambda text: f"# {text}"
    environment.filters["selectattr"] = chosen
    environment.filters["dirname"] = os.path.dirname
    environment.filters["regex_replace"] = lambda text, old, new: re.sub(old, new, text)
    text = environment.from_string(template.read_text(encoding="utf-8")).render(
        variables(template.parents[1]) | {"__piranha_realserver_needs": needs}
    )
    path = folder / template.stem
    path.write_text(text, encoding="utf-8")
    assert "{{" not in text
    return path


@pytest.fixture(params=TEMPLATES, ids=lambda path: str(path.name))
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Each unit with the widest sandbox."""
    return rendered(request.param, tmp_path, WIDEST)


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


def exposure(unit: Path) -> float:
    done = analyze("security", "--offline=true", str(unit))
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found is not None, done.stderr
    return float(found[1])


def test_the_sandbox_is_tight_and_as_documented(unit: Path) -> None:
    stated = dict(
        re.findall(r"^\| `(\S+\.service)` \| ([0-9.]+)", STATED.read_text(), re.MULTILINE)
    )
    limit = WIDE.get(unit.name, MOST_EXPOSURE)
    assert exposure(unit) <= float(stated[unit.name]) <= limit


@pytest.mark.parametrize(
    "template", [path for path in TEMPLATES if path.stem in WIDE], ids=lambda path: str(path.stem)
)
def test_a_wide_sandbox_is_for_those_alone_who_need_it(template: Path, tmp_path: Path) -> None:
    assert exposure(rendered(template, tmp_path, USUAL)) <= MOST_EXPOSURE - 0.5
