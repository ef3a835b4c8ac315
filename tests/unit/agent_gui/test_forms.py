# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every directive of the table has its field on one page, with its help, and findings beside it."""

from __future__ import annotations

import pytest
from piranha.core.lvs_cf.api import load
from piranha.core.lvs_cf.explain import directives_of
from piranha.gui import forms
from piranha.gui.config_pages import judged
from piranha.gui.edits import Where, find
from piranha.gui.forms import Filled, Programs

from .fake import TEXT

WEB = Where("virtual", "web")


@pytest.mark.parametrize("kind", forms.kinds())
def test_every_directive_is_on_exactly_one_page(kind: str) -> None:
    names = [name for page in forms.layout(kind) for name in forms.page_names(kind, page)]
    assert sorted(names) == sorted(row.name for row in directives_of(kind))
    assert tuple(forms.layout(kind)) == forms.PAGES[kind]


@pytest.mark.parametrize("kind", forms.kinds())
def test_every_field_has_help_and_says_what_it_takes(kind: str) -> None:
    for page in forms.PAGES[kind]:
        for group in forms.form(kind, page, None):
            for field in group.fields:
                assert field.help.endswith(".")
                assert field.takes


def fields(where: Where, page: str, text: str = TEXT, **more: object) -> dict[str, forms.Field]:
    loaded = load(text)
    found = find(loaded.document, where)
    assert found
    told = forms.findings_of(loaded.document, found[0], loaded.findings)
    groups = forms.form(where.inner, page, found[0], findings=told, **more)  # type: ignore[arg-type]
    return {field.name: field for group in groups for field in group.fields}


def test_values_stand_as_they_are_written() -> None:
    shown = fields(WEB, "service")
    assert shown["address"].value == "192.0.2.80/24 eth0:1"
    assert shown["scheduler"].value == ""
    assert shown["scheduler"].options[0].label == "not written (wlc)"
    assert fields(WEB, "monitoring")["send"].value == "GET / HTTP/1.0\\r\\n\\r\\n"


def test_findings_stand_beside_their_field() -> None:
    text = TEXT.replace("deadtime = 6", "deadtime = 1").replace("port = 80", "port = 99999")
    assert [one[0] for one in fields(Where(), "redundancy", text)["deadtime"].findings] == ["error"]
    assert fields(WEB, "service", text)["port"].findings
    assert not fields(WEB, "service", text)["address"].findings


def test_what_was_typed_is_shown_again_with_its_fault() -> None:
    filled = Filled({"port": "<b>"}, {"port": "no port"})
    port = fields(WEB, "service", filled=filled)["port"]
    assert (port.value, port.findings) == ("<b>", (("error", "no port"),))


def test_programs_are_chosen_and_never_typed() -> None:
    none = fields(WEB, "monitoring")
    assert none["send_program"].widget == "fixed"
    assert none["check_ca_file"].widget == "fixed"
    some = fields(WEB, "monitoring", programs=Programs(("/etc/piranha/scripts/x",), "/scripts"))
    values = [option.value for option in some["send_program"].options]
    assert values == ["", "/etc/piranha/scripts/x %h %p", "/etc/piranha/scripts/x"]
    assert fields(Where(), "settings")["serial_no"].widget == "fixed"


def test_a_program_that_was_not_offered_is_refused_and_the_present_one_stays() -> None:
    text = TEXT.replace("port = 80", 'port = 80\n    send_program = "/opt/check %h"')
    found = find(load(text).document, WEB)
    assert found
    programs = Programs(("/scripts/x",), "/scripts")
    for value, refused in (
        ("/opt/check %h", False),
        ("", False),
        ("/scripts/x %h %p", False),
        ("/bin/sh -c x", True),
        ("/scripts/x; rm", True),
        ("/scripts/../bin/sh", True),
    ):
        told = forms.guard("virtual", [("send_program", value)], found[0], programs)
        assert bool(told) == refused, value


def test_while_typing_all_of_it_is_judged_by_field() -> None:
    told = judged(TEXT, WEB, (("port", "none"), ("scheduler", "rr"), ("fwmark", "x")))
    assert set(told) == {"port", "fwmark"}
    told = judged(TEXT, Where(), (("keepalive", "30"),))
    assert told["deadtime"][0][0] == "error"
    assert judged(TEXT, WEB, (("port", "8080"),)) == {}
    assert judged(TEXT, Where("virtual", "gone"), (("port", "x"),)) != {}
