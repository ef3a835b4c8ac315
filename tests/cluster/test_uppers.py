# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual addresses on bonds, bridges and VLANs, of which the cable below is cut. Hearts alone.

Needs a kernel that has these, as the one of tests/lab/in-ipvs-kernel.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.heart_lab import PUBLIC, Heart, Net, config, ip, pause, settle
from tests.cluster.test_links import AT_ONCE, start

Three = tuple[Net, Heart, Heart]
UPPER = {
    "bridge": ["link add top type bridge", "link set eth0 master top"],
    "vlan": ["link add link eth0 name top type vlan id 7"],
    "bond": [
        "link add top type bond mode active-backup miimon 20",
        "link set eth0 down",
        "link set eth0 master top",
        "link set eth0 up",
    ],
}
UPPER["bond of two"] = [
    "link add other type veth peer name far",
    "link set far up",
    *UPPER["bond"],
    "link set other master top",
    "link set other up",
]


@pytest.fixture
def upper(net: Net, request: pytest.FixtureRequest) -> Iterator[Net]:
    """The network with an interface `top` upon eth0 of the primary, for virtual addresses."""
    name = net.routers[0]
    own = f"{PUBLIC[0]}/24"
    if request.param != "vlan":
        ip("-n", name, "address", "del", own, "dev", "eth0")
    ip("-n", name, "-batch", "-", text="\n".join([*UPPER[request.param], "link set top up"]))
    if request.param != "vlan":
        ip("-n", name, "address", "add", own, "dev", "top")
    yield net
    ip("-n", name, "link", "del", "top")
    if "other" in "".join(UPPER[request.param]):
        ip("-n", name, "link", "del", "other")
    ip("-n", name, "link", "set", "eth0", "up")
    if request.param != "vlan":
        ip("-n", name, "address", "add", own, "dev", "eth0")


@pytest.mark.parametrize("upper", list(UPPER), indirect=True)
def test_interfaces_upon_others_lose_their_link_with_them(
    upper: Net, three: Three, request: pytest.FixtureRequest
) -> None:
    net, primary, backup = three
    device = "primary=top:1,backup=eth0:1"
    start(primary, backup, config(monitor_links=1).replace("eth0:1", device))
    net.cut(0, paths="a")
    if "bond of two" in request.node.name:
        pause(1.0, primary, backup)
        assert primary.is_("active"), "it has another member"
        ip("-n", net.routers[0], "link", "set", "far", "down")
    backup.until(lambda: backup.is_("active"), AT_ONCE)
    assert primary.holds() == set()
    primary.until(lambda: any("top has no link" in text for text in primary.state["problems"]))
    net.cut(0, up=True, paths="a")
    settle(backup, primary)
