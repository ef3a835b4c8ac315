# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells the kernel of a real server what its cluster needs: addresses, tunnels, routes.

Units run it at boot, and the role piranha_realserver runs `look` to learn what differs. It has
three parts. `addresses`: kernel parameters that keep virtual addresses silent, then the ends of
tunnels, then the addresses; the other way round when they go. `routes`: the way back of answers
with NAT. `mss`: answers that tell clients how long a segment fits into a tunnel. Only what differs
is touched. What it has done stands in /run/piranha-realserver, so that a changed plan removes what
is no longer in it, and nothing of anybody else's. It runs `ip` and `nft`, and no shell.

    piranha-realserver apply|remove addresses|routes|mss
    piranha-realserver look --wanted JSON ...           as JSON, changes nothing

It decides nothing about the cluster: the plan comes from the filter piranha.lvs.realserver.
"""

from __future__ import annotations

import argparse
import hashlib
import ipaddress
import json
import os
import stat
import subprocess
import sys
import typing as t
from pathlib import Path

PLAN = "/etc/piranha-realserver.json"
RUN = "/run/piranha-realserver"
SYSCTLS = "/proc/sys"
PARTS = ("addresses", "routes", "mss")
TABLE = "539"  # of the policy's route; and the rules' priority, before the table `main` (32766)
UNITS = {
    "addresses": "piranha-realserver.service",
    "routes": "piranha-realserver-routes.service",
    "mss": "piranha-realserver-mss.service",
}
IPV4, IPV6 = 4, 6
NFT_TABLE = ("inet", "piranha_realserver")

Fact = tuple[str, ...]
Plan = t.Mapping[str, t.Any]


class Trouble(Exception):
    """What went wrong, in one sentence for the journal."""


class Item(t.NamedTuple):
    """One thing that the kernel shall have.

    `fact` is in the kernel's state exactly when it has it. `add` and `remove` are argument lists;
    a kernel parameter has neither, it is written.
    """

    fact: Fact
    add: tuple[tuple[str, ...], ...] = ()
    remove: tuple[tuple[str, ...], ...] = ()


class Step(t.NamedTuple):
    """Something to do: run an argument list, or write `value` to a kernel parameter."""

    argv: tuple[str, ...] = ()
    sysctl: str = ""
    value: str = ""

    def __str__(self) -> str:
        return f"{self.sysctl} = {self.value}" if self.sysctl else " ".join(self.argv)


# What the plan means. Pure.


def version(address: str) -> int:
    """Give the version of IP of an address."""
    return ipaddress.ip_address(address).version


def ip(address: str, *words: str) -> tuple[str, ...]:
    """Give the argument list of ip(8) for an address's family."""
    return ("ip", f"-{version(address)}", *words)


def address_items(plan: Plan) -> list[Item]:
    """Give what makes the machine take packets for the virtual addresses, in order."""
    virtual = plan["virtual_addresses"]
    items = []
    if any(version(address) == IPV4 for address in virtual):
        # Answer ARP only for addresses of the interface that was asked; announce none of others.
        # IPv6 needs nothing like it: neighbour discovery never answers for an address of lo.
        items += [
            Item(("sysctl", "net/ipv4/conf/all/arp_ignore", "1")),
            Item(("sysctl", "net/ipv4/conf/all/arp_announce", "2")),
        ]
    items += [Item(("sysctl", name.replace(".", "/"), str(value))) for name, value in
              plan.get("sysctls", {}).items()]
    ends = sorted({tunnel["address"] for tunnel in plan["tunnels"]})
    for tunnel in plan["tunnels"]:
        # Devices are told apart by the addresses at which they end; most machines have one.
        alike = [end for end in ends if version(end) == version(tunnel["address"])]
        number = alike.index(tunnel["address"]) + 1
        for item in tunnel_items(tunnel, "" if number == 1 else str(number)):
            if item not in items:
                items.append(item)
    return items + [virtual_address(address) for address in virtual]


