# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the layers of tests are, in the order from quick to slow. Only data; run.py runs them."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from .collection import ALONE
from .machine import ROOT, VENV_BIN, newest_python, python39, python313, wanted_packages
from .sanity import NEWEST
from .stage import STAGE, STAGED
from .steps import Count, Step, pytest_count, sanity_count, units_count

LAB_PACKAGES = ROOT / "tests/lab/packages.txt"
GATE_PACKAGES = ROOT / "tests/gates/packages.txt"
PAGE_PACKAGES = ROOT / "tests/page/packages.txt"
CHECK_PACKAGES = ROOT / "tests/checks/packages.txt"


@dataclass(frozen=True)
class Layer:
    """A name, what it proves, its steps, and the lists of Debian packages it needs."""

    name: str
    title: str
    steps: Callable[[], list[Step]]
    package_lists: tuple[Path, ...] = (GATE_PACKAGES,)
    at_once: int = 1  # steps that run side by side
    first: int = 0  # how many run alone, before those that run side by side

    def packages(self) -> list[str]:
        """The Debian packages of all lists."""
        return [name for each in self.package_lists for name in wanted_packages(each)]


def _tool(name: str, *words: str) -> tuple[str, ...]:
    return (str(VENV_BIN / name), *words)


def _gate(module: str, *words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"tests.gates.{module}", *words)


def _scripts() -> Iterable[str]:
    """Shell scripts and programs without a suffix that begin with a shell's name."""
    for path in sorted([*ROOT.glob("tests/**/*"), *ROOT.glob(".ci/*"), *ROOT.glob("roles/**/*")]):
        if path.is_file() and path.suffix in ("", ".sh"):
            with path.open("rb") as file:
                if file.readline().rstrip().endswith((b"/sh", b"/bash", b"/sh -eu")):
                    yield str(path.relative_to(ROOT))


def _lint() -> list[Step]:
    ruff = _tool("ruff", "check", "--no-cache", "--output-format", "concise", ".")
    steps = [
        Step("ruff", ruff, limit=60),
        Step("words", _gate("words"), limit=60),
        Step("shape", _gate("shape"), limit=60),
        Step("mypy", _gate("types"), limit=240),
    ]
    scripts = tuple(_scripts())
    if scripts:
        steps.append(Step("shellcheck", ("shellcheck", *scripts), limit=60))
    return steps


def _unit() -> list[Step]:
    pytest = ("-q", "--color=no", "--numprocesses=3")  # many wait more than they compute
    run = _tool("python", "-m", "pytest", *pytest)
    steps = [Step("python 3.11", (*run, "tests/unit"), 600, count=pytest_count, again=run)]
    if python39() is None:
        steps.append(Step("python 3.9", unless="no Python 3.9 on this machine"))
    else:
        steps.append(Step("python 3.9", _gate("oldest", *pytest), 600, count=pytest_count))
    return steps


def _simulation() -> list[Step]:
    """It makes a process for each processor itself."""
    argv = _tool("python", "-m", "pytest", "-v", "-rP", "--color=no", "tests/simulation")
    return [Step("schedules and planted faults", argv, limit=600, count=pytest_count)]


def _gates() -> list[Step]:
    lane = "ansible-test"  # its runs share a folder for what they write
    here = {"ANSIBLE_COLLECTIONS_PATH": str(STAGE)}
    lint = _tool("ansible-lint", "--offline", "--profile", "production", "--nocolor")
    docs = _tool("antsibull-docs", "lint-collection-docs", "--plugin-docs",
                 "--validate-collection-refs=self", ".")
    return [
        Step("stage", _gate("stage"), limit=60),
        Step("reuse", _tool("reuse", "lint", "--lines"), limit=60),
        Step("build and install", _gate("collection"), limit=120),
        # The longest first: the others run beside it.
        Step("ansible-test sanity", _gate("sanity"), limit=900, count=sanity_count, lane=lane),
        # The unit layer ran all of them; here those that ansible-test sees in a light of its own:
        # it lets modules import nothing but module_utils, as on a target. Layer `whole`: all.
        Step("ansible-test units", _units(*(f"tests/unit/plugins/{name}/" for name in
             ("action", "filter", "inventory", "modules"))), limit=400, count=units_count,
             lane=lane),
        Step("ansible-test integration",
             _gate("ansible_test", "integration", "--allow-root", *INTEGRATION), limit=240,
             lane=lane),
        Step("galaxy-importer", _gate("importer"), limit=400),
        Step("changelog", _tool("antsibull-changelog", "lint"), cwd=STAGED, limit=60),
        Step("examples", _tool("python", "-m", "tests.gates.examples"), limit=60),
        Step("plugin docs", docs, cwd=STAGED, env=here, limit=120),
        Step("ansible-lint", lint, cwd=STAGED, env=here, limit=240),
        _plays("not whole"),
        Step("documentation site", _gate("docsite"), limit=300),
    ]


def _plays(which: str) -> Step:
    run = _tool("python", "-m", "pytest", "-q", "--color=no", "--numprocesses=2")
    return Step("plays", (*run, "-m", which, "tests/plays"), 300, count=pytest_count, again=run)


