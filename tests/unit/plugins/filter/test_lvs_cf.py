# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters about lvs.cf: there and back, and a sentence for whatever is wrong."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.piranha.lvs.plugins.filter import (
    from_lvs_cf as reading,
)
from ansible_collections.piranha.lvs.plugins.filter import (
    lvs_cf_findings as judging,
)
from ansible_collections.piranha.lvs.plugins.filter import (
    to_lvs_cf as writing,
)
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.api import from_data, load, write
from hypothesis import given

from tests.unit.plugins.module_utils.lvs_cf.cluster import CLUSTER, QUIET
from tests.unit.plugins.module_utils.lvs_cf.strategies import configs

from_lvs_cf = reading.FilterModule().filters()["from_lvs_cf"]
to_lvs_cf = writing.FilterModule().filters()["to_lvs_cf"]
lvs_cf_findings = judging.FilterModule().filters()["lvs_cf_findings"]


def complaint(apply: Any, *values: Any) -> str:
    with pytest.raises(AnsibleFilterError) as caught:
        apply(*values)
    return str(caught.value)


@pytest.mark.parametrize("text", [QUIET, CLUSTER])
def test_a_text_goes_there_and_back_by_meaning(text: str) -> None:
    again = to_lvs_cf(from_lvs_cf(text))
    assert load(again).config == load(text).config
    assert from_lvs_cf(again) == from_lvs_cf(text)
    assert to_lvs_cf(from_lvs_cf(again)) == again


@given(configs)
def test_any_text_without_errors_goes_there_and_back(config: Any) -> None:
    text = write(config)
    if load(text).errors:
        assert "the text has errors" in complaint(from_lvs_cf, text)
        return
    assert load(to_lvs_cf(from_lvs_cf(text))).config == load(text).config
    assert not from_data(from_lvs_cf(text, effective=True)).errors


def test_effective_gives_what_is_not_written() -> None:
    assert "scheduler" not in from_lvs_cf(QUIET)["virtual_servers"][0]
    (block,) = from_lvs_cf(QUIET, effective=True)["virtual_servers"]
    assert (block["scheduler"], block["sorry_server"]) == ("wlc", None)
    assert block["real_servers"][0]["weight"] == 1


def test_every_error_is_named_with_its_line_or_place() -> None:
    text = QUIET.replace("keepalive = 2", "keepalive = soon").replace("port = 80", "prot = 80")
    lines = complaint(from_lvs_cf, text).splitlines()
    assert lines[0] == "from_lvs_cf: the text has errors:"
    assert [line.partition(": ")[0] for line in lines[1:]] == ["lvs.cf:4:13", "lvs.cf:11:5"]
    lines = complaint(to_lvs_cf, {"globals": {"keepalive": "soon"}, "virtuals": []}).splitlines()
    assert lines[0] == "to_lvs_cf: the data has errors:"
    assert {line.partition(": ")[0] for line in lines[1:]} >= {"virtuals", "globals.keepalive"}


def test_what_is_neither_text_nor_mapping_is_said() -> None:
    assert (
        complaint(from_lvs_cf, {}) == "from_lvs_cf takes the text of an lvs.cf, not a value of dict"
    )
    assert complaint(to_lvs_cf, "x").endswith("not a value of str")
    assert complaint(lvs_cf_findings, 7).endswith("not a value of int")


def test_a_header_stands_at_the_top_and_cannot_break_the_file() -> None:
    data = from_lvs_cf(QUIET)
    assert to_lvs_cf(data, "one\ntwo").startswith("# one\n# two\n\nprimary")
    assert "control character" in complaint(to_lvs_cf, data, "a \x00 b")


def test_findings_of_texts_and_of_data() -> None:
    assert lvs_cf_findings(QUIET) == lvs_cf_findings(from_lvs_cf(QUIET)) == []
    (found,) = lvs_cf_findings(QUIET.replace("keepalive = 2", "keepalive = soon"))
    assert (found["code"], found["severity"], found["line"]) == ("E203", "error", 4)
    (found,) = lvs_cf_findings({**from_lvs_cf(QUIET), "virtual_servers": []})
    assert (found["code"], found["severity"], found["line"]) == ("W301", "warning", None)


def test_findings_by_the_rules_of_the_original() -> None:
    text = QUIET.replace("keepalive = 2", "keepalive = 500ms")
    assert lvs_cf_findings(text) == []
    assert {found["line"] for found in lvs_cf_findings(text, classic=True)} == {4}
    assert "needs a text" in complaint(lvs_cf_findings, {}, True)


def test_the_example_of_the_documentation_is_true() -> None:
    (task,) = yaml.safe_load(writing.EXAMPLES)
    shown = "".join(f"{line}\n" for line in re.findall(r"^# \| ?(.*)$", writing.EXAMPLES, re.M))
    assert to_lvs_cf(task["vars"]["configuration"], "An example") == shown
