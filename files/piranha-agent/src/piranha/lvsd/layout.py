# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a configuration to what lvsd works with: virtual services, real servers, their checks.

Pure. Inactive blocks are left out here, defaults that depend on each other are settled here, and
nothing later looks at directives again. What is wrong raises LayoutError; half a layout never
leaves this file, since it would take services out of the kernel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address
from typing import NamedTuple, TypeVar

from piranha.core.ipvs.errors import IpvsError
from piranha.core.ipvs.model import (
    Forward,
    Server,
    ServerKey,
    Service,
    ServiceKey,
    Table,
)
from piranha.core.ipvs.normal import endpoint
from piranha.core.lvs_cf.config import Config, Section, Virtual, service_ports
from piranha.core.lvs_cf.config import Server as ServerBlock
from piranha.core.lvs_cf.marks import AUTO
from piranha.core.lvs_cf.values import is_address
from piranha.load.question import Question, Wish, question
from piranha.marks.rules import NOTHING, Rules, marked
from piranha.nanny.settings import check_settings, for_server
from piranha.nanny.spec import CheckSettings, Through, Watch, watch_for, watch_through
from piranha.nanny.verdict import Policy


class LayoutError(Exception):
    """The configuration cannot be put into the kernel; each of `sentences` says one reason."""

    def __init__(self, sentences: list[str]) -> None:
        """`sentences`: at least one."""
        super().__init__("; ".join(sentences))
        self.sentences = sentences


class ServerId(NamedTuple):
    """One real server of one virtual service, by what the kernel knows them by.

    A name may change and a block may move; health stays with this.
    """

    service: ServiceKey
    server: ServerKey


@dataclass(frozen=True)
class Tunnel:
    """How packets are wrapped for the servers of a service that forwards by tunnel."""

    type: str = "ipip"
    port: int = 0
    checksum: str = "nocsum"


@dataclass(frozen=True, slots=True)
class RealServer:
    """An active server block. `weight` is the configured one; `watch` is how it is checked.

    `upper` and `lower`: connections at which the kernel stops and begins again to give it new ones.
    `load`: how it is asked for its load.
    """

    id: ServerId
    name: str
    weight: int
    watch: Watch
    upper: int = 0
    lower: int = 0
    load: Question | None = None

    def __hash__(self) -> int:
        return hash(self.id)

    def __str__(self) -> str:
        key = self.id.server
        return str(key) if key.port else key.address  # else packets keep the port they have


@dataclass(frozen=True)
class VirtualService:
    """An active virtual block. sorry: the server of last resort.

    quorum, fail_open: see pool.py. slow_start: seconds, see ramp.py.
    marks: the rules by which packets get its firewall mark, where making them is ours.
    """

    name: str
    service: Service
    forward: Forward
    policy: Policy
    quiesce: bool
    sorry: ServerKey | None
    servers: tuple[RealServer, ...]
    tunnel: Tunnel = Tunnel()
    quorum: int = 1
    fail_open: bool = False
    slow_start: float = 0.0
    marks: Rules = NOTHING

    @property
    def key(self) -> ServiceKey:
        """By what the kernel knows it."""
        return self.service.key

    def check(self) -> None:
        """Raise IpvsError where the kernel cannot hold this service with all of its servers."""
        entries = {server.id.server: self.entry(server.id.server, 1) for server in self.servers}
        if self.sorry is not None:
            entries.setdefault(self.sorry, self.entry(self.sorry, 1))
        Table([(self.service, entries.values())])

    def entry(self, key: ServerKey, weight: int) -> Server:
        """Give one of its servers, or the sorry server, as it is in the kernel's table."""
        known = self._entries.get(key)
        if known is None:
            known = self._entries[key] = self._entry(key, weight)
        elif known.weight != weight:
            # Only the weight is new: what takes time in making one is to see that all is in order.
            known = self._entries[key] = known._replace(weight=weight)
        return known

    @cached_property
    def _entries(self) -> dict[ServerKey, Server]:
        """As each of the servers was in the table last."""
        return {}

    def _entry(self, key: ServerKey, weight: int) -> Server:
        upper, lower = self._thresholds.get(key, (0, 0))
        return Server(
            key,
            weight,
            self.forward,
            upper=upper,
            lower=lower,
            tunnel=self.tunnel.type,
            tunnel_port=self.tunnel.port,
            tunnel_checksum=self.tunnel.checksum,
        )

    @cached_property
    def _thresholds(self) -> dict[ServerKey, tuple[int, int]]:
        bounds = ((one.id.server, (one.upper, one.lower)) for one in self.servers)
        return {server: bound for server, bound in bounds if any(bound)}

    def __str__(self) -> str:
        key = self.key
        if key.fwmark:
            return f"{self.name} (mark {key.fwmark})"
        return f"{self.name} ({endpoint(key.address, key.port)}/{key.protocol})"


