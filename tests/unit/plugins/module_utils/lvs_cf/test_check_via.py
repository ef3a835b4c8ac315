# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules about checks through the virtual address."""

from __future__ import annotations

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.check_via import HELPER_MARKS

from .test_check_health import found

VIA = "forward = direct\ncheck_via = virtual\n"


@pytest.mark.parametrize(
    "lines",
    [
        VIA,
        VIA + "check = http",
        VIA + "check_port = 8080",
        VIA + "fwmark = 5",
        "forward = tunnel\ncheck_via = virtual",
        "check_via = server",
    ],
)
def test_what_can_be_done_is_quiet(lines: str) -> None:
    assert found(lines) == []


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (
            "check_via = virtual",
            "with NAT no real server has the virtual address, so none can be checked by it; remove"
            " check_via, or set `forward = direct` or `forward = tunnel`",
        ),
        (
            VIA + "check = icmp",
            "the kernel does not send echo requests by way of a real server; use another check, or"
            " remove check_via",
        ),
        (
            VIA + 'check = program\nsend_program = "/bin/true"',
            "a program cannot mark its packets, so it would reach any real server; use another"
            " check, or remove check_via",
        ),
        (
            VIA + 'send_program = "/bin/true"',
            "a program cannot mark its packets, so it would reach any real server; use another"
            " check, or remove check_via",
        ),
        (
            VIA + "check_address = 192.0.2.9",
            "`check_address` names another address than check_via = virtual checks; remove one of"
            " the two",
        ),
    ],
)
def test_what_cannot(lines: str, sentence: str) -> None:
    assert found(lines) == [("E321", sentence)]


def test_an_address_to_check_in_a_server() -> None:
    codes = [code for code, _unused in found(VIA, "check_address = 192.0.2.9")]
    assert codes == ["E321"]


def test_every_port() -> None:
    lines = "port = 0\npersistent = 300\n" + VIA
    codes = [code for code, _unused in found(lines)]
    assert "E321" in codes
    assert "E321" not in [code for code, _unused in found(lines + "check_port = 80\n")]


@pytest.mark.parametrize("mark", [HELPER_MARKS[0], HELPER_MARKS[-1]])
def test_marks_that_are_ours(mark: int) -> None:
    ((code, sentence),) = found(f"{VIA}fwmark = {mark}")
    assert code == "E322"
    assert sentence.endswith("(0x51000000 to 0x5100ffff); use another mark")
    assert found(f"fwmark = {mark}") == []  # nobody uses them
