# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which commands run at a change of state, in which order, with which facts."""

from __future__ import annotations

import asyncio
from typing import Any

from piranha.commands.command import FACTS, Command, Result
from piranha.core.lvs_cf import api
from piranha.pulse.errands import PLAIN, Errands
from piranha.pulse.hooks import Commands, Queue, fallen, views

TEXT = """\
primary = 192.0.2.1
active_cmd = "/bin/up now"
inactive_cmd = "/bin/down"
notify_cmd = "/bin/tell"
cmd_timeout = 7
"""


def commands(text: str = TEXT) -> Commands:
    return Commands.of(api.load(text).config.globals)


def heart(state: str, reason: str = "because", **more: Any) -> dict[str, Any]:
    peer = {"address": "192.0.2.2", "state": "standby"}
    return {"state": state, "reason": reason, "role": "primary", "peer": peer, **more}


def names(found: list[Command]) -> list[str]:
    return [f"{one.name} {' '.join(one.argv)}" for one in found]


def test_the_command_of_the_state_comes_first_then_notify() -> None:
    queue = Queue("/etc/lvs.cf")
    held = [{"address": "192.0.2.9", "prefix": 24}, {"address": "2001:db8::9", "prefix": 64}]
    assert queue.see(heart("standby"))
    assert names(queue.take(commands())) == ["inactive_cmd /bin/down", "notify_cmd /bin/tell"]
    assert queue.see(heart("active", addresses=held))
    found = queue.take(commands())
    assert names(found) == ["active_cmd /bin/up now", "notify_cmd /bin/tell"]
    assert found[0].limit == 7
    facts = found[0].environment
    assert facts.keys() - {"PATH", "LC_ALL"} <= set(FACTS)
    assert facts["PIRANHA_STATE"] == "active"
    assert facts["PIRANHA_OLD_STATE"] == "standby"
    assert facts["PIRANHA_ADDRESSES"] == "192.0.2.9/24 2001:db8::9/64"
    assert facts["PIRANHA_PARTNER"] == "192.0.2.2"
    assert facts["PIRANHA_REASON"] == "because"
    assert queue.see(heart("stopped", addresses=[]))
    facts = queue.take(commands())[0].environment
    assert facts["PIRANHA_ADDRESSES"].startswith("192.0.2.9/24"), "those held last"


def test_the_same_state_again_and_a_heart_that_is_new_are_no_change() -> None:
    queue = Queue("")
    assert not queue.see(heart("new"))
    assert not queue.see({"text": "nothing like a heart"})
    assert queue.see(heart("active"))
    assert not queue.see(heart("active", reason="other"))
    assert not queue.see(heart("new"))
    assert not queue.see(heart("active")), "a heart that was started again adopts"


def test_a_doubt_is_no_change_but_the_winner_of_a_split_runs_them_again() -> None:
    queue = Queue("")
    queue.see(heart("active", wins=0))
    queue.take(commands())
    assert not queue.see(heart("contested", wins=0))
    assert queue.see(heart("active", wins=1))
    assert names(queue.take(commands()))[0] == "active_cmd /bin/up now"
    assert not queue.see(heart("active", wins=1)), "once"
    assert not queue.see(heart("doubt", wins=1))
    assert queue.see(heart("standby", wins=1))


def test_a_winner_that_heard_of_it_afterwards_runs_them_again_as_well() -> None:
    """It never was in a contest, or pulse was too busy to hear of that."""
    queue = Queue("")
    queue.see(heart("active", wins=0))
    queue.take(commands())
    assert queue.see(heart("active", wins=1))
    found = queue.take(commands())
    assert names(found) == ["active_cmd /bin/up now", "notify_cmd /bin/tell"]
    assert found[0].facts["PIRANHA_OLD_STATE"] == "active"
    assert not queue.see(heart("new", wins=0))
    assert not queue.see(heart("active", wins=0)), "a heart that was started again has won nothing"
    assert queue.see(heart("active", wins=1)), "but may"
    assert not queue.see(heart("active")), "one of before does not say it"


def test_each_group_has_its_own_wins() -> None:
    groups = [{"name": name, "state": "active", "wins": len(name)} for name in ("", "db")]
    queues = {name: Queue("") for name in ("", "db")}
    for name, view in views(heart("active", groups=groups, wins=0)).items():
        queues[name].see(view)
    groups[1]["wins"] = 3
    seen = views(heart("active", groups=groups, wins=0))
    assert {name: queues[name].see(view) for name, view in seen.items()} == {"": False, "db": True}


