# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables and operations as the ipvsadm lines that people know, and such lines as a table.

Text only: ipvsadm itself is never run here. The form is that of ``ipvsadm -Sn`` (ipvsadm 1.31),
with the thresholds, which that command forgets, added as ``-x`` and ``-y``. Timeouts and sync
daemons, which it does not save either, are lines with ``--set`` and ``--start-daemon``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from .errors import IpvsError
from .model import Forward, Server, ServerKey, Service, ServiceKey, Table
from .normal import HIGHEST_MARK, HOST_MASK, endpoint
from .plan import Kind, Operation
from .settings import (
    SYNC_GROUP,
    SYNC_PORT,
    SYNC_TTL,
    Control,
    Daemon,
    Role,
    SetTimeouts,
    StartDaemon,
    StopDaemon,
    Timeouts,
    Zero,
)

_BY_PROTOCOL = {"tcp": "-t", "udp": "-u", "sctp": "--sctp-service"}
_METHOD = {Forward.NAT: "-m", Forward.DIRECT: "-g", Forward.TUNNEL: "-i"}
_COMMAND = {
    Kind.ADD_SERVICE: "-A",
    Kind.EDIT_SERVICE: "-E",
    Kind.DELETE_SERVICE: "-D",
    Kind.ADD_SERVER: "-a",
    Kind.EDIT_SERVER: "-e",
    Kind.DELETE_SERVER: "-d",
}
_DEFAULT_PERSISTENCE = 360  # seconds; ipvsadm's for a bare -p


def table_lines(table: Table) -> list[str]:
    """The table as lines for ``ipvsadm -R``, sorted by service and server."""
    lines = []
    for key in sorted(table):
        service, servers = table[key]
        lines.append(f"-A {_service(service)}")
        lines += [f"-a {_key(key)} {_server(servers[name])}" for name in sorted(servers)]
    return lines


def operation_lines(operations: Iterable[Operation], program: str = "ipvsadm") -> list[str]:
    """The operations as commands, in their order."""
    start = f"{program} " if program else ""
    return [f"{start}{_COMMAND[operation.kind]} {_words(operation)}" for operation in operations]


def control_lines(controls: Iterable[Control], program: str = "ipvsadm") -> list[str]:
    """Commands that are no operation on one entry, in their order."""
    start = [program] if program else []
    return [" ".join([*start, *control_words(control)]) for control in controls]


def control_words(control: Control) -> list[str]:
    """What ipvsadm is told for one such command."""
    if isinstance(control, SetTimeouts):
        return ["--set", *map(str, control.timeouts)]
    if isinstance(control, StartDaemon):
        return _daemon(control.daemon)
    if isinstance(control, StopDaemon):
        return ["--stop-daemon", str(control.role)]
    if isinstance(control, Zero):
        return ["-Z"] if control.service is None else ["-Z", *_key(control.service).split()]
    return ["-C"]


def _daemon(daemon: Daemon) -> list[str]:
    words = ["--start-daemon", str(daemon.role), "--mcast-interface", daemon.interface]
    words += ["--syncid", str(daemon.syncid)]
    if daemon.maxlen:
        words += ["--sync-maxlen", str(daemon.maxlen)]
    if daemon.group != SYNC_GROUP:
        words += ["--mcast-group", daemon.group]
    if daemon.port != SYNC_PORT:
        words += ["--mcast-port", str(daemon.port)]
    if daemon.ttl != SYNC_TTL:
        words += ["--mcast-ttl", str(daemon.ttl)]
    return words


def _words(operation: Operation) -> str:
    subject = operation.subject
    if isinstance(subject, Service):
        gone = operation.kind is Kind.DELETE_SERVICE
        return _key(operation.service) if gone else _service(subject)
    server = f"-r {subject.key}" if operation.kind is Kind.DELETE_SERVER else _server(subject)
    return f"{_key(operation.service)} {server}"


def _key(key: ServiceKey) -> str:
    if key.fwmark:
        return f"-f {key.fwmark}" + (" -6" if key.family == "ipv6" else "")
    # ipvsadm has no option for other protocols; the number tells at least which one it is.
    option = _BY_PROTOCOL.get(key.protocol, f"--protocol-{key.protocol}")
    return f"{option} {endpoint(key.address, key.port)}"


def _service(service: Service) -> str:
    words = [_key(service.key), "-s", service.scheduler]
    if service.persistence:
        words += ["-p", str(service.persistence)]
        if service.mask != HOST_MASK[service.key.family]:
            words += ["-M", service.mask]
    if service.engine:
        words += ["--pe", service.engine]
    if service.one_packet:
        words.append("-o")
    if service.flags:
        words += ["-b", ",".join(service.flags)]
    return " ".join(words)


