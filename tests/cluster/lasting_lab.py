# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many connections live through the loss of the active router, by their age. Judges nothing.

Two agents with the sync daemon, as the role sets the kernel, in a kernel with IPVS; a client opens
a connection every fifth of a second and asks over each of them every second. Then the active router
goes, and for some time the client goes on asking.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.cluster.cluster import (
    CONFIG,
    HERE,
    HOSTS,
    PORT,
    ROOT,
    ROUTERS,
    SWITCH,
    VIRTUAL,
    Cluster,
    Router,
    inside,
    run,
    soon,
    standing,
)

SYNCED, PACKETS = 4.0, 4
"""Seconds of age, and packets, after which the partner's kernel knows a connection."""
OLDEST = 9.0
"""Seconds for which connections are begun before the router goes."""
EVERY, ASK = 0.2, 1.0
AFTERWARDS = 10.0
"""Seconds after the takeover; TCP sends again after 0.2, 0.6, 1.4, 3.0 and 6.2 s."""
DEFAULTS = ROOT / "roles/piranha_router/defaults/main.yml"
PATIENT = CONFIG.replace("timeout = 1", "timeout = 10")
"""A busy machine is to lose no server: its connections would be none of the partner's."""
SYNCED_CONFIG = "syncdaemon = 1\nsyncd_iface = eth1\nsyncd_id = 7\n" + PATIENT


@dataclass(frozen=True)
class Lasting:
    """What became of one connection. age, packets (from the client): when the router went."""

    age: float
    packets: int
    lost: str | None
    """Why; "silent" where nothing came any more."""

    @property
    def known(self) -> bool:
        """Whether the partner's kernel must have known it."""
        return self.age >= SYNCED and self.packets >= PACKETS


def prepare(cluster: Cluster) -> None:
    """Set both routers' kernels as the role does."""
    switches = yaml.safe_load(DEFAULTS.read_text(encoding="utf-8"))["piranha_router_sysctls"]
    for name in cluster.routers:
        for key, value in switches.items():
            run(*inside(name, "sysctl", "-q", "-w", f"{key}={value}"))


@contextlib.contextmanager
def switchover(router: Router) -> Iterator[Callable[[], None]]:
    """Give what an operator does before work on a router."""
    argv = [sys.executable, "-m", "piranha", "switchover", "--run-dir", str(router.run_dir)]
    yield lambda: print(run(*argv, env=router.environment()), end="")


@contextlib.contextmanager
def crash(router: Router) -> Iterator[Callable[[], None]]:
    """Give a power cut: a program that waits for the word cuts all cables at once."""
    cables = [f"link set {router.name}-{network[:4]} down" for network in HOSTS[router.name]]
    argv = ["ip", "-n", SWITCH, "-batch", "-"]
    program = subprocess.Popen(argv, stdin=subprocess.PIPE, text=True)

    def strike() -> None:
        program.communicate("\n".join([*cables, ""]), timeout=30)
        router.kill_all()

    try:
        yield strike
    finally:
        program.kill()
        program.wait(10)


How = Callable[[Router], contextlib.AbstractContextManager[Callable[[], None]]]


def lose_router(
    cluster: Cluster, how: How, meanwhile: contextlib.AbstractContextManager[object] | None = None
) -> list[Lasting]:
    """Have r1 serve for a while, and go; gives what became of each connection.

    meanwhile: begins long before r1 goes, and ends with the client.
    """
    r1, r2 = (cluster.routers[name] for name in ROUTERS)
    argv = [sys.executable, str(HERE / "lasting.py"), VIRTUAL, str(PORT), str(EVERY), str(ASK)]
    pipe = subprocess.PIPE
    with how(r1) as strike, subprocess.Popen(inside("client", *argv), stdout=pipe) as client:
        try:
            assert client.stdout is not None
            assert client.stdout.readline()
            with meanwhile or contextlib.nullcontext():
                time.sleep(OLDEST)
                client.send_signal(signal.SIGUSR1)
                moment = time.monotonic()
                strike()
                soon(lambda: r2.state() == "active", "r2 is active")
                taken = time.monotonic()
                time.sleep(AFTERWARDS)
            client.send_signal(signal.SIGTERM)
            output, _unused = client.communicate(timeout=30)
        finally:
            client.kill()
    return [_lasting(one, moment, taken) for one in json.loads(output) if one["begun"] < moment]


def _lasting(one: dict[str, object], moment: float, taken: float) -> Lasting:
    answers = one["answers"]
    assert isinstance(answers, list)
    before = sum(when < moment for when in answers)
    lost = one["lost"]
    if lost is None and not any(when > taken for when in answers):
        lost = "silent"
    begun = one["begun"]
    assert isinstance(begun, float)
    # Its first three are SYN, the end of the handshake and the first request; each answer but the
    # last is confirmed by a packet or by the next request.
    return Lasting(moment - begun, 3 + max(0, before - 1), None if lost is None else str(lost))


def by_age(found: list[Lasting]) -> str:
    """Say for each second of age how many were kept."""
    told = []
    for least in (0, 1, 2, 3, SYNCED):
        most = least + 1 if least < SYNCED else float("inf")
        these = [one for one in found if least <= one.age < most]
        kept = sum(one.lost is None for one in these)
        told.append(f"{kept:3}/{len(these):<3}")
    return "  ".join(told)


@contextlib.contextmanager
def built(config: str = SYNCED_CONFIG) -> Iterator[Cluster]:
    """Make the cluster, both agents running and both kernels receiving."""
    with standing(Cluster(Path("/run/cluster-test"))) as cluster:
        prepare(cluster)
        start(cluster, config)
        yield cluster


def start(cluster: Cluster, config: str = SYNCED_CONFIG) -> None:
    """Start both agents, r1 active."""
    cluster.write(config)
    cluster.start()
    for router in cluster.routers.values():
        soon(
            lambda r=router: "sends UP, receives UP" in r.shown(),  # type: ignore[misc]
            f"{router.name} synchronises",
        )
