# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host names in lvs.cf: nobody waits for them, the last answer stays, no answer is asked again."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from piranha.lvsd import names as names_module
from piranha.lvsd.daemon import Daemon
from piranha.lvsd.names import Change, Names, first_address, getent

from .daemon_lab import Lab, shown


class Resolver:
    """A name server that the test is; `slow` makes it silent."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}
        self.slow = False
        self.asked: list[str] = []

    async def ask(self, name: str) -> str:
        self.asked.append(name)
        if self.slow:
            await asyncio.sleep(3600)
        if name not in self.answers:
            raise LookupError("not found")
        return self.answers[name]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    monkeypatch.setattr(names_module, "PAUSES", (0.02, 0.05))
    return Resolver()


async def until(true: Callable[[], bool], limit: float = 3.0) -> None:
    deadline = time.monotonic() + limit
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def test_an_answer_is_kept_told_and_asked_for_until_it_is_there(
    resolver: Resolver, tmp_path: Path
) -> None:
    told: list[list[Change]] = []

    async def story() -> None:
        names = Names(tmp_path, resolver.ask)
        names.want(("one", "two"), told.append)
        assert names.pending
        resolver.answers["one"] = "192.0.2.1"
        await until(lambda: bool(told))
        assert not names.pending
        assert told == [[("one", None, "192.0.2.1")]]
        assert names.problems() == [
            "the name two in lvs.cf cannot be resolved (not found); what has it is left out"
        ]
        await until(lambda: resolver.asked.count("two") > 3)
        assert resolver.asked.count("one") == 1
        resolver.answers["two"] = "2001:db8::2"
        await until(lambda: len(told) > 1)
        assert names.addresses == {"one": "192.0.2.1", "two": "2001:db8::2"}
        assert names.problems() == []
        # A reload asks again; what fails then keeps its last answer.
        del resolver.answers["one"]
        resolver.answers["two"] = "2001:db8::3"
        names.want(("one", "two"), told.append)
        assert not names.pending
        await until(lambda: len(told) > 2)
        assert told[2] == [("two", "2001:db8::2", "2001:db8::3")]
        assert names.addresses["one"] == "192.0.2.1"
        assert names.problems() == [
            "the name one in lvs.cf cannot be resolved (not found); "
            "192.0.2.1, its last known address, stays"
        ]
        await names.stop()
        # Another lvsd, whose name server is silent.
        resolver.slow = True
        again = Names(tmp_path, resolver.ask)
        again.want(("one", "two"), told.append)
        assert not again.pending
        assert again.addresses == {"one": "192.0.2.1", "two": "2001:db8::3"}
        await again.stop()

    asyncio.run(story())


@pytest.mark.parametrize("text", ["", "[]", "{", '{"one": "no address"}', '{"one": 3.5}'])
def test_a_memory_that_is_no_good_is_no_memory(
    text: str, tmp_path: Path, resolver: Resolver
) -> None:
    (tmp_path / "names.json").write_text(text)

    async def story() -> None:
        names = Names(tmp_path, resolver.ask)
        names.want(("one",), lambda _changes: None)
        assert names.pending
        await names.stop()

    asyncio.run(story())


def test_the_machine_is_asked() -> None:
    assert ipaddress.ip_address(asyncio.run(getent("localhost"))).is_loopback
    with pytest.raises(LookupError, match="not found"):
        asyncio.run(getent("no-such-host.invalid"))


def test_a_resolver_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(command: tuple[str, ...], limit: float) -> object:
        return await real(("sleep", "60"), limit)

    real = names_module.execute
    monkeypatch.setattr(names_module, "execute", hangs)
    monkeypatch.setattr(names_module, "LIMIT", 0.1)
    with pytest.raises(LookupError, match=r"getent did not end within 0\.1 s and was killed"):
        asyncio.run(getent("localhost"))


@given(st.binary(max_size=60))
def test_any_output_is_read(output: bytes) -> None:
    address = first_address(output)
    assert address is None or ipaddress.ip_address(address)


def test_the_first_address_counts() -> None:
    told = b"fe80::1%eth0    STREAM web1\n192.0.2.1  STREAM\n"
    assert first_address(told) == "fe80::1"
    assert first_address(b"192.0.2.7       STREAM web1\n") == "192.0.2.7"


def named(lab: Lab) -> None:
    """Give the second server a name."""
    text = lab.path.read_text()
    first, second = text.split("server s1")
    lab.path.write_text(f"{first}server s1{second.replace('127.0.0.1', 'backend')}")


def run(lab: Lab, resolver: Resolver, story: Callable[[Daemon], Awaitable[None]]) -> None:
    lab.names = Names(lab.folder, resolver.ask)
    lab.run(story)


def test_a_silent_name_server_delays_nothing_but_the_start(lab: Lab, resolver: Resolver) -> None:
    resolver.answers["backend"] = "127.0.0.1"
    named(lab)

    async def story(daemon: Daemon) -> None:
        await lab.until({0: 1, 1: 1})
        resolver.slow = True
        began = time.monotonic()
        assert daemon.reload() == []
        assert time.monotonic() - began < 0.5
        lab.backends[1].stop()
        await lab.until({0: 1})

    run(lab, resolver, story)


def test_what_a_name_without_an_answer_stands_for_is_left_out_and_comes_later(
    lab: Lab, resolver: Resolver
) -> None:
    named(lab)

    async def story(daemon: Daemon) -> None:
        await lab.until({0: 1})
        await until(lambda: "overrides" in lab.ears.states[-1])
        await until(lambda: len(lab.ears.states[-1]["problems"]) == 1)
        (problem,) = lab.ears.states[-1]["problems"]
        assert problem.startswith("the name backend in lvs.cf cannot be resolved (not found)")
        resolver.answers["backend"] = "127.0.0.1"
        await lab.until({0: 1, 1: 1})
        await until(lambda: lab.ears.states[-1]["problems"] == [])
        # Another address is another server: the old one leaves.
        resolver.answers["backend"] = "127.0.0.2"
        daemon.reload()
        await lab.until({0: 1})
        await until(lambda: shown(daemon)[0]["servers"][1]["address"] == "127.0.0.2")

    run(lab, resolver, story)
    assert len(lab.ears.texts("cannot be resolved")) == 1
    assert lab.ears.texts("the name backend in lvs.cf is 127.0.0.2 now, it was 127.0.0.1")


def test_a_restart_touches_no_table_before_the_names_were_asked_for(
    lab: Lab, resolver: Resolver
) -> None:
    """With what was remembered a restart takes nobody out, though no name server answers."""
    resolver.answers["backend"] = "127.0.0.1"
    named(lab)
    run(lab, resolver, lambda daemon: lab.until({0: 1, 1: 1}))
    resolver.slow = True
    seen: list[dict[int, int]] = []

    async def story(daemon: Daemon) -> None:
        for _unused in range(30):
            seen.append(lab.weights())
            await asyncio.sleep(0.01)

    run(lab, resolver, story)
    assert seen == [{0: 1, 1: 1}] * 30
    # Without a memory either: the table is not touched before the first round is over.
    (lab.folder / "names.json").unlink()
    run(lab, resolver, story)
    assert seen == [{0: 1, 1: 1}] * 60