def virtual_address(address: str) -> Item:
    """Give the item of a virtual address on lo, which no connection of our own begins from."""
    form = str(ipaddress.ip_address(address))
    four = version(address) == IPV4
    words = (f"{form}/32" if four else f"{form}/128", "dev", "lo")
    quiet = ("scope", "host") if four else ("preferred_lft", "0")
    return Item(
        ("address", form, "lo"),
        (ip(form, "address", "add", *words, *quiet),),
        (ip(form, "address", "del", *words),),
    )


def tunnel_items(tunnel: t.Mapping[str, t.Any], suffix: str) -> t.Iterator[Item]:
    """Give the devices at which a kind of tunnel ends, for any router at the other end."""
    local = tunnel["address"]
    outer = version(local)
    if tunnel["type"] == "gue":
        # ip(8) asks for fou before it is there, and the kernel does not load it then.
        yield Item(("module", "fou"), (("modprobe", "fou"),))
        port, family = str(tunnel["port"]), f"-{outer}"
        words = ("port", port, *(("-6",) if outer == IPV6 else ()))
        yield Item(
            ("fou", port, family),
            (("ip", "fou", "add", *words, "gue"),),
            (("ip", "fou", "del", *words),),
        )
    if tunnel["type"] == "gre":
        kind = "gre" if outer == IPV4 else "ip6gre"
        checksum = bool(tunnel["checksum"])
        # A device that expects another checksum than packets have drops them.
        name, words = (f"lvs-{kind}c", ("icsum",)) if checksum else (f"lvs-{kind}", ())
        yield from device(name + suffix, kind, tunnel, words)
    elif outer == IPV6:
        yield from device(f"lvs-ip6tnl{suffix}", "ip6tnl", tunnel, ("mode", "any"))
    else:
        for inner in sorted({version(address) for address in tunnel["virtual_addresses"]}):
            kind = "ipip" if inner == IPV4 else "sit"
            yield from device(f"lvs-{kind}{suffix}", kind, tunnel)


def device(
    name: str, kind: str, tunnel: t.Mapping[str, t.Any], words: tuple[str, ...] = ()
) -> t.Iterator[Item]:
    """Give a tunnel device. Its packets come from clients, to whom answers take another way."""
    local = tunnel["address"]
    add = ("ip", "link", "add", "name", name, "type", kind, *words, "local", local)
    yield Item(("link", name, kind, local), (add,), (("ip", "link", "del", name),))
    # Loose: there must be a way back, by whichever interface. 2 wins over 0 and 1 of `all`.
    yield Item(("sysctl", f"net/ipv4/conf/{name}/rp_filter", "2"))
    yield Item(("up", name), (("ip", "link", "set", name, "up"),))
    # A device without any IPv4 address passes no such filter at all. They go with the device.
    for address in tunnel["virtual_addresses"]:
        if version(address) == IPV4 and kind != "sit":
            form = f"{address}/32"
            add = ip(address, "address", "add", form, "dev", name, "scope", "host")
            yield Item(("address", address, name), (add,))


def route_items(plan: Plan) -> list[Item]:
    """Give the way back of answers with NAT: the default route, or one for the services alone."""
    gateway = plan["gateway"]
    if not gateway:
        return []
    via = ("default", "via", gateway)
    if plan["route"] == "default":
        return [
            Item(
                ("default", gateway),
                (ip(gateway, "route", "replace", *via),),
                (ip(gateway, "route", "del", *via),),
            )
        ]
    route = (*via, "table", TABLE)
    items = [
        Item(
            ("route", gateway),
            (ip(gateway, "route", "replace", *route),),
            (ip(gateway, "route", "del", *route),),
        )
    ]
    for service in plan["services"]:
        source, protocol, port = service["address"], service["protocol"], str(service["port"])
        words = ("from", source, "ipproto", protocol, "sport", port)
        rule = ("priority", TABLE, *words, "lookup", TABLE)
        items.append(
            Item(
                ("rule", source, protocol, port),
                (ip(gateway, "rule", "add", *rule),),
                (ip(gateway, "rule", "del", *rule),),
            )
        )
    return items


