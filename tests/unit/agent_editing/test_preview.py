# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes previews of large files quick changes nothing of what they say."""

from __future__ import annotations

import random
import time

import pytest
from piranha.core.ipvs.ipvsadm import operation_lines
from piranha.core.ipvs.plan import plan
from piranha.core.lvs_cf.api import load
from piranha.core.lvs_cf.document import parse
from piranha.editing.desk import _serial, with_serial
from piranha.editing.preview import Grounds, Memory, _Well, preview
from piranha.lvsd.desired import desired
from piranha.lvsd.layout import layout


def text_of(services: dict[int, tuple[int, int]], more: str = "") -> str:
    """lvs.cf with services: number -> (last byte of its address, how many servers)."""
    lines = ["serial_no = 3", "primary = 192.0.2.1", "network = nat", more]
    for number, (last, count) in services.items():
        lines += [f"virtual v{number} {{", "    active = 1", "    port = 80"]
        lines.append(f"    address = 198.51.100.{last} eth0:1")
        for server in range(count):
            lines.append(f"    server s{server} {{")
            lines += [f"        address = 10.0.{number}.{server + 1}", "        active = 1"]
            lines.append("    }")
        lines.append("}")
    return "\n".join(lines) + "\n"


def planned(before: str, after: str) -> list[str]:
    """The whole of both tables compared."""
    was, now = (layout(load(text).config) for text in (before, after))
    then, there = desired(now, _Well()), desired(was, _Well())
    return operation_lines(plan(then, there, owned=was.keys))


@pytest.mark.parametrize("seed", range(6))
def test_what_is_remembered_changes_no_preview(seed: int) -> None:
    chance = random.Random(seed)
    memory = Memory()
    services = {n: (n + 1, 2) for n in range(6)}
    before = text_of(services)
    for step in range(12):
        number = chance.randrange(8)
        if chance.random() < 0.3:
            services.pop(number, None)
        else:
            taken = {last for other, (last, _n) in services.items() if other != number}
            last = chance.choice([n for n in range(1, 20) if n not in taken])
            services[number] = (last, chance.randrange(3))
        more = chance.choice(["", "", "network = tunnel", "rsh_command = /usr/bin/ssh", "what = ?"])
        after = text_of(services, more)
        found = preview(before, after, Grounds(), conflict=False, memory=memory)
        assert found == preview(before, after, Grounds(), conflict=False), step
        if not found.errors and not load(before).errors:
            assert found.table == planned(before, after), step
        before = after if chance.random() < 0.7 else before


def test_two_services_in_one_place_are_told_though_one_was_there_before() -> None:
    one = text_of({0: (1, 1), 1: (2, 1)})
    two = text_of({0: (1, 1), 1: (1, 1)})
    for memory in (None, Memory()):
        found = preview(one, two, Grounds(), conflict=False, memory=memory)
        assert found.table == []
        assert found.errors or "an earlier block has the same service" in found.table_note


ODD = [
    "",
    "serial_no = 5\n",
    "serial_no = 5",
    "virtual a {\n}\nserial_no = 6\n",
    "virtual a {\nserial_no = 6\n}\n",
    "serial_no = 5\nvirtual a {\n}\nserial_no = 6\n",
    "serial_no = 5 # kept\r\nvirtual a {\r\n}\r\n",
    "  serial_no=5\n\n# virtual\nvirtual a {\n}\n",
    "odd {\nserial_no = 5\nvirtual a {\n}\n}\n",
    "odd {\nserial_no = 5\n}\nvirtual a {\n}\n",
    "primary = 192.0.2.1\nvirtual a {\n}\n",
    "serial_no = x\nfailover a {\n}\n",
    "serial_no\nvirtual a {\n}\n",
]


@pytest.mark.parametrize("text", ODD)
def test_a_serial_number_is_set_as_if_the_whole_had_been_parsed(text: str) -> None:
    document = parse(text)
    document.set(document.root, "serial_no", "8")
    assert with_serial(text, 8) == document.text()
    assert _serial(with_serial(text, 8)) == 8
    line = parse(text).root.find("serial_no")
    word = line.args[0] if line is not None and line.args else "0"
    assert _serial(text) == (int(word) if word.isdigit() else 0)


def test_a_second_look_at_a_thousand_services_costs_less_than_the_first() -> None:
    """Times of one processor, beside each other, on a machine that may be busy."""
    services = {n: (n % 250 + 1, 16) for n in range(250)}
    before, memory = text_of(services), Memory()
    times = []
    for port in range(81, 84):
        began = time.process_time()
        after = before.replace("port = 80", f"port = {port}", 1)
        found = preview(before, after, Grounds(), conflict=False, memory=memory)
        times.append(time.process_time() - began)
        assert len(found.table) == 18
    assert min(times[1:]) < times[0] / 2, times
