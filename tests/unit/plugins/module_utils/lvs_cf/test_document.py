# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The document: the same text back, edits that change nothing else, mistakes of form."""

from __future__ import annotations

import difflib

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.api import decode, encode, load
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.document import Document, parse
from hypothesis import example, given
from hypothesis import strategies as st

from .cluster import CLUSTER, QUIET, changed, codes
from .strategies import documents


@given(st.one_of(documents, st.text()))
@example("\ufeffkeepalive = 6\r\n} x")
@example("virtual a\n{\nserver\n{\nvirtual")
def test_a_text_comes_back_as_it_was(text: str) -> None:
    assert parse(text).text() == text


@given(st.binary())
def test_every_sequence_of_bytes_comes_back(data: bytes) -> None:
    assert encode(load(decode(data)).document.text()) == data


@given(documents)
def test_no_text_makes_the_reader_fail(text: str) -> None:
    loaded = load(text)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for found in loaded.findings:
        assert found.message
        assert 0 <= found.line <= len(lines)
        assert "\n" not in found.format()


def test_the_whole_cluster_is_read_without_a_finding() -> None:
    loaded = load(CLUSTER)
    assert loaded.report() == []
    assert loaded.document.text() == CLUSTER


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends_do_not_change_the_meaning(end: str) -> None:
    loaded = load(CLUSTER.replace("\n", end))
    # An advice tells what the original did with CR LF; a CR alone it took as a line end.
    assert codes(loaded) == (["A304"] if end == "\r\n" else [])
    assert loaded.config == load(CLUSTER).config


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    loaded = load("\ufeff" + QUIET)
    assert loaded.report() == []
    assert loaded.config == load(QUIET).config


def only(text: str) -> tuple[str, int, int, int]:
    """Code, line, column and length of the only error in a text."""
    (found,) = load(text).errors
    return found.code, found.line, found.column, found.length


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("    port = 80", "    port 80", ("E101", 11, 5, 4)),
        ("    port = 80", "    just words", ("E101", 11, 5, 4)),
        ("    port = 80", "    port =", ("E108", 11, 5, 4)),
        ("    port = 80", '    send = "GET', ("E106", 11, 12, 4)),
        ("    port = 80", "    port = 80 81", ("E107", 11, 15, 2)),
        ("    port = 80", "    shceduler = rr", ("E201", 11, 5, 9)),
        ("    port = 80", "    weight = 1", ("E202", 11, 5, 6)),
        ("    port = 80", "    port = 99999", ("E204", 11, 12, 5)),
        ("virtual web {", "virtual web", ("E102", 8, 1, 7)),
        ("virtual web {", "virtual web\n{", ("E102", 8, 1, 7)),
        ("virtual web {", "virtual {", ("E104", 8, 1, 7)),
        ("virtual web {", "virtual web { x", ("E104", 8, 15, 1)),
        ("virtual web {", "vitrual web {", ("E105", 8, 1, 7)),
        ("primary = ", "}\nprimary = ", ("E103", 1, 1, 1)),
    ],
)
def test_a_mistake_of_form_is_found_in_its_place(
    old: str, new: str, place: tuple[str, int, int, int]
) -> None:
    assert QUIET.count(old) == 1
    assert only(QUIET.replace(old, new)) == place


def test_the_sentence_names_place_reason_and_remedy() -> None:
    loaded = changed("    port = 80", "    shceduler = rr")
    assert loaded.report() == [
        "lvs.cf:11:5: error: unknown directive `shceduler`; did you mean `scheduler`? [E201]"
    ]


def test_a_forgotten_brace_is_said_where_the_next_block_begins() -> None:
    inner = QUIET.replace("        active = 1\n    }\n", "        active = 1\n")
    text = inner + QUIET[QUIET.index("virtual") :].replace("web", "two").replace(".80", ".81")
    (found,) = load(text).errors
    assert (found.code, found.line) == ("E102", 17)
    assert "`virtual web` of line 8 is still open" in found.message


def test_a_server_block_in_a_server_block_means_a_forgotten_brace() -> None:
    loaded = changed("        active = 1\n    }", "        active = 1\n    server two {\n    }")
    assert [found.code for found in loaded.errors] == ["E102"]
    assert [server.name for server in loaded.config.virtual[0].servers] == ["one", "two"]


def test_the_end_of_the_file_closes_the_last_block_with_a_warning() -> None:
    loaded = load(QUIET.rstrip("}\n"))
    assert codes(loaded) == ["W101"]
    assert loaded.config == load(QUIET).config


def test_text_behind_a_closing_brace_is_ignored_with_a_warning() -> None:
    assert codes(changed("    }\n}\n", "    } # end\n} end\n")) == ["W102"]


def test_all_mistakes_are_named_in_one_run() -> None:
    loaded = load("keepalive = six\nvirtual a {\nprot = udp\nactive = yes\n}\n}\nvirtual b\n}\n")
    assert [(found.code, found.line) for found in loaded.errors] == [
        ("E301", 0),
        ("E203", 1),
        ("E201", 3),
        ("E203", 4),
        ("E103", 6),
        ("E102", 7),
    ]


