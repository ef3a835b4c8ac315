# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a heart does beforehand so that a takeover is short, and what happens where it is worth
nothing any more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from piranha.net.addresses import Addresses, Places, VirtualAddress
from piranha.net.rtnetlink import Address, Held, Interface
from piranha.net.watch import Changes
from piranha.pulse import holding, ledger
from piranha.pulse.holding import Holding, Outcome

ONE, TWO = VirtualAddress("192.0.2.100", 32, "eth0"), VirtualAddress("192.0.2.101", 32, "eth0")
MAC = b"\2\0\0\0\0\1"


class Kernel:
    """Addresses of a machine with one interface; notes what it is asked."""

    def __init__(self) -> None:
        self.card = Interface(1, "eth0", MAC, True, True)
        self.there: set[Address] = set()
        self.asked: list[str] = []

    def carriers(self, wanted: Any) -> Any:
        return self

    def without(self) -> list[str]:
        return []

    def update(self, _one: Interface, _there: bool) -> bool:
        return False

    def refresh(self, _carriers: Any) -> bool:
        return False

    def missing(self, wanted: tuple[VirtualAddress, ...]) -> list[VirtualAddress]:
        return [one for one in wanted if one.ip not in self.there]

    def places(self, wanted: tuple[VirtualAddress, ...]) -> Places:
        self.asked.append("places")
        entries = [(one.ip, Held(one.ip, one.prefix, self.card.index)) for one in wanted]
        named = all(one.device for one in wanted)
        return Places(entries, {self.card.index: self.card}, [], named)

    def set(self, places: Places) -> list[str]:
        self.asked.append("set")
        if any(held.index != self.card.index for _address, held in places.entries):
            return ["No such device"]
        self.there |= {address for address, _held in places.entries}
        return []

    def release(self, stale: Any) -> list[str]:
        self.there -= {one.ip for one in stale}
        return []

    def devices(self, wanted: Any) -> list[tuple[Address, Interface]]:
        self.asked.append("devices")
        return [(address, self.card) for address in self.there]


class Announcer:
    """Notes what it is to announce."""

    def __init__(self) -> None:
        self.told: list[list[tuple[Address, Interface]]] = []

    def begin(self, devices: list[tuple[Address, Interface]], _now: float, _only: Any) -> None:
        self.told.append(devices)

    def step(self, _now: float) -> None:
        return None

    def cancel(self) -> None:
        return None


class Watch:
    """Tells what the test says."""

    def __init__(self) -> None:
        self.news = Changes()

    def changes(self) -> Changes:
        told, self.news = self.news, Changes()
        return told

    def fileno(self) -> int:
        return -1


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


@pytest.fixture
def hands(kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Holding]:
    monkeypatch.setattr(holding, "Watch", Watch)
    monkeypatch.setattr(holding, "Announcer", Announcer)
    yield Holding(cast(Addresses, kernel), (ONE,), tmp_path, lambda _level, _text: None)


def announced(hands: Holding) -> list[list[tuple[Address, Interface]]]:
    return cast(Announcer, hands._announcer).told


def noted(folder: Path) -> tuple[bool, tuple[VirtualAddress, ...]]:
    listed = ledger.read_addresses(folder)
    return listed.hold, listed.addresses


def test_who_is_ready_asks_the_kernel_for_nothing_before_it_announces(
    hands: Holding, kernel: Kernel, tmp_path: Path
) -> None:
    hands.make_ready(0.0)
    hands.make_ready(0.1)
    assert kernel.asked == ["places"], "and it looks once only"
    assert noted(tmp_path) == (False, ()), "nothing is said to be held"

    assert hands.acquire(1.0) is Outcome.SET
    hands.announce(1.0)
    assert kernel.asked == ["places", "set"]
    assert announced(hands) == [[(ONE.ip, kernel.card)]]
    assert noted(tmp_path) == (True, (ONE,))

    hands.announce(2.0)
    assert kernel.asked[2:] == ["devices"], "later on it may have changed"


def test_who_is_not_ready_takes_over_as_well(
    hands: Holding, kernel: Kernel, tmp_path: Path
) -> None:
    assert hands.acquire(1.0) is Outcome.SET
    assert kernel.asked == ["places", "set"]
    assert noted(tmp_path) == (True, (ONE,))


def test_an_interface_that_has_changed_is_looked_at_again(hands: Holding, kernel: Kernel) -> None:
    hands.make_ready(0.0)
    kernel.card = Interface(2, "eth0", MAC, True, True)
    cast(Watch, hands._watch).news = Changes(interfaces=[(kernel.card, True)])
    hands.heed(0.5, holding=False)
    assert hands.acquire(1.0) is Outcome.SET
    assert kernel.asked == ["places", "places", "set"]


def test_an_interface_that_has_changed_unheard_costs_a_second_attempt(
    hands: Holding, kernel: Kernel
) -> None:
    hands.make_ready(0.0)
    kernel.card = Interface(2, "eth0", MAC, True, True)
    assert hands.acquire(1.0) is Outcome.SET
    assert kernel.asked == ["places", "set", "places", "set"]
    hands.announce(1.0)
    assert announced(hands) == [[(ONE.ip, kernel.card)]]


def test_a_place_that_follows_from_other_addresses_is_looked_for_when_it_is_needed(
    kernel: Kernel, hands: Holding
) -> None:
    hands.exchange((VirtualAddress("192.0.2.100", 32),), 0.0, holding=False)
    hands.make_ready(0.0)
    hands.make_ready(0.1)
    assert kernel.asked == ["places"]
    hands.acquire(1.0)
    assert kernel.asked == ["places", "places", "set"]


def test_the_note_that_waits_is_that_of_the_addresses_that_are_wanted_now(
    hands: Holding, tmp_path: Path
) -> None:
    hands.make_ready(0.0)
    hands.exchange((ONE, TWO), 1.0, holding=False)
    hands.acquire(2.0)
    assert noted(tmp_path) == (True, (ONE, TWO))
    hands.release()
    assert noted(tmp_path) == (False, (ONE, TWO))
    hands.make_ready(3.0)
    assert noted(tmp_path) == (False, (ONE, TWO)), "it waits beside its place"
    hands.acquire(4.0)
    assert noted(tmp_path) == (True, (ONE, TWO))


def test_a_note_that_somebody_has_removed_is_written(hands: Holding, tmp_path: Path) -> None:
    hands.make_ready(0.0)
    for path in tmp_path.iterdir():
        path.unlink()
    hands.acquire(1.0)
    assert noted(tmp_path) == (True, (ONE,))


def test_a_folder_that_takes_no_file_is_tried_again_seldom(
    hands: Holding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def full(*_unused: object) -> None:
        tries.append(1)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ledger, "prepare_addresses", full)
    for tenth in range(100):
        hands.make_ready(tenth / 10)
    assert len(tries) == 2


def test_nothing_of_it_stays_when_all_is_let_go_of(tmp_path: Path) -> None:
    for group in ("", "web"):
        ledger.write_addresses(tmp_path, [ONE], True, group)
        ledger.prepare_addresses(tmp_path, [ONE], group)
    assert set(ledger.read_all(tmp_path)) == {"", "web"}, "what waits is no group"
    ledger.forget_addresses(tmp_path, "web")
    assert {path.name for path in tmp_path.iterdir()} == {"addresses.json", "addresses.json.next"}
    assert json.loads((tmp_path / "addresses.json.next").read_bytes())["hold"] is True
    ledger.forget(tmp_path)
    assert not list(tmp_path.iterdir())
