# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forged, replayed, truncated and damaged heartbeats without number, between two true routers.

`python3 -m tests.fuzz.heartbeats [--inputs 1000000] [--seed N]`

Two engines talk as ever while somebody sends them what he has recorded of earlier hearts of
theirs and of these, whole and broken, and what he makes up, with other keys and none. Neither may
change its state, believe one of these datagrams, answer more than a few, or grow.

With heartbeats of old (`heartbeat_format = classic`) whoever sends the four bytes from the
partner's address is believed; nothing else is: other lengths, other numbers, what routers of old
said with services, signed ones. What comes from another address the sockets sort out
(pathways.py), which a unit test sees on real ones.
"""

from __future__ import annotations

import argparse
import random
import secrets
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "files/piranha-agent/src"))

from piranha.pulse import oldwire  # noqa: E402 - the path comes first
from piranha.pulse.conversation import ANSWERS, farewells  # noqa: E402
from piranha.pulse.engine import Deed, Effect, Engine  # noqa: E402
from piranha.pulse.machine import State, Timing  # noqa: E402
from piranha.pulse.oldwire import Said  # noqa: E402
from piranha.pulse.wire import MAX_SIZE, Heartbeat, Key, Kind, PeerState, Role, encode  # noqa: E402

from tests.fuzz.many import resident  # noqa: E402

SPOKEN = (Said.RUNNING, Said.STOPPED)
SERVICES = tuple(said for said in Said if said not in SPOKEN)
ORDERS: tuple[oldwire.Order, ...] = ("little", "big")
KEY, OTHER = Key.of(bytes(range(32))), Key.of(bytes(range(1, 33)))
KEEPALIVE, DEADTIME = 0.5, 1.5
BATCH = 200
"""Datagrams of the attacker in each interval between two heartbeats."""
GROWTH = 4.0
"""MB by which the process may grow after the first tenth; Python keeps some for itself."""


class Broken(AssertionError):
    """An attack did something."""


@dataclass
class Attack:
    """Two engines and somebody between them. classic: they speak the format of old."""

    random: random.Random
    classic: bool = False
    now: float = 1000.0
    recorded: list[tuple[Role, bytes]] = field(default_factory=list)
    answers: int = 0
    engines: dict[Role, Engine] = field(default_factory=dict)

    def begin(self) -> None:
        """Let earlier hearts speak, be recorded, and end; then start those that are attacked."""
        for _unused in range(3):
            self._start()
            for _beat in range(12):
                self._beat()
            for role, engine in self.engines.items():
                session = [engine.conversation.session]
                said = farewells((KEY,), role, session, bytes(8))
                self.recorded += [(role, data) for data in said]
                self.recorded.append((role, engine.goodbye(self.now)))
            self.now += 10
        self._start()
        for _beat in range(8):
            self._beat()

    def _start(self) -> None:
        made = self.random.randbytes
        for role in Role:
            timing = Timing(role, True, KEEPALIVE, DEADTIME, classic=self.classic)
            self.engines[role] = Engine((KEY,), timing, bytes(8), lambda: made(16), self.now)
        waiting = [(r, e.start(self.now, r is Role.PRIMARY)) for r, e in self.engines.items()]
        for role, effects in waiting:
            self._deliver(role, effects)

    def _beat(self) -> None:
        self.now += KEEPALIVE
        for role, engine in self.engines.items():
            self._deliver(role, engine.woke(self.now) + engine.tick(self.now))

    def _deliver(self, role: Role, effects: list[Effect]) -> None:
        for effect in effects:
            if effect.deed is Deed.SEND:
                self.recorded.append((role, effect.data))
                partner = self.engines[role.other]
                self._deliver(role.other, partner.received(effect.data, self.now))
        del self.recorded[:-4000]

    def attack(self, count: int) -> None:
        """Send that many datagrams, true heartbeats among them, and see that nothing happens."""
        believed = {role: engine.machine.heard_at for role, engine in self.engines.items()}
        self.answers = 0
        for number in range(count):
            victim = self.random.choice((Role.PRIMARY, Role.BACKUP))
            # Signed, the time between two beats is a pause, after which nobody is believed blindly.
            self.now += KEEPALIVE / (4 if self.classic else 2) / BATCH
            data = self._made_up(victim)
            effects = self.engines[victim].received(data, self.now)
            self._judge(victim, data, effects, believed[victim])
            if number % BATCH == BATCH - 1:
                self._settle()
                believed = {role: engine.machine.heard_at for role, engine in self.engines.items()}

    def _judge(
        self, victim: Role, data: bytes, effects: list[Effect], heard_at: float | None
    ) -> None:
        engine = self.engines[victim]
        self.answers += len(effects)
        if any(effect.deed is not Deed.SEND for effect in effects):
            raise Broken(f"{victim.name} does {effects} for {data.hex()}")
        if engine.machine.heard_at != heard_at:
            raise Broken(f"{victim.name} believes {data.hex()}")

    def _settle(self) -> None:
        """The true ones speak, and are as they were."""
        # Both may have saved as many as they may give in one interval, and have earned more in it.
        if self.answers > 4 * ANSWERS:
            raise Broken(f"{self.answers} answers in one interval")
        self.answers = 0
        self._beat()
        states = [self.engines[role].machine.state for role in Role]
        if states != [State.ACTIVE, State.STANDBY]:
            raise Broken(f"the states are {states}")
        for role, engine in self.engines.items():
            if engine.machine.heard_at != self.now:
                raise Broken(f"{role.name} does not hear its partner any more")

    def _made_up(self, victim: Role) -> bytes:
        if self.classic:
            return self._strange(victim)
        pick = self.random.random()
        if pick < 0.1:
            return self.random.randbytes(self.random.randrange(MAX_SIZE + 40))
        if pick < 0.25:
            return self._forged(victim, OTHER)
        _role, data = self.random.choice(self.recorded)
        if pick < 0.6:
            return data
        if pick < 0.7:
            return data[: self.random.randrange(len(data))]
        if pick < 0.75:
            return data + self.random.randbytes(self.random.randrange(1, 40))
        damaged = bytearray(data)
        for _unused in range(self.random.randrange(1, 4)):
            damaged[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)
        return bytes(damaged) if bytes(damaged) != data else data[:-1]

    def _strange(self, victim: Role) -> bytes:
        """Anything but what a router of old says with virtual servers."""
        pick = self.random.random()
        if pick < 0.1:
            return self._forged(victim, self.random.choice((KEY, OTHER)))
        if pick < 0.2:
            return oldwire.write(self.random.choice(SERVICES), self.random.choice(ORDERS))
        if pick < 0.5:
            data = self.random.randbytes(4)
        else:
            data = oldwire.write(self.random.choice(SPOKEN), self.random.choice(ORDERS))
            if pick < 0.7:
                data = data[: self.random.randrange(4)]
            elif pick < 0.8:
                data += self.random.randbytes(self.random.randrange(1, MAX_SIZE))
            else:
                damaged = bytearray(data)
                damaged[self.random.randrange(4)] ^= 1 << self.random.randrange(8)
                data = bytes(damaged)
        found = oldwire.read(data)
        return data if found is None or found[0] not in SPOKEN else data[:3]

    def _forged(self, victim: Role, key: Key) -> bytes:
        talk = self.engines[victim].conversation
        beat = Heartbeat(
            state=self.random.choice(list(PeerState)),
            role=victim.other,
            session=self.engines[victim.other].conversation.session,
            sequence=int(self.now * 1e6) + self.random.randrange(1 << 40),
            echo_session=talk.session,
            echo_sequence=talk.sequence,
            kind=self.random.choice(list(Kind)),
            body=self.random.randbytes(self.random.randrange(60)),
        )
        data = encode(beat, key)
        if self.random.random() < 0.5:  # with the right key's name, and the wrong secret
            data = data[:8] + KEY.id + data[12:]
        return data


def run(inputs: int, seed: int, classic: bool = False) -> str:
    """Attack; gives a sentence about it, and raises Broken where it did something."""
    attack = Attack(random.Random(seed), classic)
    attack.begin()
    tenth = max(BATCH, inputs // 10)
    attack.attack(tenth)
    before = resident()
    while (left := inputs - tenth) > 0:
        attack.attack(min(left, 50_000))
        tenth += min(left, 50_000)
    grown = resident() - before
    if grown > GROWTH:
        raise Broken(f"memory has grown by {grown:.1f} MB")
    rejected = attack.engines[Role.BACKUP].conversation.rejected
    counts = ", ".join(f"{why.value} {count}" for why, count in rejected.items() if count)
    return f"{inputs} datagrams changed nothing, memory {grown:+.1f} MB; the backup: {counts}"


def main(arguments: list[str]) -> int:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(prog="tests.fuzz.heartbeats", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    asked = parser.parse_args(arguments)
    print(f"heartbeats, seed {asked.seed}", flush=True)
    for name, classic in (("signed", False), ("classic", True)):
        began = time.monotonic()
        try:
            said = run(asked.inputs, asked.seed, classic)
        except Broken as broken:
            print(f"FAILED: {name}: {broken}")
            print(f"again: python3 -m tests.fuzz.heartbeats --seed {asked.seed}")
            return 1
        print(f"{name}: {said}; {time.monotonic() - began:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
