# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Topology files: what a good one gives and what each mistake is told as."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.lab.piranha_lab.errors import LabError
from tests.lab.piranha_lab.lab import TOPOLOGIES, load_topology
from tests.lab.piranha_lab.topology import Topology, read

GOOD: dict[str, Any] = {
    "networks": {
        "mgmt": {"subnet": "198.51.100.0/24", "device": "eth0"},
        "private": {"subnet": "192.0.2.0/24", "device": "eth2"},
    },
    "machines": {
        "lvs1": {"kind": "router",
                 "addresses": {"private": "192.0.2.11", "mgmt": "198.51.100.11"}},
        "web1": {"kind": "realserver", "addresses": {"mgmt": "198.51.100.21"}},
    },
    "floating": {"gateway": "192.0.2.254"},
}


def with_change(place: str, value: object) -> dict[str, Any]:
    """GOOD with one value replaced, or taken out where value is None."""
    data = copy.deepcopy(GOOD)
    *path, last = place.split(".")
    spot = data
    for key in path:
        spot = spot[key]
    if value is None:
        del spot[last]
    else:
        spot[last] = value
    return data


def test_good_file() -> None:
    topology = read(GOOD, "good.yml")
    lvs1 = topology.machine("lvs1")
    assert [card.network.name for card in lvs1.cards] == ["mgmt", "private"]  # networks' order
    assert str(lvs1.management) == "198.51.100.11"
    assert lvs1.card("private").interfaces == ["192.0.2.11/24"]
    assert lvs1.own_kernel
    assert not topology.machine("web1").own_kernel
    assert lvs1.card("private").mac == "02:00:c0:00:02:0b"
    assert lvs1.card("private").outside == "lvs1-eth2"
    assert str(topology.networks[1].controller) == "192.0.2.1/24"


def test_addresses_of_both_kinds_read_alike() -> None:
    topology = read(with_change("networks.private.subnet6", "2001:db8:2::/64"), "f.yml")
    card = topology.machine("lvs1").card("private")
    assert card.interfaces == ["192.0.2.11/24", "2001:db8:2::11/64 nodad"]