INTEGRATION = ("filters", "lvs_cf")
"""Targets in tests/integration that need no IPVS; ipvs_table runs in the kernel layer."""


def _units(*targets: str) -> tuple[str, ...]:
    return _gate("ansible_test", "units", "--python", "3.11", "--num-workers", "2", *targets)


def _whole() -> list[Step]:
    newest = "sanity, newest ansible-core"
    explore = _tool("python", "-m", "pytest", "-q", "--color=no", "--numprocesses=2", "tests/unit")
    further = {"HYPOTHESIS_PROFILE": "explore"}
    steps = [
        Step("ansible-test units, all", _units(), limit=1500, count=units_count),
        Step("other made-up inputs, and more", explore, 1500, further, count=pytest_count),
    ]
    if newest_python() is None:
        steps.append(Step(newest, unless="no Python 3.12 or later on this machine"))
    else:
        steps.append(Step(newest, _gate("sanity", "--newest"), 900, count=sanity_count))
        playbook = {"PIRANHA_ANSIBLE_PLAYBOOK": str(NEWEST / "bin/ansible-playbook")}
        plays = _plays("whole or not whole")
        steps.append(replace(plays, name="plays, newest ansible-core", limit=600, env=playbook))
    if python313() is None:
        steps.append(Step("agent, python 3.13", unless="no Python 3.13 on this machine"))
    else:
        argv = _gate("debian13", "-q", "--color=no", "--numprocesses=2")
        steps.append(Step("agent, python 3.13", argv, 600, count=pytest_count))
    return steps


def _in_kernel(name: str, tests: str, limit: float, *more: str, which: str = "not whole") -> Step:
    """A file of tests, or a folder, in a kernel with IPVS; `which`: pytest's choice by marks.

    One that needs no IPVS runs in this kernel, with an /etc and a /run of its own.
    """
    if which == "not whole" and WHOLE_FILE in _text(tests):
        return Step(name, unless="left to make test-all")
    here = tests in OWN_ETC and can_be_alone()
    enter = str(ROOT / ("tests/page/alone" if here else "tests/lab/in-ipvs-kernel"))
    run = (enter, *_tool("python", "-m", "pytest", "-v", "--color=no"))
    return Step(name, (*run, "-m", which, tests, *more), limit, count=pytest_count, again=run)


OWN_ETC = ("tests/cluster/test_fos.py",)
"""Files that need no table, but write below /etc and /run."""


@functools.cache
def can_be_alone() -> bool:
    """Whether this machine lets tests have an /etc and a /run of their own."""
    argv = [str(ROOT / "tests/page/alone"), "true"]
    return subprocess.run(argv, check=False, capture_output=True, timeout=60).returncode == 0


WHOLE_FILE = "pytestmark = pytest.mark.whole"
"""A file with this line has nothing for `make test`."""


def _text(tests: str) -> str:
    path = ROOT / tests
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _kernel() -> list[Step]:
    """Two kernels: a play starts many programs, which takes long in user-mode Linux."""
    play = "tests/kernel/test_module_playbook.py"
    return [
        _in_kernel("in a kernel with IPVS", "tests/kernel", 600, f"--ignore={play}"),
        _in_kernel("modules in a play", play, 600),
        Step("ansible-test integration", _integration_in_kernel(), limit=600),
    ]


def _integration_in_kernel() -> tuple[str, ...]:
    """The target that takes over the whole table, hence never in this machine's own kernel."""
    enter = str(ROOT / "tests/lab/in-ipvs-kernel")
    words = ("integration", "--allow-root", "--allow-destructive", "ipvs_table")
    return (enter, *_gate("ansible_test", *words))


WITHOUT_IPVS = (
    *("addresses", "bring_back", "classic", "differences", "heart", "links", "neighbours", "news"),
    *("orders", "reload", "witness"),
)
"""Files in tests/cluster that need namespaces but no table: they run in the kernel that is here."""

LONGEST = ("via_virtual", "agent", "lvsd", "systemd", "marks")
"""Files in tests/cluster by what they take."""

PATIENT = ("patience",)
"""Files whose meaning is their length: `make patience`; `make test-release` runs a share."""


def _cluster() -> list[Step]:
    """One kernel a file: user-mode Linux has one processor, and the tests wait most of the time."""
    return [
        _without_ipvs("not whole"),
        *(_in_kernel(name, f"tests/cluster/test_{name}.py", 900) for name in _cluster_files()),
    ]


def _cluster_files() -> list[str]:
    """Those with a run of their own: the longest first, so that no processor is idle at the end."""
    paths = ROOT.glob("tests/cluster/test_*.py")
    names = {path.name[5:-3] for path in paths} - {*WITHOUT_IPVS, *PATIENT}
    longest = [name for name in LONGEST if name in names]
    return [*longest, *sorted(names - {*longest})]


def _without_ipvs(which: str) -> Step:
    files = [f"tests/cluster/test_{name}.py" for name in WITHOUT_IPVS]
    run = _tool("python", "-m", "pytest", "-v", "--color=no")
    argv = (*run, "-m", which, *files)
    return Step("without IPVS", argv, limit=900, count=pytest_count, again=run)


