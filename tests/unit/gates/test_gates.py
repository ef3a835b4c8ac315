# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the gates make of the words of the tools, the order of steps, and the pages of the site."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.gates import again, docsite, importer, run, steps
from tests.gates.layers import Layer
from tests.gates.machine import ROOT, Trouble
from tests.gates.steps import Count, Outcome, Step, pytest_count, units_count

PAGES = {Path("README.md"): "README.md", Path("docs/checks.md"): "checks.md"}


@pytest.mark.parametrize(
    ("place", "text", "there"),
    [
        ("README.md", "[a](docs/checks.md#icmp)", "[a](checks.md#icmp)"),
        ("docs/checks.md", "[a](../README.md)", "[a](README.md)"),
        ("docs/checks.md", "[a](checks.md)", "[a](checks.md)"),
        ("README.md", "[a](Makefile)", f"[a]({docsite.FORGE}Makefile)"),
        ("docs/checks.md", "[a](../galaxy.yml)", f"[a]({docsite.FORGE}galaxy.yml)"),
        ("README.md", "[a](https://example.org/b.md)", "[a](https://example.org/b.md)"),
        ("README.md", "[a](#quickstart)", "[a](#quickstart)"),
    ],
)
def test_links_lead_to_the_site_or_to_the_forge(place: str, text: str, there: str) -> None:
    assert docsite.linked(text, Path(place), PAGES) == there


def test_a_link_to_nothing_is_told() -> None:
    with pytest.raises(Trouble, match=r"README.md leads to docs/nothing.md, which is not there"):
        docsite.linked("[a](docs/nothing.md)", Path("README.md"), PAGES)


def test_every_arrow_of_the_state_diagrams_is_drawn() -> None:
    text = (ROOT / "docs/takeover.md").read_text(encoding="utf-8")
    diagrams = docsite.DIAGRAM.findall(text)
    assert len(diagrams) == text.count("```mermaid") == 2
    for diagram in diagrams:
        graph = docsite.as_graph(diagram)
        assert graph.count(" -> ") == diagram.count(" --> ") > 20
        assert "[*]" not in graph


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('<script src="https://example.org/a.js">', True),
        ("<img alt='' src=//example.org/a.png>", True),
        ('<link rel="stylesheet" href="https://example.org/a.css">', True),
        ("@font-face { src: url(https://example.org/a.woff) }", True),
        ('<a href="https://example.org/">', False),
        ('<script src="_static/a.js">', False),
        ("url(fonts/a.woff)", False),
    ],
)
def test_what_a_browser_would_fetch_is_found(text: str, told: bool) -> None:
    assert bool(docsite.LOADED.search(text)) == told


def test_any_remark_of_the_importer_counts() -> None:
    good = f"Loading role piranha_router\nImporter processing {importer.END.split(maxsplit=2)[2]}\n"
    assert importer.faults(good) == []
    assert importer.faults(f"WARNING: No changelog found.\n{good}") == [
        "WARNING: No changelog found."
    ]
    assert importer.faults("Loading role piranha_router\n") == ["it did not come to its end"]


def test_the_parts_of_ansible_test_units_are_added_up() -> None:
    log = "= 1 failed, 3 passed in 2.10s =\nmodule_utils\n= 4 passed, 1 skipped in 6.1s =\n"
    assert units_count(log) == Count(7, 1, 1)
    assert units_count("") == Count()


def test_what_is_left_to_a_longer_run_is_not_called_skipped() -> None:
    log = "=== 2 passed, 1 skipped, 3 deselected in 1.00s ===\n"
    assert pytest_count(log) == Count(2, 0, 1, 3)
    step = Step("agent")
    rows = run.table([("cluster", Outcome(step, 0, 1.0, Count(2, 0, 1, 3)))], [], "", 1.0)
    assert "1 skipped 3 left to make test-all" in rows[1]


