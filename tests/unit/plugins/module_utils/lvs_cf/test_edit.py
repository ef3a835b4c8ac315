# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Edits of a text towards a configuration: what they must reach, and what they must leave alone."""

from __future__ import annotations

import copy
import random

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.config import (
    Config,
    Section,
    Server,
    Virtual,
    derive,
    read,
    write,
)
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.directives import (
    SERVER_TABLE,
    VIRTUAL_TABLE,
)
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.document import parse
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.edit import bring
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.merge import (
    MERGED,
    merge,
    written_data,
)
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.values import AddressDevice
from hypothesis import given
from hypothesis import strategies as st

from .cluster import CLUSTER, QUIET
from .strategies import configs, documents


def config_of(text: str) -> Config:
    """What a text means, findings aside."""
    return read(parse(text))[0]


def edited(text: str, wanted: Config) -> str:
    """The text after the edit, which must mean what was wanted."""
    document = parse(text)
    bring(document, wanted)
    after = document.text()
    assert written_data(config_of(after)) == written_data(wanted)
    again = parse(after)
    bring(again, wanted)
    assert again.text() == after
    return after


def merged(text: str, data: dict[str, object]) -> str:
    """The text after some data was merged into it."""
    built = merge(config_of(text), data, MERGED)
    assert not built.errors, built.report()
    return edited(text, built.config)


@given(documents)
def test_a_text_that_means_what_is_wanted_already_stays(text: str) -> None:
    document = parse(text)
    bring(document, config_of(text))
    assert document.text() == text


@given(configs, configs)
def test_any_configuration_can_be_made_of_any_other(first: Config, second: Config) -> None:
    edited(write(first), second)


@pytest.mark.parametrize("value", ["  a\" '\\{", "={}}\t\"=}", "it's \"so\""])
def test_a_line_in_quotes_takes_a_text_that_has_such_quotes(value: str) -> None:
    wanted = config_of("")
    wanted.globals.written["notify_cmd"] = value
    after = edited('notify_cmd = "/bin/true x"\n', wanted)
    assert config_of(after).globals.written == {"notify_cmd": value}


@given(configs)
def test_an_empty_file_becomes_any_configuration(config: Config) -> None:
    edited("", config)
    edited("# by hand", config)
    edited(QUIET, config)


STYLES = {
    "eight blanks": lambda text: text.replace("    ", "        "),
    "tabs": lambda text: text.replace("    ", "\t"),
    "no blanks around =": lambda text: text.replace(" = ", "="),
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "compact": lambda text: text.replace("\n\n    server", "\n    server"),
    "two blank lines": lambda text: text.replace("\n\nvirtual", "\n\n\nvirtual"),
}
TWO = QUIET + QUIET[QUIET.index("\nvirtual") :].replace("web", "mail").replace(".80", ".25")


@pytest.mark.parametrize("style", STYLES)
def test_what_is_added_follows_the_files_style_and_can_be_taken_away_again(style: str) -> None:
    change = STYLES[style]
    text = change(TWO)
    server = {"name": "two", "address": "198.51.100.12", "active": 1}
    block = {"name": "shop", "active": 1, "address": "192.0.2.81 eth0:2", "port": 80}
    data = {
        "globals": {"start_delay": 3},
        "virtual_servers": [
            {"name": "web", "scheduler": "rr", "real_servers": [server]},
            {**block, "real_servers": [{**server, "name": "one"}]},
        ],
    }
    one = "    server one {\n        address = 198.51.100.11\n        active = 1\n    }\n"
    two = "    server two {\n        address = 198.51.100.12\n        active = 1\n    }\n"
    assert TWO.count(one + "}\n\nvirtual mail") == 1
    expected = TWO.replace("eth1:1\n", "eth1:1\nstart_delay = 3\n")
    expected = expected.replace("port = 80\n", "port = 80\n    scheduler = rr\n", 1)
    expected = expected.replace(one + "}\n\nvirtual mail", f"{one}\n{two}}}\n\nvirtual mail")
    expected += (
        "\nvirtual shop {\n    active = 1\n    address = 192.0.2.81 eth0:2\n    port = 80\n\n"
        + two.replace("two", "one")
        + "}\n"
    )
    after = merged(text, data)
    assert after == change(expected)
    assert edited(after, config_of(text)) == text


def test_an_aligned_block_stays_aligned() -> None:
    text = QUIET.replace("    active = 1\n    address =", "    active  = 1\n    address =").replace(
        "    port = 80", "    port    = 80"
    )
    after = merged(text, {"virtual_servers": [{"name": "web", "fall": 2, "scheduler": "rr"}]})
    assert "    port    = 80\n    scheduler = rr\n    fall    = 2\n" in after


def test_a_value_keeps_its_quotes_its_comment_and_its_spelling() -> None:
    text = QUIET.replace("port = 80", "port=http # the shop\n    expect = 'HTTP'\t# as ever")
    text = text.replace("keepalive = 2", "keepalive = 2000ms")
    assert edited(text, config_of(text)) == text
    after = merged(
        text, {"globals": {"keepalive": 2}, "virtual_servers": [{"name": "web", "port": 80}]}
    )
    assert after == text
    after = merged(text, {"virtual_servers": [{"name": "web", "port": 81, "expect": "OK"}]})
    assert after == text.replace("=http #", "=81 #").replace("'HTTP'\t#", "'OK'\t#")
    after = merged(text, {"virtual_servers": [{"name": "web", "expect": "it's"}]})
    assert "expect = 'it's'\t# as ever" in after or 'expect = "it\'s"\t# as ever' in after


