# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab tells other programs, and the files it gives a machine."""

from __future__ import annotations

from pathlib import Path

from tests.lab.piranha_lab import commands, files
from tests.lab.piranha_lab.lab import load_topology
from tests.lab.piranha_lab.machines import power_of

NAT = load_topology("nat")[1]
LVS1, WEB1 = NAT.machine("lvs1"), NAT.machine("web1")
TUNNEL = load_topology("tunnel")[1]
KEYS = files.Keys("private\n", "ssh-ed25519 AAAA lvs1\n", "ssh-ed25519 BBBB piranha-lab\n")


def test_every_name_outside_fits_the_kernel() -> None:
    names = [c.outside for m in NAT.machines for c in m.cards] + [n.bridge for n in NAT.networks]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 15 for name in names)


def test_user_mode_machine_has_a_card_for_each_network() -> None:
    line = commands.uml(LVS1, Path("/state/root"))
    assert "rootflags=/state/root" in line
    assert [word for word in line if word.startswith("vec")] == [
        "vec0:transport=tap,ifname=lvs1-eth0,depth=64,mac=02:00:c6:33:64:0b",
        "vec1:transport=tap,ifname=lvs1-eth1,depth=64,mac=02:00:cb:00:71:0b",
        "vec2:transport=tap,ifname=lvs1-eth2,depth=64,mac=02:00:c0:00:02:0b",
    ]
    # What it keeps at run time goes with the lab, not to ~/.uml.
    assert f"uml_dir={commands.RUN}/uml/" in line
    assert "--kill-child=KILL" in line[: line.index("/usr/bin/linux.uml")]


def test_podman_keeps_everything_in_the_labs_own_folders() -> None:
    line = commands.podman(Path("/state"))
    places = [line[line.index(option) + 1] for option in ("--root", "--runroot", "--tmpdir")]
    assert all(p.startswith(("/state/", f"{commands.RUN}/")) for p in places)
    assert line[:2] == ["env", "CONTAINERS_CONF=/state/containers.conf"]


def test_container_sees_the_modules_of_the_kernel_it_shares() -> None:
    folder = Path("/state/machines/web1")
    line = commands.podman_create(WEB1, folder, modules=True)
    assert line[line.index("--volume") + 1] == "/lib/modules:/usr/lib/modules:ro"
    assert "--volume" not in commands.podman_create(WEB1, folder, modules=False)
    assert line[-3:] == ["--rootfs", "/state/machines/web1/root", "/sbin/init"]


def test_container_is_wired_with_the_names_of_the_topology() -> None:
    assert commands.veth_batch(WEB1) == [
        "link add web1-eth0 type veth peer name eth0 address 02:00:c6:33:64:15 "
        "netns piranha-lab-web1",
        "link set web1-eth0 master br-mgmt up",
        "link add web1-eth2 type veth peer name eth2 address 02:00:c0:00:02:15 "
        "netns piranha-lab-web1",
        "link set web1-eth2 master br-private up",
    ]
    assert "address add 192.0.2.21/24 dev eth2" in commands.address_batch(WEB1)


def test_a_tap_is_never_set_down_to_cut_a_link() -> None:
    card = LVS1.card("private")
    assert commands.link_batch(card, up=False) == ["link set lvs1-eth2 nomaster"]
    assert commands.link_batch(card, up=True) == ["link set lvs1-eth2 master br-private"]


def test_machines_get_addresses_but_no_route_and_no_forwarding() -> None:
    for machine in NAT.machines:
        for own in (True, False):
            got = files.machine_files(NAT, machine, own, KEYS, "0" * 32)
            text = "".join(f.text for f in got.values()) + "".join(commands.address_batch(machine))
            assert "route" not in text
            assert "ip_forward" not in text


def test_a_gateway_is_a_route_of_the_machine_and_forwarding_of_the_controller() -> None:
    routes = ["route add default via 192.0.2.1", "route add default via 2001:db8:2::1"]
    web1 = TUNNEL.machine("web1")
    assert commands.address_batch(web1)[-2:] == routes
    unit = files.network_unit(web1)
    assert unit.endswith("".join(f"ExecStart=ip {route}\n" for route in routes))
    assert unit.index("modprobe ipv6") < unit.index("2001:db8:2::21/64 nodad")
    found = commands.controller_sysctls(TUNNEL.machines, TUNNEL.networks)
    assert found["net/ipv4/ip_forward"] == "1"
    # Answers come from the virtual address by another bridge than that which leads to it.
    assert found["net/ipv4/conf/br-far/rp_filter"] == "0"
    nat = commands.controller_sysctls(NAT.machines, NAT.networks)
    assert "net/ipv4/ip_forward" not in nat
    assert "modprobe" not in files.network_unit(LVS1)


def test_a_machine_with_a_kernel_of_its_own_is_a_container_where_the_host_has_ipvs(
    tmp_path: Path,
) -> None:
    web1 = TUNNEL.machine("web1")
    assert power_of(web1, tmp_path, native=False).engine == "user-mode kernel"
    assert power_of(web1, tmp_path, native=True).engine == "container"
    assert power_of(WEB1, tmp_path, native=False).engine == "container"


def test_pages_tell_real_servers_apart_and_only_those_serve() -> None:
    assert files.machine_files(NAT, WEB1, False, KEYS, "0" * 32)[
        "var/www/html/index.html"].text == "web1\n"
    router = files.machine_files(NAT, LVS1, True, KEYS, "0" * 32)
    assert not [path for path in router if "nginx" in path or "www" in path]


def test_secrets_are_not_for_others() -> None:
    got = files.machine_files(NAT, LVS1, True, KEYS, "0" * 32)
    assert got["etc/ssh/ssh_host_ed25519_key"].mode == 0o600
    assert got["root/.ssh/authorized_keys"].mode == 0o600


def test_network_unit_names_the_cards() -> None:
    unit = files.network_unit(LVS1)
    for number, line in enumerate(("198.51.100.11/24 dev eth0", "203.0.113.11/24 dev eth1",
                                   "192.0.2.11/24 dev eth2")):
        assert f"ExecStart=ip link set vec{number} name eth{number}\n" in unit
        assert f"ExecStart=ip address add {line}\n" in unit


def test_ssh_trusts_only_the_keys_that_the_lab_made() -> None:
    config = files.ssh_config(NAT, Path("/state"))
    assert "StrictHostKeyChecking yes" in config
    assert "Host lvs1 198.51.100.11 203.0.113.11 192.0.2.11\n    HostName 198.51.100.11\n" in config
    known = files.known_hosts(NAT, {m.name: f"ssh-ed25519 {m.name} x\n" for m in NAT.machines})
    assert known.splitlines()[0] == "lvs1,198.51.100.11 ssh-ed25519 lvs1"
    assert len(known.splitlines()) == len(NAT.machines)


def test_unshare_and_no_shell() -> None:
    line = commands.ssh(Path("/c"), LVS1, ["true"], terminal=False)
    assert line[:4] == ["ip", "netns", "exec", commands.NAMESPACE]
    assert line[-3:] == ["lvs1", "--", "true"]