def _server(server: Server) -> str:
    # The kernel's two methods that ipvsadm cannot set are told by their names.
    words = ["-r", str(server.key), _METHOD.get(server.forward, f"--{server.forward}")]
    words += ["-w", str(server.weight)]
    if server.upper:
        words += ["-x", str(server.upper), "-y", str(server.lower)]
    if server.forward is Forward.TUNNEL:
        words += ["--tun-type", server.tunnel]
        if server.tunnel == "gue":
            words += ["--tun-port", str(server.tunnel_port)]
        if server.tunnel != "ipip":
            words.append(f"--tun-{server.tunnel_checksum}")
    return " ".join(words)


# Reading


class _Option(NamedTuple):
    """What an option sets: a name, and its value; None where the next word is the value."""

    name: str
    value: str | None = None


_OPTIONS = {
    **dict.fromkeys(("-A", "--add-service"), _Option("command", "service")),
    **dict.fromkeys(("-a", "--add-server"), _Option("command", "server")),
    **dict.fromkeys(("-t", "--tcp-service"), _Option("tcp")),
    **dict.fromkeys(("-u", "--udp-service"), _Option("udp")),
    "--sctp-service": _Option("sctp"),
    **dict.fromkeys(("-f", "--fwmark-service"), _Option("fwmark")),
    **dict.fromkeys(("-6", "--ipv6"), _Option("family", "ipv6")),
    **dict.fromkeys(("-s", "--scheduler"), _Option("scheduler")),
    **dict.fromkeys(("-b", "--sched-flags"), _Option("flags")),
    **dict.fromkeys(("-p", "--persistent"), _Option("persistence")),
    **dict.fromkeys(("-M", "--netmask"), _Option("mask")),
    "--pe": _Option("engine"),
    **dict.fromkeys(("-o", "--ops"), _Option("one_packet", "yes")),
    **dict.fromkeys(("-r", "--real-server"), _Option("server")),
    **dict.fromkeys(("-m", "--masquerading"), _Option("forward", "nat")),
    **dict.fromkeys(("-g", "--gatewaying"), _Option("forward", "direct")),
    **dict.fromkeys(("-i", "--ipip"), _Option("forward", "tunnel")),
    **dict.fromkeys(("-w", "--weight"), _Option("weight")),
    **dict.fromkeys(("-x", "--u-threshold"), _Option("upper")),
    **dict.fromkeys(("-y", "--l-threshold"), _Option("lower")),
    "--tun-type": _Option("tunnel"),
    "--tun-port": _Option("tunnel_port"),
    "--tun-nocsum": _Option("tunnel_checksum", "nocsum"),
    "--tun-csum": _Option("tunnel_checksum", "csum"),
    "--tun-remcsum": _Option("tunnel_checksum", "remcsum"),
    "--set": _Option("timeouts"),
    "--start-daemon": _Option("daemon"),
    "--mcast-interface": _Option("interface"),
    "--syncid": _Option("syncid"),
    "--sync-maxlen": _Option("maxlen"),
    "--mcast-group": _Option("group"),
    "--mcast-port": _Option("mcast_port"),
    "--mcast-ttl": _Option("ttl"),
}
_MAY_STAND_ALONE = {"persistence": str(_DEFAULT_PERSISTENCE)}
_NUMBERS = (
    *("persistence", "fwmark", "weight", "upper", "lower", "tunnel_port"),
    *("syncid", "maxlen", "port", "ttl"),
)
_OF_DAEMON = ("syncid", "maxlen", "group", "port", "ttl")
_OF_SERVICE = ("scheduler", "persistence", "mask", "engine")
_OF_SERVER = ("weight", "forward", "upper", "lower", "tunnel", "tunnel_port", "tunnel_checksum")


class Saved(NamedTuple):
    """What lines for ipvsadm set: a table, timeouts (0 where nothing is said) and sync daemons."""

    table: Table
    timeouts: Timeouts
    daemons: tuple[Daemon, ...]


def parse(text: str) -> Table:
    """Read what ``ipvsadm -Sn`` prints. IpvsError names the first line that cannot be read."""
    return parse_all(text).table


def parse_all(text: str) -> Saved:
    """As :func:`parse`; the lines may be with or without ``ipvsadm`` and set all that we write."""
    services: dict[ServiceKey, tuple[Service, list[Server]]] = {}
    timeouts = Timeouts()
    daemons: dict[Role, Daemon] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        place = f"line {number}"
        found = dict(_found(place, words))
        try:
            if "timeouts" in found:
                timeouts = _parsed_timeouts(place, found["timeouts"]).over(timeouts)
            elif "daemon" in found:
                daemon = _parsed_daemon(place, found)
                if daemon.role in daemons:
                    raise IpvsError(place, f"{daemon} is there twice", "remove one")
                daemons[daemon.role] = daemon
            else:
                _take(place, found, services)
        except IpvsError as error:
            if error.place == place:
                raise
            raise IpvsError(f"{place}, {error.place}", error.reason, error.remedy) from None
    return Saved(Table(services.values()), timeouts, tuple(sorted(daemons.values())))