def overhead(tunnel: t.Mapping[str, t.Any]) -> int:
    """Give the bytes that a router puts before a packet: the outer header, and what is between."""
    checksum = bool(tunnel["checksum"])
    between = {"gre": 8 if checksum else 4, "gue": 8 + 4 + (8 if checksum else 0)}
    return (20 if version(tunnel["address"]) == IPV4 else 40) + between.get(tunnel["type"], 0)


def segment_sizes(plan: Plan) -> dict[str, int]:
    """Give for each virtual address that is reached by a tunnel what a segment may have of data."""
    longest: dict[str, int] = {}
    for tunnel in plan["tunnels"]:
        for address in tunnel["virtual_addresses"]:
            headers = overhead(tunnel) + (40 if version(address) == IPV4 else 60)
            longest[address] = max(longest.get(address, 0), headers)
    return {address: plan["mtu"] - headers for address, headers in sorted(longest.items())}


def mss_items(plan: Plan) -> list[Item]:
    """Give what makes answers tell clients how much fits. nft never makes such a number larger.

    Here and not on the router, whom no answer passes: what is too long for the tunnel is what a
    client sends, and how long that may be is told by the first answer, which goes from here.
    """
    sizes = segment_sizes(plan) if plan.get("mtu") else {}
    if not sizes:
        return []
    mark = hashlib.sha256(json.dumps(sizes, sort_keys=True).encode()).hexdigest()[:12]
    lines = [
        f"{'ip' if version(address) == IPV4 else 'ip6'} saddr {address} tcp flags & (syn | rst) == "
        f'syn tcp option maxseg size set {size} comment "{mark}"'
        for address, size in sizes.items()
    ]
    name = " ".join(NFT_TABLE)
    hook = "type filter hook postrouting priority mangle; policy accept"
    text = f"table {name} {{ chain postrouting {{ {hook}; {'; '.join(lines)}; }}; }}"
    return [
        Item(
            ("clamp", mark, str(len(lines))),
            (("nft", f"add table {name}; delete table {name}; {text}"),),
            (("nft", f"delete table {name}"),),
        )
    ]


def items_of(plan: Plan, part: str) -> list[Item]:
    """Give the items of a part, in the order in which they come; they go the other way round."""
    makers = {"addresses": address_items, "routes": route_items, "mss": mss_items}
    return makers[part](plan)


def steps(
    wanted: t.Sequence[Item],
    before: t.Sequence[Item],
    state: t.AbstractSet[Fact],
    former: t.Mapping[str, str],
) -> list[Step]:
    """Give what leads from the kernel's state to what is wanted.

    before: what we have made, of which only what is not wanted any more goes; former: the values
    that kernel parameters had before us.
    """
    found = []
    keep = {item.fact for item in wanted}
    parameters = {item.fact[1] for item in wanted if item.fact[0] == "sysctl"}
    for item in reversed(before):
        if item.fact in keep or item.fact not in state:
            continue
        if item.fact[0] == "sysctl":
            name = item.fact[1]
            if name in former and name not in parameters and former[name] != item.fact[2]:
                found.append(Step(sysctl=name, value=former[name]))
        else:
            found += [Step(argv) for argv in item.remove]
    for item in wanted:
        if item.fact in state:
            continue
        if item.fact[0] == "sysctl":
            found.append(Step(sysctl=item.fact[1], value=item.fact[2]))
        else:
            found += [Step(argv) for argv in item.add]
    return found


# What the kernel has.


def state_of(read: t.Callable[..., t.Any], items: t.Sequence[Item]) -> set[Fact]:
    """Give the facts that the items ask about. `read` runs ip(8) and gives its JSON."""
    facts: set[Fact] = set()
    for kind in {item.fact[0] for item in items}:
        if kind == "sysctl":
            for item in items:
                if item.fact[0] == kind:
                    facts.add((kind, item.fact[1], sysctl(item.fact[1]) or ""))
        elif kind == "clamp":
            facts |= _clamps()
        elif kind == "module":
            facts |= {item.fact for item in items if Path("/sys/module", item.fact[1]).is_dir()}
        else:
            facts |= READERS[kind](read)
    return facts