def _marked() -> list[Step]:
    """What is marked `whole` in checks, plays, kernel, cluster; files without it are not begun."""
    mark = "mark.whole"
    steps = [replace(step, name="checks", limit=900) for step in _checks("whole")]
    steps.append(_plays("whole"))
    if any(mark in _text(f"tests/cluster/test_{name}.py") for name in WITHOUT_IPVS):
        steps.append(_without_ipvs("whole"))
    files = [f"tests/cluster/test_{name}.py" for name in _cluster_files()]
    files += sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("tests/kernel/test_*.py"))
    for file in files:
        if mark in _text(file):
            steps.append(_in_kernel(Path(file).stem[5:], file, 1200, which="whole"))
    return steps


def _machines() -> list[Step]:
    """Kernel and cluster in one row: while the last ones of one run, the other's begin."""
    kernel, cluster = (
        [replace(step, name=f"{layer}: {step.name}") for step in steps]
        for layer, steps in (("kernel", _kernel()), ("cluster", _cluster()))
    )
    return [*kernel, *cluster]


def _checks(which: str = "not whole") -> list[Step]:
    run = _tool("python", "-m", "pytest", "-v", "--color=no")
    argv = (*run, "-m", which, "tests/checks")
    return [Step("real servers", argv, limit=300, count=pytest_count, again=run)]


def _page() -> list[Step]:
    """Real agents natively, in an /etc and a /run of their own, and Debian's Chromium."""
    pytest = _tool("python", "-m", "pytest", "-v", "--color=no", "tests/page")
    argv = (str(ROOT / "tests/page/alone"), *pytest)
    return [Step("in a browser", argv, limit=1200, count=pytest_count)]


def _lab() -> list[Step]:
    argv = (str(ROOT / "tests/lab/selftest"),)
    return [Step("selftest", argv, limit=600, count=pytest_count)]


SCENARIOS = (
    "nat", "direct", "tunnel", "failover", "fos", "operations", "upgrade", "page",
    "check_first_run", "two_clusters", "remove",
)
"""Those in molecule/; the first alone stands for them in `make test`."""


def _scenarios(names: Iterable[str]) -> list[Step]:
    """They run what a user installs: the tarball, without the rest of the checkout."""
    env = {"ANSIBLE_COLLECTIONS_PATH": str(ALONE)}
    return [
        Step("build and install", _gate("collection"), limit=120),
        *(Step(name, _tool("molecule", "test", "-s", name), limit=1500, env=env) for name in names),
    ]


def _others() -> list[Step]:
    """All scenarios but the first, and README's quickstart."""
    return [
        *_scenarios(SCENARIOS[1:]),
        Step("README's quickstart", _gate("quickstart"), limit=900),
    ]


_LAB = (GATE_PACKAGES, LAB_PACKAGES)
LAYERS = {
    layer.name: layer
    for layer in (
        Layer("lint", "style, types, rules of the house", _lint),
        Layer("unit", "pure functions, parsers, state machines", _unit, at_once=2),
        Layer("simulation", "two routers, a lossy network, a made-up clock", _simulation),
        Layer("gates", "the collection as Galaxy and Automation Hub judge it",
              _gates, at_once=2, first=3),
        Layer("whole", "all unit tests by ansible-test; other inputs; other Pythons and cores",
              _whole),
        Layer("kernel", "modules and libraries against the real IPVS table",
              _kernel, _LAB, at_once=2),
        Layer("cluster", "whole agents in network namespaces, real traffic, real kills",
              _cluster, _LAB, at_once=3),
        Layer("machines", "kernel and cluster, side by side",
              _machines, _LAB, at_once=3),
        Layer("marked", "the tests that are marked `whole`: too long for every run",
              _marked, (*_LAB, CHECK_PACKAGES), at_once=2),
        Layer("checks", "health checks against real servers of every kind; firewall marks",
              _checks, (GATE_PACKAGES, CHECK_PACKAGES)),
        Layer("page", "the web page in a real browser, real agents behind it",
              _page, (*_LAB, PAGE_PACKAGES)),
        Layer("page-lab", "the web page of routers that the role has built, under traffic",
              lambda: _scenarios(("page",)), (*_LAB, PAGE_PACKAGES)),
        Layer("lab", "the lab itself: up, broken, down without a trace", _lab, _LAB),
        Layer("molecule", "roles and playbooks on machines with systemd",
              lambda: _scenarios(SCENARIOS[:1]), _LAB),
        Layer("scenarios", "every forwarding method, accidents, every day's work, removal",
              _others, (*_LAB, PAGE_PACKAGES)),
    )
}
_TEST = ("lint", "unit", "simulation", "gates", "checks", "machines", "molecule")
_ALL = (*_TEST, "marked", "scenarios")
PLANS: dict[str, tuple[str, ...]] = {
    "check": ("lint", "unit"),
    "test": _TEST,
    "test-all": _ALL,
    "test-release": (*_ALL, "whole", "page", "lab"),
}
__all__ = ["LAYERS", "PLANS", "Count", "Layer"]
