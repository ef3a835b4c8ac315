# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""One task a watch: cadence, sharing, change under way, and a router that stood still."""

from __future__ import annotations

import asyncio
import itertools
import socket
import time

import pytest
from piranha.nanny import engine as engine_module
from piranha.nanny.engine import Engine, credible, follow, perform
from piranha.nanny.outcome import Finding, Outcome, Result, bad, good
from piranha.nanny.spec import Check, NoCheck, SocketCheck, Watch


def watch(port: int, interval: float = 0.1) -> Watch:
    return Watch(SocketCheck("tcp", "127.0.0.1", port, interval), interval)


def test_cadence_and_change() -> None:
    """A watch is repeated at its interval; one that is gone stops, one that stays goes on."""
    seen: list[tuple[Watch, Result]] = []

    async def main(port: int) -> None:
        engine = Engine(lambda made, result: bool(seen.append((made, result))))
        engine.watch([watch(port), watch(port), watch(port, 0.2)])
        await asyncio.sleep(0.65)
        before = len(seen)
        engine.watch([watch(port)])
        await asyncio.sleep(0.35)
        later = [made for made, _unused in seen[before:]]
        assert set(later) == {watch(port)}
        await engine.stop()
        count = len(seen)
        await asyncio.sleep(0.2)
        assert len(seen) == count

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(100)
        asyncio.run(main(sock.getsockname()[1]))
    quick = [result.at for made, result in seen if made.interval < 0.15]
    assert 8 <= len(quick) <= 12  # equal watches are one
    # The first pause is shortened at random; no later one is, and a stop did not restart it. A
    # check that began late on a busy machine does not put off the next, so one gap may be short.
    short = [gap for one, two in itertools.pairwise(quick[1:]) if (gap := two - one) < 0.05]
    assert len(short) <= 1


def test_a_fault_of_ours_is_unknown_and_does_not_end_the_checks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def broken(check: SocketCheck, opener: object) -> Outcome:
        raise ValueError("surprise")

    monkeypatch.setattr(engine_module, "probe", broken)
    outcome = asyncio.run(perform(SocketCheck("tcp", "127.0.0.1", 1, 1.0)))
    assert outcome.finding is Finding.UNKNOWN
    assert outcome.words == "not checked: ValueError: surprise"


def test_no_check_is_down_with_its_reason() -> None:
    assert asyncio.run(perform(NoCheck("say more"))) == bad("say more")


@pytest.mark.parametrize(
    ("outcome", "took", "finding"),
    [
        (bad("no answer within 2 s"), 2.01, Finding.BAD),
        (bad("no answer within 2 s"), 4.2, Finding.BAD),
        (bad("no answer within 2 s"), 5.0, Finding.UNKNOWN),
        (good("connected"), 5.0, Finding.GOOD),
    ],
)
def test_a_stall_of_this_router_is_no_failure_of_the_server(
    outcome: Outcome, took: float, finding: Finding
) -> None:
    check = SocketCheck("tcp", "192.0.2.1", 80, 2.0)
    assert credible(check, outcome, took).finding is finding


def test_a_real_stall() -> None:
    """The loop stands still while an answer lies in the socket: not the server's failure."""
    seen: list[Result] = []

    async def main(port: int) -> None:
        check: Check = SocketCheck("tcp", "127.0.0.1", port, 0.1)
        engine = Engine(lambda _unused, result: bool(seen.append(result)))
        engine.watch([Watch(check, 0.1)])
        await asyncio.sleep(0.04)  # the first check is spread over a millisecond and a step
        time.sleep(1.6)
        await asyncio.sleep(0.05)
        await engine.stop()

    with socket.socket() as sock, socket.socket() as filler:
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        filler.connect(sock.getsockname())
        asyncio.run(main(sock.getsockname()[1]))
    assert seen
    assert seen[0].outcome.finding is not Finding.BAD


def test_a_state_that_is_about_to_change_is_checked_faster() -> None:
    seen: list[float] = []

    def told(_watch: Watch, result: Result) -> bool:
        seen.append(result.at)
        return len(seen) < 5

    async def main() -> None:
        engine = Engine(told)
        engine.watch([Watch(NoCheck("no"), 5.0, 0.05)])
        await asyncio.sleep(0.5)
        await engine.stop()

    asyncio.run(main())
    # Four quick ones behind the first; the fifth is told that all is settled, and 5 s begin.
    assert len(seen) == 5
    assert seen[-1] - seen[0] < 0.4


def test_a_check_that_is_stopped_by_whoever_hears_of_it_is_not_repeated() -> None:
    seen: list[Result] = []

    async def main() -> None:
        def told(_watch: Watch, result: Result) -> bool:
            seen.append(result)
            engine.watch([])
            return False

        engine = Engine(told)
        engine.watch([Watch(NoCheck("no"), 0.02)])
        await asyncio.sleep(0.3)
        await engine.stop()

    asyncio.run(main())
    assert len(seen) == 1


def test_many_that_begin_together_are_spread_and_stay_so() -> None:
    seen: dict[Watch, list[float]] = {}

    def told(which: Watch, result: Result) -> bool:
        seen.setdefault(which, []).append(result.at)
        return False

    async def main() -> None:
        engine = Engine(told)
        engine.watch([Watch(NoCheck(str(number)), 0.5) for number in range(200)])
        while len(seen) < 200 or min(map(len, seen.values())) < 2:
            await asyncio.sleep(0.05)
        await engine.stop()

    asyncio.run(asyncio.wait_for(main(), 20))
    for turn, least in ((0, 0.1), (1, 0.3)):
        times = sorted(each[turn] for each in seen.values())
        assert times[-1] - times[0] > least
        # No tenth of a second has most of them.
        crowd = max(sum(one <= at < one + 0.1 for at in times) for one in times)
        assert crowd < (150, 130)[turn]


def test_checks_keep_their_distance_from_each_other() -> None:
    """A check that begins late does not put off the next; one that hangs is made again at once."""
    assert follow(due=10.0, now=10.9, pause=3.0, took=0.8) == 13.0
    assert follow(due=10.0, now=13.01, pause=3.0, took=3.01) == 13.01
    spread = {follow(due=10.0, now=60.0, pause=3.0, took=0.1) for _unused in range(50)}
    assert len(spread) > 40
    assert all(60.0 <= when <= 61.5 for when in spread)