def _clamps() -> set[Fact]:
    try:
        rows = json.loads(run(("nft", "-j", "list", "table", *NFT_TABLE)))["nftables"]
    except Trouble:
        return set()  # there is no such table, or no nft
    marks = [row["rule"].get("comment", "") for row in rows if "rule" in row]
    return {("clamp", mark, str(len(marks))) for mark in marks}


def _addresses(read: t.Callable[..., t.Any]) -> set[Fact]:
    return {
        ("address", entry["local"], link["ifname"])
        for link in read("address", "show")
        for entry in link.get("addr_info", [])
        if "local" in entry
    }


def _links(read: t.Callable[..., t.Any]) -> set[Fact]:
    facts: set[Fact] = set()
    for link in read("-details", "link", "show"):
        info = link.get("linkinfo", {})
        local = info.get("info_data", {}).get("local", "")
        facts.add(("link", link.get("ifname", ""), info.get("info_kind", ""), local))
        if "UP" in link.get("flags", []):
            facts.add(("up", link.get("ifname", "")))
    return facts


def _fou(read: t.Callable[..., t.Any]) -> set[Fact]:
    return {
        ("fou", str(entry["port"]), "-6" if entry.get("family") == "inet6" else "-4")
        for entry in read("fou", "show")
        if "port" in entry
    }


def _defaults(read: t.Callable[..., t.Any]) -> set[Fact]:
    routes = read("-4", "route", "show", "default") + read("-6", "route", "show", "default")
    return {("default", route["gateway"]) for route in routes if "gateway" in route}


def _table(read: t.Callable[..., t.Any]) -> set[Fact]:
    facts: set[Fact] = set()
    for family in ("-4", "-6"):
        for route in read(family, "route", "show", "table", TABLE):
            if route.get("dst") == "default" and "gateway" in route:
                facts.add(("route", route["gateway"]))
    return facts


def _rules(read: t.Callable[..., t.Any]) -> set[Fact]:
    return {
        ("rule", rule.get("src", ""), str(rule.get("ipproto", "")), str(rule.get("sport", "")))
        for rule in read("-4", "rule", "show") + read("-6", "rule", "show")
        if str(rule.get("table")) == TABLE and str(rule.get("priority")) == TABLE
    }


READERS: dict[str, t.Callable[..., set[Fact]]] = {
    "address": _addresses,
    "link": _links,
    "up": _links,
    "fou": _fou,
    "default": _defaults,
    "route": _table,
    "rule": _rules,
}


def sysctl(name: str) -> str | None:
    """Give a kernel parameter's value, None where there is none of that name."""
    try:
        return " ".join(Path(SYSCTLS, name).read_text(encoding="utf-8").split())
    except OSError:
        return None


