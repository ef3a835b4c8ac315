# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which servers are in the table with which weight, for every state and setting."""

from __future__ import annotations

import pytest
from piranha.lvsd.desired import desired, sorry_serves
from piranha.lvsd.pool import Ordered, pool

from .support import GLOBALS, WEB, made, server_id, verdicts

SORRY = WEB.replace("port = 80", "port = 80\n    sorry_server = 192.0.2.99")
QUIESCE = WEB.replace("port = 80", "port = 80\n    quiesce_server = 1")
DRAINED = WEB.replace("weight = 3", "weight = 0")
SORRY_TWO = WEB.replace("port = 80", "port = 80\n    sorry_server = 192.0.2.22")
EMPTY = WEB[: WEB.index("    server one")] + "}\n"


def weights(text: str, states: str, overrides: dict[str, int] | None = None) -> dict[str, int]:
    """The last number of each server's address, and its weight."""
    laid = made(GLOBALS + text)
    wanted = {
        server.id: Ordered(overrides[server.name])
        for _unused, server in laid.servers()
        if overrides and server.name in overrides
    }
    table = desired(laid, verdicts(laid, states), wanted)
    assert set(table) == {virtual.key for virtual in laid.virtual}
    return {
        key.address.rpartition(".")[2]: server.weight
        for key, server in table.servers(laid.virtual[0].key).items()
    }


@pytest.mark.parametrize(
    ("text", "states", "wanted"),
    [
        (WEB, "UU", {"21": 1, "22": 3}),
        (WEB, "UD", {"21": 1}),
        (WEB, "US", {"21": 1}),
        (WEB, "DD", {}),
        (WEB, "SS", {}),
        (QUIESCE, "UD", {"21": 1, "22": 0}),
        (QUIESCE, "US", {"21": 1}),
        (QUIESCE, "DD", {"21": 0, "22": 0}),
        (DRAINED, "UU", {"21": 1, "22": 0}),
        (DRAINED, "UD", {"21": 1}),
        (SORRY, "UD", {"21": 1}),
        (SORRY, "DD", {"99": 1}),
        (SORRY, "SS", {"99": 1}),
        # The sorry server also serves where the only server up is drained.
        (SORRY.replace("weight = 3", "weight = 0"), "DU", {"22": 0, "99": 1}),
        # A real server may be its own last resort.
        (SORRY_TWO.replace("weight = 3", "weight = 0"), "DU", {"22": 1}),
        (SORRY_TWO, "DD", {"22": 1}),
        (EMPTY, "", {}),
    ],
)
def test_table(text: str, states: str, wanted: dict[str, int]) -> None:
    assert weights(text, states) == wanted


@pytest.mark.parametrize(
    ("states", "overrides", "wanted"),
    [
        ("UU", {"one": 0}, {"21": 0, "22": 3}),
        ("UU", {"two": 9}, {"21": 1, "22": 9}),
        ("DU", {"one": 5}, {"22": 3}),
    ],
)
def test_overrides(states: str, overrides: dict[str, int], wanted: dict[str, int]) -> None:
    assert weights(WEB, states, overrides) == wanted


def test_forwarding_follows_the_service() -> None:
    laid = made(GLOBALS.replace("network = nat", "network = direct") + WEB)
    table = desired(laid, verdicts(laid, "UU"))
    entry = table.servers(laid.virtual[0].key)[server_id(laid).server]
    assert str(entry.forward) == "direct"


def test_counts() -> None:
    laid = made(GLOBALS + SORRY)
    (virtual,) = laid.virtual
    assert pool(virtual, verdicts(laid, "UU")).in_service == 2
    assert not sorry_serves(virtual, pool(virtual, verdicts(laid, "UD")))
    assert sorry_serves(virtual, pool(virtual, verdicts(laid, "DD")))