@dataclass(frozen=True)
class Layout:
    """All that is active, in the order of the file."""

    virtual: tuple[VirtualService, ...] = ()
    digest: str = ""
    """Of the configuration that this was made from."""
    floating: frozenset[str] = frozenset()
    """Addresses that move between the routers."""

    @cached_property
    def keys(self) -> tuple[ServiceKey, ...]:
        """Of all virtual services, in the order of the file."""
        return tuple(virtual.key for virtual in self.virtual)

    def servers(self) -> Iterator[tuple[VirtualService, RealServer]]:
        """Every real server with its virtual service."""
        for virtual in self.virtual:
            for server in virtual.servers:
                yield virtual, server

    def marks(self) -> Rules:
        """All rules by which packets get the firewall marks of these services."""
        return NOTHING.union(*(virtual.marks for virtual in self.virtual))


def host_names(config: Config) -> tuple[str, ...]:
    """Give the names that stand where the kernel needs addresses, to be resolved by the caller."""
    return tuple(dict.fromkeys(name for block in _active(config) for name in block_names(block)))


def block_names(block: Virtual) -> list[str]:
    """Give those of one block."""
    settings = block.settings
    written = [_virtual_address(block), settings.text("sorry_server")]
    written += [settings.text("check_address")]
    for server in _active_servers(block):
        written += [server.settings.text("address"), server.settings.text("check_address")]
    return [name for name in written if name and not is_address(name)]


_AROUND = ("service", "network", "rsh_command")
"""Directives outside of blocks that say something about every block."""


class Laid:
    """Blocks that were laid out before, so that one that is the same object costs nothing.

    Blocks must not be changed once they are in a layout (see lvs_cf/pieces.py).
    """

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._around: object = None
        self._known: dict[int, tuple[Virtual, list[VirtualService]]] = {}
        self._names: dict[int, tuple[Virtual, list[str]]] = {}

    def names(self, config: Config) -> tuple[str, ...]:
        """Give what `host_names` gives."""
        blocks = [(id(block), block) for block in _active(config)]
        before = self._names
        self._names = {key: before.get(key) or (block, block_names(block)) for key, block in blocks}
        return tuple(dict.fromkeys(name for _one, found in self._names.values() for name in found))

    def virtuals(self, config: Config, maker: _Maker) -> list[VirtualService]:
        """Give the virtual services of all active blocks."""
        around = ([config.globals[key] for key in _AROUND], dict(maker.addresses))
        before = self._known if around == self._around else {}
        after = {}
        made: list[VirtualService] = []
        for block in _active(config):
            known = before.get(id(block))
            if known is None:
                problems = len(maker.problems)
                known = (block, maker.virtual(block))
                if len(maker.problems) > problems:
                    continue
            after[id(block)] = known
            made += known[1]
        self._around, self._known = around, after
        return made


def layout(
    config: Config, addresses: Mapping[str, str] | None = None, laid: Laid | None = None
) -> Layout:
    """Lay out what is active in `config`; LayoutError tells everything that stands against it.

    addresses: what the names of `host_names` resolve to; a server with a name that is not among
    them is left out, and a virtual service too. laid: what was laid out before.
    """
    maker = _Maker(addresses or {}, _set(config.globals.text("rsh_command")))
    made = (laid or Laid()).virtuals(config, maker)
    seen: set[ServiceKey] = set()
    for virtual in made:
        if virtual.key in seen:
            maker.problems.append(f"virtual {virtual}: an earlier block has the same service")
        seen.add(virtual.key)
    if maker.problems:
        raise LayoutError(maker.problems)
    return Layout(tuple(made), floating=maker.floating(config))