def test_the_end_of_the_run_names_what_failed_and_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(steps, "LOGS", tmp_path)
    log = "> assert 1 == 2\nE   assert 1 == 2\nFAILED tests/test_a.py::test_b - assert 1 == 2\n"
    argv = ("sh", "-c", f"printf '%s' '{log}= 1 failed in 0.10s ='; exit 1")
    outcome = steps.run_step(Step("units", argv, count=pytest_count), "cluster")
    assert "FAILED: cluster: tests/test_a.py::test_b - assert 1 == 2" in run.table(
        [("cluster", outcome)], [], "", 1.0
    )
    assert outcome.failures[-1] == "E   assert 1 == 2"
    assert again.failures(f"ERROR: no such file\n{log.splitlines()[0]}") == ()


@pytest.mark.parametrize(("second", "good"), [("true", True), ("false", False)])
def test_what_passes_once_more_alone_is_called_unsteady(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, second: str, good: bool
) -> None:
    monkeypatch.setattr(steps, "LOGS", tmp_path)
    log = "FAILED tests/test_a.py::test_b[-s sed] - assert 1 == 2\n"
    argv = ("sh", "-c", f"printf '%s' '{log}= 1 failed, 4 passed in 0.10s ='; exit 1")
    # The name of the test is what the second command gets as its first word.
    retry = ("sh", "-c", f"test \"$0\" = 'tests/test_a.py::test_b[-s sed]' && {second}")
    outcome = steps.run_step(Step("units", argv, count=pytest_count, again=retry), "cluster")
    assert (outcome.good, outcome.count) == (good, Count(5) if good else Count(4, 1))
    rows = run.table([("cluster", outcome)], [], "", 1.0)
    assert ("1 unsteady" in rows[1]) == good
    assert any(row.startswith(f"{'unsteady' if good else 'FAILED'}: cluster: ") for row in rows)


def test_many_failures_or_a_crash_are_not_tried_again() -> None:
    line = "FAILED tests/test_a.py::test_{} - no"
    few, many = ("\n".join(line.format(n) for n in range(count)) for count in (3, 4))
    assert again.worth_it(1, few) == tuple(f"tests/test_a.py::test_{n}" for n in range(3))
    assert (again.worth_it(1, many), again.worth_it(124, few), again.worth_it(2, few)) == ((),) * 3


def test_a_file_of_which_all_is_left_has_not_failed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(steps, "LOGS", tmp_path)
    for closing, status in (("=== 3 deselected in 0.10s ===", 0), ("=== no tests ran ===", 5)):
        argv = ("sh", "-c", f"echo '{closing}'; exit 5")
        outcome = steps.run_step(Step("units", argv, count=pytest_count), "cluster")
        assert (outcome.status, outcome.good) == (status, status == 0)


def test_steps_of_one_lane_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    spans: dict[str, tuple[float, float]] = {}

    def slow(step: Step, _layer: str, beside_others: bool = False) -> Outcome:
        began = time.monotonic()
        time.sleep(0.05)
        spans[step.name] = (began, time.monotonic())
        return Outcome(step, 0, 0.05, Count(1))

    monkeypatch.setattr(run, "run_step", slow)
    monkeypatch.setattr(run, "ensure_packages", lambda _names, _why: None)
    steps = [Step("stage"), Step("a", lane="one"), Step("b", lane="one"), Step("c")]
    layer = Layer("gates", "", lambda: steps, (), at_once=2, first=1)
    assert [each.step.name for each in run.run_layer(layer)] == ["stage", "a", "b", "c"]
    assert spans["stage"][1] <= min(spans["a"][0], spans["c"][0])
    assert spans["a"][1] <= spans["b"][0], "they share a lane"
    assert spans["c"][0] < spans["a"][1], "another lane runs beside it"


def test_every_page_is_in_the_menu_of_the_site() -> None:
    index = (ROOT / "docs/docsite/index.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^(\w+)$", index, re.MULTILINE))
    assert {path.stem for path in ROOT.glob("docs/*.md")} - listed == set()