def run(argv: t.Sequence[str]) -> str:
    """Run a program and give its output; Trouble with its complaint where it fails."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise Trouble(f"{' '.join(argv)}: {problem}") from problem
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["without a word"]
        raise Trouble(f"{' '.join(argv)} failed: {'; '.join(said)}")
    return done.stdout


def read_ip(*words: str) -> t.Any:
    """Run ip(8) for its JSON. A table that does not exist yet has nothing in it."""
    try:
        text = run(("ip", "-json", *words)).strip()
    except Trouble:
        # Neither a table nor a family of netlink (fou) exists before it is first used.
        if words[0] == "fou" or "table" in words:
            return []
        raise
    return json.loads(text or "[]")


# What we have done.


def record_path(part: str) -> Path:
    """Give the file that tells what we have made of a part since the boot."""
    return Path(RUN, f"{part}.json")


def read_record(part: str) -> dict[str, t.Any]:
    """Give the plans that we have carried out, and the former values of kernel parameters."""
    try:
        found = json.loads(record_path(part).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"plans": [], "former": {}}
    except (OSError, ValueError) as problem:
        raise Trouble(f"{record_path(part)} cannot be read: {problem}; remove it") from problem
    return t.cast("dict[str, t.Any]", found)


def write_record(part: str, plans: t.Sequence[Plan], former: t.Mapping[str, str]) -> None:
    """Write it beside itself and rename."""
    path = record_path(part)
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    if not plans:
        path.unlink(missing_ok=True)
        return
    new = path.with_name(f".{path.name}.new")
    new.write_text(json.dumps({"plans": list(plans), "former": dict(former)}), encoding="utf-8")
    new.replace(path)


def difference(part: str, wanted: Plan | None) -> tuple[list[Step], dict[str, t.Any]]:
    """Give the steps from what is to what is wanted (None: nothing), and the record."""
    record = read_record(part)
    before = [item for plan in record["plans"] for item in items_of(plan, part)]
    items = items_of(wanted, part) if wanted is not None else []
    state = state_of(read_ip, [*items, *before])
    return steps(items, before, state, record["former"]), record


def carry_out(part: str, wanted: Plan | None) -> list[Step]:
    """Do what differs. An interruption leaves a record of both plans, so that nothing is lost."""
    todo, record = difference(part, wanted)
    former = dict(record["former"])
    for item in items_of(wanted, part) if wanted is not None else []:
        if item.fact[0] == "sysctl" and item.fact[1] not in former:
            value = sysctl(item.fact[1])
            if value is not None:
                former[item.fact[1]] = value
    plans = [] if wanted is None else [wanted]
    write_record(part, [*record["plans"], *plans], former)
    for step in todo:
        if step.sysctl:
            try:
                Path(SYSCTLS, step.sysctl).write_text(step.value, encoding="utf-8")
            except OSError as problem:
                raise Trouble(f"{step.sysctl} = {step.value}: {problem.strerror}") from problem
        else:
            run(step.argv)
    write_record(part, plans, former)
    return todo


# What the role asks.


def file_facts(path: str) -> dict[str, t.Any] | None:
    """Give digest, mode and owner of an ordinary file, as the module router_info does."""
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode):
            return None
        digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return None
    mode = f"{stat.S_IMODE(status.st_mode):04o}"
    return {"sha256": digest, "mode": mode, "uid": status.st_uid, "gid": status.st_gid}


def unit_facts(unit: str) -> dict[str, bool]:
    """Give what systemd knows of a unit."""
    properties = "--property=LoadState,ActiveState,UnitFileState,NeedDaemonReload"
    lines = run(("systemctl", "show", properties, unit)).splitlines()
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return {
        "present": values.get("LoadState", "not-found") != "not-found",
        "active": values.get("ActiveState") in ("active", "activating", "reloading"),
        "enabled": values.get("UnitFileState") == "enabled",
        "stale": values.get("NeedDaemonReload") == "yes",
    }


def look(wanted: Plan | None, files: t.Sequence[str], controller: str) -> dict[str, t.Any]:
    """Give everything that the role decides by."""
    way = read_ip("route", "get", controller, "fibmatch") if controller else []
    return {
        "steps": {part: [str(step) for step in difference(part, wanted)[0]] for part in PARTS},
        "recorded": {part: record_path(part).exists() for part in PARTS},
        "files": {path: file_facts(path) for path in files},
        "units": {part: unit_facts(unit) for part, unit in UNITS.items()},
        "way_back": way[0] if way else {},
    }


def arguments() -> argparse.ArgumentParser:
    """Give the command line."""
    parser = argparse.ArgumentParser(description="What a real server of an LVS cluster needs.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("apply", "remove"):
        command = commands.add_parser(name)
        command.add_argument("part", choices=PARTS)
    command = commands.add_parser("look")
    command.add_argument("--wanted", type=json.loads, help="the plan as JSON, null for none")
    command.add_argument("--controller", default="", help="whose way back is wanted")
    command.add_argument("--file", action="append", default=[], help="whose digest is wanted")
    return parser


def main() -> int:
    """Run the command: 0 done, 1 with a sentence on standard error."""
    options = arguments().parse_args()
    try:
        if options.command == "look":
            json.dump(look(options.wanted, options.file, options.controller), sys.stdout)
            return 0
        wanted = None
        if options.command == "apply":
            wanted = json.loads(Path(PLAN).read_text(encoding="utf-8"))
        for step in carry_out(options.part, wanted):
            sys.stdout.write(f"{step}\n")
    except (Trouble, OSError, ValueError) as problem:
        sys.stderr.write(f"piranha-realserver: {problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