def test_a_control_character_is_an_error() -> None:
    assert only(QUIET.replace("web", "w\0eb")) == ("E109", 8, 10, 1)


def edited(document: Document) -> list[str]:
    """The lines that differ from the cluster's file, each with its sign."""
    before, after = CLUSTER.splitlines(True), document.text().splitlines(True)
    return [line for line in difflib.ndiff(before, after) if line[0] in "+-"]


def test_setting_a_value_changes_only_the_value() -> None:
    text = "virtual a {\n\tport\t=  80   # web\n}\n"
    document = parse(text)
    document.set(document.root.blocks("virtual")[0], "port", "8080")
    assert document.text() == text.replace("80 ", "8080 ")


def test_a_new_directive_follows_the_style_of_its_block() -> None:
    document = parse(CLUSTER)
    virtual = document.root.block("virtual", "server1")
    assert virtual is not None
    document.set(virtual, "quiesce_server", "1")
    assert edited(document) == ["+         quiesce_server = 1\n"]
    document.set(document.root, "start_delay", "30")
    assert edited(document)[0] == "+ start_delay = 30\n"
    loaded = load(document.text())
    assert loaded.report() == []
    assert loaded.config.virtual[0].settings.flag("quiesce_server")
    assert loaded.config.globals.seconds("start_delay") == 30


def test_removing_a_directive_removes_its_lines_only() -> None:
    document = parse(CLUSTER)
    assert document.remove(document.root, "rsh_command")
    assert edited(document) == ["- rsh_command = rsh\n"]
    assert not document.remove(document.root, "rsh_command")


def test_blocks_can_be_added_and_removed() -> None:
    document = parse(CLUSTER)
    virtual = document.root.blocks("virtual")[1]
    server = document.add_block(virtual, "server", "Real 3")
    document.set(server, "address", "198.51.100.4")
    assert edited(document) == [
        "+ \n",
        '+         server "Real 3" {\n',
        "+             address = 198.51.100.4\n",
        "+         }\n",
    ]
    document.remove_block(virtual, server)
    document.remove_block(document.root, virtual)
    config = load(document.text()).config
    assert [block.name for block in config.virtual] == ["server1"]


def test_an_edit_behind_a_last_line_without_end_begins_a_new_line() -> None:
    document = parse("primary = 192.0.2.1\r\nkeepalive = 1")
    document.set(document.root, "deadtime", "3")
    assert document.text() == "primary = 192.0.2.1\r\nkeepalive = 1\r\ndeadtime = 3\r\n"


@pytest.mark.parametrize("text", ["# x\rservice = lvs\n\n", "# x\r\r\n\nservice = lvs\n\n"])
def test_an_edit_between_mixed_line_ends_loses_no_line(text: str) -> None:
    """A new line that ends in \\r in front of an empty one that ends in \\n stays a line."""
    document = parse(text)
    document.set(document.root, "keepalive", "1")
    again = [line.raw for line in parse(document.text()).root.lines()]
    assert again == [line.raw for line in document.root.lines()]
    assert again[-2:] == ["keepalive = 1", ""]


def test_removing_and_adding_between_mixed_line_ends_loses_no_line() -> None:
    removed = parse("# x\rkeepalive = 1\n\nservice = lvs\n")
    assert removed.remove(removed.root, "keepalive")
    assert [line.raw for line in parse(removed.text()).root.lines()] == ["# x", "", "service = lvs"]
    added = parse("service = lvs\n# x\r")
    added.add_block(added.root, "virtual", "a")
    lines = ["service = lvs", "# x", "", "virtual a {", "}"]
    assert [line.raw for line in parse(added.text()).root.lines()] == lines


@pytest.mark.parametrize("value", ["", " ", "a\nb"])
def test_a_value_that_cannot_stand_in_a_line_is_refused(value: str) -> None:
    document = parse(CLUSTER)
    with pytest.raises(ValueError, match="cannot stand"):
        document.set(document.root, "keepalive", value)
    assert document.text() == CLUSTER


@given(documents, st.data())
def test_an_edit_changes_its_own_lines_only(text: str, data: st.DataObject) -> None:
    """Setting a directive touches one line; a last line without an end gets one."""
    document = parse(text)
    blocks = [document.root, *document.root.blocks("virtual")]
    block = data.draw(st.sampled_from(blocks))
    key = data.draw(st.sampled_from(["port", "keepalive", "address", "send"]))
    before = [line.raw for line in document.root.lines()]
    there = block.find(key)
    document.set(block, key, '"new value"')
    after = [line.raw for line in document.root.lines()]
    written = block.find(key)
    assert written is not None
    assert written.args == ("new value",)
    position = next(i for i, line in enumerate(document.root.lines()) if line is written)
    rest = after[:position] + after[position + 1 :]
    assert rest == (before if there is None else before[:position] + before[position + 1 :])
    again = parse(document.text())
    assert [line.raw for line in again.root.lines()] == after