def test_a_machine_may_need_a_kernel_of_its_own_and_a_gateway() -> None:
    data = with_change("machines.web1.kernel", "own")
    data["machines"]["web1"]["gateway"] = "mgmt"
    web1 = read(data, "f.yml").machine("web1")
    assert web1.own_kernel
    assert web1.gateway is not None
    assert web1.gateway.name == "mgmt"


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [
        ("machines.lvs1.kind", "switch",
         "f.yml: machines.lvs1.kind: 'switch' is not known; known: router, realserver, client."),
        ("machines.lvs1.kind", None, "f.yml: machines.lvs1: kind is missing."),
        ("machines.lvs1.addresses.mgmt", None,
         "f.yml: machines.lvs1.addresses: mgmt is missing; it cannot be reached without."),
        ("machines.lvs1.addresses.private", "192.0.3.11", "f.yml: machines.lvs1.addresses.private:"
         " 192.0.3.11 is no host address of 192.0.2.0/24."),
        ("machines.lvs1.addresses.private", "192.0.2.255", "f.yml: machines.lvs1.addresses.private:"
         " 192.0.2.255 is no host address of 192.0.2.0/24."),
        ("machines.lvs1.addresses.private", "192.0.2.1", "f.yml: machines.lvs1.addresses.private:"
         " 192.0.2.1 is already taken by the controller in private."),
        ("machines.lvs1.addresses.private", "192.0.2.254", "f.yml: machines.lvs1.addresses.private:"
         " 192.0.2.254 is already taken by floating.gateway."),
        ("machines.web1.addresses.mgmt", "198.51.100.11", "f.yml: machines.web1.addresses.mgmt:"
         " 198.51.100.11 is already taken by lvs1."),
        ("machines.web1.addresses.mgmt", "here", "f.yml: machines.web1.addresses.mgmt:"
         " 'here' is not an IPv4 address such as 192.0.2.11."),
        ("machines.web1.addresses.mars", "192.0.2.9", "f.yml: machines.web1.addresses.mars:"
         " there is no such network; there are: mgmt, private."),
        ("machines.web1.colour", "red",
         "f.yml: machines.web1.colour: is not known; "
         "known here: kind, addresses, kernel, gateway."),
        ("machines.web1.kernel", "new",
         "f.yml: machines.web1.kernel: 'new' is not known; known: own, shared."),
        ("machines.web1.gateway", "private", "f.yml: machines.web1.gateway:"
         " 'private' is no network that it has an address in."),
        ("networks.private.subnet6", "192.0.2.0/24", "f.yml: networks.private.subnet6:"
         " '192.0.2.0/24' is not an IPv6 network such as 2001:db8:2::/64."),
        ("machines.averylongname", {"kind": "client", "addresses": {"mgmt": "198.51.100.9"}},
         "f.yml: machines.averylongname: 'averylongname' is no name for this; "
         "it must match [a-z][a-z0-9]{0,9}."),
        ("machines.web1", None, None),
        ("machines", {}, "f.yml: machines: there are none; name at least one."),
        ("machines", ["lvs1"], "f.yml: machines: must be a mapping, not the list ['lvs1']."),
        ("networks.private.subnet", "192.0.2.7/24", "f.yml: networks.private.subnet:"
         " '192.0.2.7/24' is not an IPv4 network such as 192.0.2.0/24."),
        ("networks.private.subnet", "198.51.0.0/16", "f.yml: networks.private.subnet:"
         " 198.51.0.0/16 overlaps mgmt's 198.51.100.0/24."),
        ("networks.private.device", "eth0",
         "f.yml: networks.private.device: eth0 is already that of mgmt."),
        ("networks.private.device", "lan", "f.yml: networks.private.device:"
         " 'lan' is no name for this; it must match eth[0-9]."),
        ("networks.mgmt", None,
         "f.yml: networks: mgmt is missing; the controller reaches machines by it."),
    ],
)
def test_each_mistake_is_one_sentence(place: str, value: object, sentence: str | None) -> None:
    if sentence is None:
        assert isinstance(read(with_change(place, value), "f.yml"), Topology)
        return
    with pytest.raises(LabError) as caught:
        read(with_change(place, value), "f.yml")
    assert sentence in str(caught.value).splitlines()


@pytest.mark.parametrize("data", [None, [], "text", 7])
def test_no_topology_at_all(data: object) -> None:
    with pytest.raises(LabError, match=r"^f\.yml: topology: must be a mapping, not "):
        read(data, "f.yml")


def test_several_mistakes_in_one_run() -> None:
    data = with_change("machines.lvs1.kind", "switch")
    data["machines"]["web1"]["addresses"]["mgmt"] = "198.51.101.1"
    with pytest.raises(LabError) as caught:
        read(data, "f.yml")
    assert len(str(caught.value).splitlines()) == 2


def test_unknown_machine_and_network_name_those_there_are() -> None:
    topology = read(GOOD, "f.yml")
    with pytest.raises(LabError, match=r"no machine 'lvs9' in this lab; there are: lvs1, web1\."):
        topology.machine("lvs9")
    with pytest.raises(LabError, match=r"web1 is not in a network 'private'; it is in: mgmt\."):
        topology.machine("web1").card("private")


@pytest.mark.parametrize("path", sorted(TOPOLOGIES.glob("*.yml")), ids=lambda p: p.stem)
def test_every_topology_of_ours_is_good(path: Any) -> None:
    assert load_topology(path.stem)[1].machines


def test_unknown_topology_names_those_there_are() -> None:
    with pytest.raises(LabError, match=r"there is no topology 'mars'; there are: .*nat"):
        load_topology("mars")


def test_no_yaml(tmp_path: Any) -> None:
    (tmp_path / "x.yml").write_text("a: [1\nb: }")
    with pytest.raises(LabError, match=r"^x\.yml: is no YAML: .* line 2"):
        load_topology(str(tmp_path / "x.yml"))
