# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults in examples are found, and pieces are not taken for faults."""

from __future__ import annotations

import pytest

from tests.gates.examples import Example, as_playbook, parse
from tests.gates.lvs_cf_examples import count, faults, whole


def page(*lines: str, above: str = "") -> str:
    return "\n".join(["Words", "", *([above] if above else []), "```lvs.cf", *lines, "```", ""])


@pytest.mark.parametrize(
    "lines",
    [
        ["keepalive = 2"],
        ["quorum = 1"],  # a directive of virtual servers alone
        ["virtual shop {", "    ...", "    quorum = 1", "}"],
        [
            "virtual shop {",
            "    ...",
            "    port = 81",
            "    server web1 {",
            "        ...",
            "        weight = 7",
            "    }",
            "}",
        ],
        ["service = fos", "failover db {", "    ...", "}"],
    ],
)
def test_a_piece_is_no_fault(lines: list[str]) -> None:
    assert list(faults(page(*lines))) == []
    assert count(page(*lines)) == 1


def test_what_is_left_out_is_filled_in_and_what_is_there_stays() -> None:
    text = whole("virtual shop {\n    ...\n    port = 81\n}\n")
    assert "port = 81" in text
    assert "port = 80" not in text
    assert "server one {" in text


@pytest.mark.parametrize(
    ("lines", "line", "code"),
    [
        (["virtual shop {", "    ...", "    qourum = 3", "}"], 4, "E201"),
        (["keepalive = soon"], 4, "E203"),
        (
            ["virtual shop {", "    active = 1", "    port = 80", "}"],
            4,
            "E3",
        ),  # without dots it has to be whole
    ],
)
def test_a_fault_is_told_with_its_place(lines: list[str], line: int, code: str) -> None:
    found = list(faults(page(*lines)))
    assert found
    assert found[0][0] == line
    assert code in found[0][1]


def test_a_fault_that_a_page_means_to_show_is_none_but_must_be_there() -> None:
    assert list(faults(page("shceduler = rr", above="<!-- shows E201 -->"))) == []
    assert "does not" in next(iter(faults(page("scheduler = rr", above="<!-- shows E201 -->"))))[1]


def test_what_is_indented_is_not_left_unread() -> None:
    assert (
        "fence it"
        in next(iter(faults("Words\n\n    virtual shop {\n        port = 80\n    }\n")))[1]
    )
    assert "fence it" in next(iter(faults("Words\n\n    quorum = 3\n")))[1]
    assert (
        list(faults("Words\n\n    piranha config check FILE\n\n    L = load / processors\n")) == []
    )
    assert list(faults("```text\n\n    quorum = 3\n\n```\n")) == []


def test_a_variable_that_nobody_documents_is_a_fault() -> None:
    known = {"piranha_globals"}
    assert parse(Example("piranha_globals: {}\n", ""), known)[1] == []
    assert parse(Example("piranha_gobals: {}\n", ""), known)[1] == [
        "no variable is called piranha_gobals"
    ]
    assert "not YAML" in parse(Example("a: [\n", ""), known)[1][0]


def test_tasks_and_plays_become_playbooks_and_data_does_not() -> None:
    play = [{"hosts": "all", "tasks": []}]
    assert "hosts: all" in str(as_playbook(play))
    assert "tasks:" in str(as_playbook([{"name": "x", "ansible.builtin.debug": {}}]))
    assert as_playbook({"a": 1}) is None
    assert as_playbook([1, 2]) is None