def _active(config: Config) -> list[Virtual]:
    if config.globals.text("service") != "lvs":
        return []
    return [virtual for virtual in config.virtual if virtual.settings.flag("active")]


def _active_servers(virtual: Virtual) -> list[ServerBlock]:
    return [server for server in virtual.servers if server.settings.flag("active")]


def _virtual_address(virtual: Virtual) -> str | None:
    written = virtual.settings.address("address")
    return written.address if written else None


class _Unresolved(Exception):
    """A name has no address yet; whatever needs it is left out until it has."""


class _Maker:
    """Makes virtual services and gathers what is wrong with them."""

    def __init__(self, addresses: Mapping[str, str], rsh: str) -> None:
        self.addresses = addresses
        self.rsh = rsh
        self.problems: list[str] = []

    def floating(self, config: Config) -> frozenset[str]:
        """Give the addresses that move between the routers, in their one form."""
        gateway = config.globals.address("nat_router")
        written = [_virtual_address(block) for block in _active(config)]
        written.append(gateway.address if gateway else None)
        found = (self.addresses.get(one, one) for one in written if one is not None)
        return frozenset(str(ip_address(one)) for one in found if is_address(one))

    def virtual(self, block: Virtual) -> list[VirtualService]:
        """Make the service of a block, or with `ports` one for each of them."""
        try:
            made = [self._virtual(block, key) for key in self._keys(block)]
        except IpvsError as error:
            self.problems.append(f"virtual {block.name}: {error}".removesuffix("."))
            return []
        except _Unresolved:
            return []
        return made

    def _virtual(self, block: Virtual, key: ServiceKey) -> VirtualService:
        settings = block.settings
        forward = Forward(_set(settings.text("forward")))
        persistence = settings.number("persistent") or 0
        service = Service(
            key,
            _set(settings.text("scheduler")),
            persistence=persistence,
            mask=_set(settings.prefix("pmask")) if persistence else "",
            flags=map(str, settings.words("scheduler_flags")),
            engine=settings.text("persistence_engine") or "",
            one_packet=settings.flag("ops"),
        )
        checks = self._checks(block)
        wish = self._wish(block)
        servers: dict[ServerId, RealServer] = {}
        for entry in _active_servers(block):
            try:
                server = self._server(block, entry, key, forward, checks, wish)
            except _Unresolved:
                continue
            if server is None:
                continue
            if server.id in servers:
                self.problems.append(f"virtual {block.name}: real server {server} stands twice")
            servers[server.id] = server
        sorry = self._address(settings.text("sorry_server"))
        virtual = VirtualService(
            name=block.name,
            service=service,
            forward=forward,
            policy=_policy(settings),
            quiesce=settings.flag("quiesce_server"),
            sorry=ServerKey(sorry, key.port) if sorry else None,
            servers=tuple(servers.values()),
            tunnel=_tunnel(settings) if forward is Forward.TUNNEL else Tunnel(),
            quorum=_set(settings.number("quorum")),
            fail_open=settings.flag("fail_open"),
            slow_start=_set(settings.seconds("slow_start")),
            marks=self._marks(block, key),
        )
        virtual.check()
        return virtual

    def _keys(self, block: Virtual) -> list[ServiceKey]:
        settings = block.settings
        place = f"virtual {block.name}"
        address = self._address(_virtual_address(block))
        mark = settings.number("fwmark") or 0
        if mark:
            return [ServiceKey.by_mark(mark, "ipv6" if ":" in (address or "") else "ipv4")]
        if address is None:
            if _virtual_address(block) is None:
                self.problems.append(f"{place}: it has neither an address nor a firewall mark")
            return []
        protocol = _set(settings.text("protocol"))
        ports = service_ports(settings)
        return [ServiceKey.by_address(protocol, address, port) for port in ports]

    def _marks(self, block: Virtual, key: ServiceKey) -> Rules:
        settings = block.settings
        if not key.fwmark or settings.text("marking") != AUTO:
            return NOTHING
        written = _virtual_address(block)
        place = f"virtual {block.name}"
        if written is None:
            self.problems.append(f"{place}: marking = auto needs an address")
        address = self._address(written)
        if address is None:
            return NOTHING
        return marked(key.fwmark, address, _set(settings.text("protocol")), service_ports(settings))

    def _server(
        self,
        virtual: Virtual,
        block: ServerBlock,
        key: ServiceKey,
        forward: Forward,
        checks: CheckSettings,
        wish: Wish | None,
    ) -> RealServer | None:
        settings = block.settings
        address = self._address(settings.text("address"))
        if address is None:
            self.problems.append(f"virtual {virtual.name}: server {block.name}: it has no address")
            return None
        # With several ports each service has its own, which a server without a port follows.
        follows = key.port if key.port else virtual.settings.number("port")
        port = _set(settings.number("port") if settings.given("port") else follows)
        # Only NAT can change a port: with direct routing and tunnels packets keep the service's.
        table_port = port if forward is Forward.NAT else key.port
        if key.fwmark and len(service_ports(virtual.settings)) > 1 and not settings.given("port"):
            table_port = 0  # the packet's own; any other would bring all ports to one
        return RealServer(
            id=ServerId(key, ServerKey(address, table_port)),
            name=block.name,
            weight=_set(settings.number("weight")),
            upper=_set(settings.number("upper_threshold")),
            lower=_set(settings.number("lower_threshold")),
            watch=self._watch(
                virtual,
                for_server(checks, settings, self._address),
                ServerId(key, ServerKey(address, port)),
                forward,
            ),
            load=question(wish, address, settings.number("load_processors")),
        )

    def _watch(
        self, virtual: Virtual, checks: CheckSettings, server: ServerId, forward: Forward
    ) -> Watch:
        if not checks.via_virtual:
            return watch_for(checks, server.server.address, server.server.port)
        target = self._address(_virtual_address(virtual)) or ""
        port = server.service.port or _set(virtual.settings.number("port"))
        tunnel = _tunnel(virtual.settings) if forward is Forward.TUNNEL else Tunnel()
        way = (tunnel.type, tunnel.port, tunnel.checksum)
        through = Through(server.server.address, forward.value, way)
        target = str(ip_address(target)) if target else target
        return watch_through(checks, target, port, through)

    def _wish(self, block: Virtual) -> Wish | None:
        monitor = block.settings.text("load_monitor")
        if monitor is None:
            return None
        interval, limit = (block.settings.seconds(f"load_{key}") for key in ("interval", "timeout"))
        return Wish(monitor, self.rsh, _set(interval), _set(limit))

    def _checks(self, block: Virtual) -> CheckSettings:
        return check_settings(block.settings, self._address)

    def _address(self, written: str | None) -> str | None:
        if written is None or is_address(written):
            return written
        if written not in self.addresses:
            raise _Unresolved
        return self.addresses[written]


_Value = TypeVar("_Value")


def _set(value: _Value | None) -> _Value:
    """Give the value of a directive that has a default, and so always has a value."""
    if value is None:
        raise TypeError("a directive with a default has no value")
    return value


def _tunnel(settings: Section) -> Tunnel:
    return Tunnel(
        _set(settings.text("tunnel_type")),
        settings.number("tunnel_port") or 0,
        _set(settings.text("tunnel_checksum")),
    )


def _policy(settings: Section) -> Policy:
    rise = settings.number("rise")
    # `rise` alone replaces the waiting time; where both are written, both must be met.
    waits = rise is None or settings.given("reentry")
    return Policy(
        rise=rise or 1,
        fall=_set(settings.number("fall")),
        reentry=_set(settings.seconds("reentry")) if waits else 0.0,
        interval=settings.seconds("check_interval") or _set(settings.seconds("timeout")),
    )