def test_of_several_that_wait_only_the_newest_counts() -> None:
    queue = Queue("")
    queue.see(heart("standby"))
    queue.take(commands())
    queue.see(heart("active"))
    queue.see(heart("fault"))
    (first, *_unused) = queue.take(commands())
    assert first.name == "fault_cmd"
    assert first.argv == ("/bin/down",), "inactive_cmd, where no fault_cmd is set"
    assert first.facts["PIRANHA_OLD_STATE"] == "standby", "what they were told last"
    assert queue.take(commands()) == []


def test_fault_has_a_command_of_its_own_and_nothing_means_nothing() -> None:
    queue = Queue("")
    queue.see(heart("fault"))
    assert names(queue.take(commands('fault_cmd = "/bin/page"\n'))) == ["fault_cmd /bin/page"]
    queue.see(heart("standby"))
    assert queue.take(commands("")) == []


class Slow:
    """Runs nothing, and remembers what was asked; each takes a moment."""

    name, certain = "slow", False

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.at_once = 0

    async def run(self, command: Command) -> Result:
        self.at_once += 1
        assert self.at_once == 1, "one at a time"
        await asyncio.sleep(0.05)
        self.at_once -= 1
        self.ran.append(f"{command.name} {command.facts['PIRANHA_STATE']}")
        return Result(command.name != "notify_cmd", "is done", 0.05)

    async def start(self, command: Command, service: str, stop_limit: float) -> Result:
        raise AssertionError("no service here")

    async def finish(self, service: str, limit: float) -> None: ...

    async def end(self, service: str) -> None: ...


def test_errands_run_one_after_the_other_and_what_is_old_is_left_out() -> None:
    runner, told = Slow(), []

    async def work() -> None:
        def tell(level: str, text: str) -> None:
            told.append((level, text))

        errands = Errands("/etc/lvs.cf", runner, commands, tell)
        for state in ("standby", "active", "fault", "active"):
            errands.see(heart(state))
            await asyncio.sleep(0.01)
        await errands.finish(5)

    asyncio.run(work())
    assert runner.ran == [
        "inactive_cmd standby",
        "notify_cmd standby",
        "active_cmd active",
        "notify_cmd active",
    ]
    assert told[0] == ("warning", PLAIN)
    assert ("notice", "active_cmd for state active is done after 0.05 s") in told
    assert ("err", "notify_cmd for state active is done after 0.05 s") in told
    assert len([text for _unused, text in told if text == PLAIN]) == 1


def test_the_end_waits_no_longer_than_it_may() -> None:
    told: list[str] = []

    async def work() -> None:
        runner = Slow()
        errands = Errands("", runner, commands, lambda _level, text: told.append(text))
        errands.see(heart("standby"))
        await errands.finish(0.01)
        assert runner.ran == []

    asyncio.run(work())
    assert told[-1] == "commands still run after 0.01 s; pulse ends without them"


def test_groups_of_failover_services_have_commands_and_facts_of_their_own() -> None:
    held = [{"address": "192.0.2.9", "prefix": 24}]
    groups = [
        {"name": "", "state": "active", "holding": True, "addresses": held, "partner": "standby"},
        {"name": "db", "state": "standby", "holding": False, "addresses": [], "partner": "active"},
    ]
    seen = views(heart("active", groups=groups))
    assert set(seen) == {"", "db"}
    queue = Queue("")
    assert queue.see(seen["db"])
    facts = queue.take(commands())[0].environment
    assert (facts["PIRANHA_GROUP"], facts["PIRANHA_STATE"]) == ("db", "standby")
    assert facts["PIRANHA_PARTNER_STATE"] == "active"
    (only,) = views(heart("active", groups=groups[1:])).values()
    assert (only["group"], only["state"]) == ("db", "active"), "one group is the router itself"
    after = views(fallen(heart("active", groups=groups), "its heart fell silent"))
    assert {one["state"] for one in after.values()} == {"fault"}

    runner, told = Slow(), []

    async def work() -> None:
        errands = Errands("", runner, commands, lambda _level, text: told.append(text))
        errands.see(heart("active", groups=groups))
        await errands.finish(5)

    asyncio.run(work())
    assert sorted(runner.ran) == [
        "active_cmd active",
        "inactive_cmd standby",
        "notify_cmd active",
        "notify_cmd standby",
    ]
    assert "inactive_cmd for state standby of group db is done after 0.05 s" in told