def test_a_prefix_length_behind_an_address_stays_a_prefix_length() -> None:
    text = QUIET.replace("192.0.2.80 eth0:1", "192.0.2.80/24 eth0:1")
    web = {"name": "web", "address": "192.0.2.81"}
    after = merged(text, {"virtual_servers": [web]})
    assert after == text.replace("2.80/24", "2.81/24")
    after = merged(text, {"virtual_servers": [{"name": "web", "vip_nmask": "255.255.0.0"}]})
    assert after == text.replace("/24", "/16")
    after = merged(text, {"virtual_servers": [{"name": "web", "vip_nmask": None}]})
    assert after == text.replace("/24", "")
    both = text.replace("    port", "    vip_nmask = /24\n    port")
    after = merged(both, {"virtual_servers": [{"name": "web", "vip_nmask": 25}]})
    assert after == both.replace("80/24", "80").replace("= /24", "= /25")
    config = config_of(text)
    del config.virtual[0].settings.written["address"]
    assert "vip_nmask = 255.255.255.0\n" in edited(text, config)


def test_a_block_that_the_files_end_closes_is_closed_before_another_follows() -> None:
    text = QUIET.rstrip().removesuffix("}").rstrip().removesuffix("}").rstrip()
    assert merged(text, {"virtual_servers": [{"name": "web", "port": 81}]}).endswith("active = 1")
    after = merged(text, {"virtual_servers": [{"name": "new", "active": 0}]})
    assert after == QUIET + "\nvirtual new {\n    active = 0\n}\n"


def test_blocks_come_into_the_order_wanted_with_the_comment_right_above_them() -> None:
    text = TWO.replace("virtual web", "# the shop\nvirtual web")
    config = config_of(text)
    config.virtual.reverse()
    new = Virtual("new", Section(VIRTUAL_TABLE, {"address": AddressDevice("192.0.2.9")}))
    config.virtual.insert(1, new)
    after = edited(text, config)
    heads = [line for line in after.splitlines() if line[:1] in ("#", "v")]
    assert heads == ["virtual mail {", "virtual new {", "# the shop", "virtual web {"]
    config.virtual.insert(0, Virtual("first", Section(VIRTUAL_TABLE, {"port": 1})))
    assert edited(text, config).index("virtual first {") < after.index("virtual mail {") + 1


# Text made of habits that people have, to which comments are added everywhere.
def commented(text: str) -> tuple[str, list[str]]:
    """The text with a numbered comment above each line and behind each value; and those."""
    lines, comments = [], []
    for number, line in enumerate(text.splitlines()):
        comments.append(f"# above {number}")
        lines.append("  " * (number % 3) + comments[-1])
        behind = line.strip() and not line.strip().startswith("#")
        lines.append(f"{line}  # behind {number}" if behind else line)
    return "\n".join(lines) + "\n", comments


def some_edit(config: Config, dice: random.Random) -> tuple[Config, str]:
    """The configuration after one edit that people make, and what it was."""
    config = copy.deepcopy(config)
    sections = [config.globals]
    for block in config.virtual:
        sections.append(block.settings)
        sections.extend(server.settings for server in block.servers)
    section = dice.choice(sections)
    kind = dice.choice(["change", "add", "remove", "server", "block"])
    values = section.written.items()
    numbers = [key for key, value in values if isinstance(value, int) and value > 2]
    if kind == "change" and numbers:
        section.written[dice.choice(numbers)] = 7
    elif kind == "remove" and section.written:
        del section.written[dice.choice(list(section.written))]
    elif kind == "server" and config.virtual:
        settings = Section(SERVER_TABLE, {"address": "198.51.100.99", "active": 1})
        dice.choice(config.virtual).servers.append(Server("new", settings))
    elif kind == "block":
        config.virtual.append(Virtual("new", Section(VIRTUAL_TABLE, {"port": 99})))
    else:
        key = dice.choice(
            [key for key in ("fall", "start_delay", "weight") if key in section.table.rows]
        )
        section.written[key] = 5
        kind = "add"
    return derive(config), kind  # without `backup`, `backup_active` means nothing


@given(st.integers(0, 10**9), st.sampled_from([QUIET, CLUSTER, TWO]))
def test_a_random_edit_changes_its_own_lines_only(seed: int, base: str) -> None:
    text, comments = commented(base)
    wanted, kind = some_edit(config_of(text), random.Random(seed))
    after = edited(text, wanted)
    old, new = text.splitlines(), after.splitlines()
    assert [line.strip() for line in new if line.strip() in comments] == comments
    gone = [line for line in old if line not in new]
    come = [line for line in new if line not in old]
    allowed = {"change": (1, 1), "add": (1, 1), "remove": (1, 0), "server": (0, 4), "block": (0, 3)}
    assert (len(gone), len(come)) <= allowed[kind]
    assert len(gone) <= allowed[kind][0]
    assert len(come) <= allowed[kind][1]
    kept = [line for line in new if line not in come]
    assert [line for line in kept if line] == [line for line in old if line and line not in gone]


def test_comments_and_unknown_lines_outside_a_removed_block_stay() -> None:
    text = TWO.replace("\nvirtual mail", "\n# for letters\nfrobnicate = 1\n???\n\nvirtual mail")
    config = config_of(text)
    del config.virtual[1]
    after = parse(text)
    bring(after, config)
    assert after.text() == text[: text.index("\n\nvirtual mail")] + "\n"