def _take(
    place: str, found: dict[str, str], services: dict[ServiceKey, tuple[Service, list[Server]]]
) -> None:
    """Add the service or the server of one line."""
    key = _parsed_key(place, found)
    if found.get("command") == "service":
        if key in services:
            raise IpvsError(place, f"virtual service {key} is there twice", "remove one")
        services[key] = _parsed_service(key, found), []
    elif found.get("command") == "server":
        if key not in services:
            raise IpvsError(place, f"virtual service {key} is not there", "add it before")
        services[key][1].append(_parsed_server(place, found))
    else:
        raise IpvsError(place, "it adds neither a service nor a server", "use -A or -a")


def _found(place: str, words: list[str]) -> Iterator[tuple[str, str]]:
    rest = words[1:] if words[0] == "ipvsadm" else words
    while rest:
        word, *rest = rest
        option = _OPTIONS.get(word)
        if option is None:
            raise IpvsError(place, f"unknown option {word!r}", "use what 'ipvsadm -Sn' prints")
        value = option.value
        if option.name == "timeouts":
            value, rest = " ".join(rest[:3]), rest[3:]
        if value is None:
            if rest and (not rest[0].startswith("-") or option.name == "fwmark"):
                value, *rest = rest
            elif option.name in _MAY_STAND_ALONE:
                value = _MAY_STAND_ALONE[option.name]
            else:
                raise IpvsError(place, f"option {word} has no value", "write one after it")
        yield option.name, value


def _number(place: str, what: str, text: str) -> int:
    if not text.isdecimal():
        raise IpvsError(place, f"{what} {text!r} is not a whole number")
    return int(text)


def _split(place: str, text: str) -> tuple[str, int]:
    """Address and port of ``192.0.2.1:80`` or ``[2001:db8::1]:80``; no port reads as 0."""
    address, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        address, port = text, "0"
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    return address, _number(place, "port", port)


def _parsed_key(place: str, found: dict[str, str]) -> ServiceKey:
    if "fwmark" in found:
        text = found["fwmark"]
        mark = _number(place, "firewall mark", text[1:] if text.startswith("-") else text)
        if text.startswith("-"):  # ipvsadm prints marks as signed numbers: -1 is 4294967295
            mark = HIGHEST_MARK + 1 - mark
        return ServiceKey.by_mark(mark, found.get("family", "ipv4"))
    for protocol in _BY_PROTOCOL:
        if protocol in found:
            return ServiceKey.by_address(protocol, *_split(place, found[protocol]))
    raise IpvsError(place, "it names no virtual service", "use -t, -u, --sctp-service or -f")


def _parsed_service(key: ServiceKey, found: dict[str, str]) -> Service:
    given = _values(f"virtual service {key}", found, _OF_SERVICE)
    return Service(
        key,
        flags=[flag for flag in found.get("flags", "").split(",") if flag],
        one_packet="one_packet" in found,
        **given,
    )


def _parsed_server(place: str, found: dict[str, str]) -> Server:
    if "server" not in found:
        raise IpvsError(place, "it names no real server", "use -r")
    key = ServerKey(*_split(place, found["server"]))
    given = {"forward": "direct", **_values(f"real server {key}", found, _OF_SERVER)}
    return Server(key, **given)


def _parsed_timeouts(place: str, text: str) -> Timeouts:
    values = [_number(place, "timeout", word) for word in text.split()]
    if len(values) != len(Timeouts._fields):
        raise IpvsError(place, "--set has not three times", "write seconds for tcp, tcpfin and udp")
    return Timeouts(*values)


def _parsed_daemon(place: str, found: dict[str, str]) -> Daemon:
    if "interface" not in found:
        raise IpvsError(place, "it names no interface", "use --mcast-interface")
    if "mcast_port" in found:
        found = {**found, "port": found["mcast_port"]}
    role = found["daemon"]
    given = _values(f"sync daemon {role}", found, _OF_DAEMON)
    return Daemon(role, found["interface"], **given)


def _values(place: str, found: dict[str, str], names: Iterable[str]) -> dict[str, Any]:
    return {
        name: _number(place, name, found[name]) if name in _NUMBERS else found[name]
        for name in names
        if name in found
    }
