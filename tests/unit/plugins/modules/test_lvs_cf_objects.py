# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules for one object, and every option of theirs; the values follow from the table.

Each change runs as twins (check mode first, where nothing may be written) and a second time,
which must change nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils._module.lvs_cf_options import (
    directive_spec,
)
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf import directives as d
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.api import load
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.config import Config, Section
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.data import read_data

from .lvs_cf_support import run, steady, twins

FILE = """\
# Ask Ada.
service = lvs
primary = 192.0.2.1   # the big one
backup = 192.0.2.2
backup_active = 1
keepalive = 2
deadtime = 20
nat_router = 198.51.100.1/24 eth1:1

# the shop
virtual web {
    active = 1        # as ever
    address = 192.0.2.80/24 eth0:1
    port = http
    persistent = 5m

    server one {
        address = 198.51.100.11  # left
        active = 1
    }
}

failover ftp {
    active = 1
    address = 192.0.2.21 eth0:2
    port = 21
    start_cmd = "/usr/bin/start ftp"  # a script
    stop_cmd = "/usr/bin/stop ftp"
}

# the end
"""
MODULES: dict[str, tuple[str, dict[str, str]]] = {
    d.GLOBAL: ("lvs_cf_global", {}),
    d.VIRTUAL: ("lvs_cf_virtual_server", {"name": "web"}),
    d.FAILOVER: ("lvs_cf_failover_service", {"name": "ftp"}),
    d.SERVER: ("lvs_cf_real_server", {"virtual_server": "web", "name": "one"}),
}
# Directives that are an error alone, and what makes them right.
TOGETHER: dict[str, dict[str, Any]] = {
    "syncdaemon": {"syncd_iface": "eth5"},
    "check": {"send": "ping", "send_program": "/bin/true"},
    "primary_links": {"backup_links": ["198.51.100.5", "198.51.100.6"]},
    "backup_links": {"primary_links": ["198.51.100.5", "198.51.100.6"]},
    "protocol": {"check": "icmp"},
    "ports": {"unset": ["port", "persistent"]},
    "scheduler_flags": {"scheduler": "sh"},
    "check_via": {"forward": "direct"},
    "ops": {"protocol": "udp"},
    "lower_threshold": {"upper_threshold": 65535},
}
# Directives whose values another one limits, or a rule that no type tells.
SMALL: dict[str, list[Any]] = {
    "lower_threshold": [7, "8"],
    "witness": [["198.51.100.3", "gateway"]],
}


def samples(row: d.Directive) -> list[Any]:
    """Values for a directive: at least one for each way to write its type, and each choice."""
    high = int(row.high or 0)
    kinds: dict[str, list[Any]] = {
        d.SWITCH: [True, False],
        d.NUMBER: [min(7, high), str(high)],
        d.SECONDS: ["2500ms", 3, 3.5],
        d.WHOLE_SECONDS: ["10m", 77],
        d.PORT: [8080, "https"],
        d.CHOICE: [*row.choices, *row.aliases],
        d.HOST: ["192.0.2.77", "some.example.org"],
        d.IP: ["192.0.2.77"],
        d.ADDRESS_DEVICE: ["192.0.2.77 eth7:1", {"address": "192.0.2.78", "device": "eth7"}],
        d.MASK: ["255.255.255.128", "/25"],
        d.TEXT: ["some text", "word"],
        d.QUOTED: ["/usr/bin/some --thing", "it's"],
        d.ESCAPED: ["GET / HTTP/1.0\r\n\r\n", 'say "so"'],
        d.PATH: ["/etc/some/file"],
        d.LIST: [items(row)],
    }
    return kinds[row.kind]  # a new kind needs a line above


def items(row: d.Directive) -> list[Any]:
    """A list with two elements of a directive's type."""
    kinds = {
        d.TEXT: ["one", "two words"],
        d.PORT: ["http", "443"],
        d.CHOICE: list(row.choices[:2]),
        d.HOST: ["198.51.100.3", "some.example.org"],
    }
    return kinds[row.item]  # as above


OPTIONS = [(kind, row) for kind in MODULES for row in d.TABLES[kind].rows.values()]


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """A file that people edit by hand."""
    before = os.umask(0o022)
    file = tmp_path / "lvs.cf"
    file.write_text(FILE)
    yield file
    os.umask(before)


def section(config: Config, kind: str) -> Section:
    """The section of the object that MODULES names."""
    if kind == d.GLOBAL:
        return config.globals
    block = (config.failover if kind == d.FAILOVER else config.virtual)[0]
    return block.servers[0].settings if kind == d.SERVER else block.settings


def comments(text: str) -> list[str]:
    """Every comment of a text."""
    return [line.partition("#")[2] for line in text.splitlines() if "#" in line]


def meant(row: d.Directive, value: object) -> object:
    """What the language makes of a value."""
    item = {"name": "x", row.name: value}
    if row.where == d.GLOBAL:
        read = read_data({"globals": {row.name: value}}).config.globals
    elif row.where == d.VIRTUAL:
        read = read_data({"virtual": [item]}).config.virtual[0].settings
    else:
        config = read_data({"virtual": [{"name": "x", "servers": [item]}]}).config
        read = config.virtual[0].servers[0].settings
    return read.written[row.name]


@pytest.mark.parametrize(
    ("kind", "row"), [pytest.param(kind, row, id=f"{kind}-{row.name}") for kind, row in OPTIONS]
)
def test_every_option_is_written_once_and_can_be_unset(
    path: Path, kind: str, row: d.Directive
) -> None:
    module, names = MODULES[kind]
    more = TOGETHER.get(row.name, {})
    for value in SMALL.get(row.name, samples(row)):
        given = {**names, **more, row.name: value}
        steady(module, path.parent, path=str(path), **given)
        loaded = load(path.read_text())
        assert section(loaded.config, kind).written[row.name] == meant(row, value)
        assert not loaded.errors
        assert comments(path.read_text()) == comments(FILE)
    before = load(path.read_text()).config
    ended = twins(module, path.parent, path=str(path), **names, unset=[row.name])
    needed = ended.failed  # the primary's address, a real server's, a service's
    after = load(path.read_text()).config
    assert (row.name in section(after, kind).written) == needed
    if needed:
        assert ended.result["msg"].startswith(f"{path} would not be valid")
        assert after == before
    else:
        steady(module, path.parent, path=str(path), **names, unset=[row.name])


@pytest.mark.parametrize("kind", [d.VIRTUAL, d.FAILOVER])
def test_the_device_is_an_option_of_its_own(path: Path, kind: str) -> None:
    module, names = MODULES[kind]
    before = section(load(FILE).config, kind).address("address")
    assert before is not None
    steady(module, path.parent, path=str(path), **names, device="eth9:9")
    assert section(load(path.read_text()).config, kind)["address"] == (before.address, "eth9:9")
    steady(module, path.parent, path=str(path), **names, unset=["device"])
    assert section(load(path.read_text()).config, kind)["address"] == (before.address, None)


@pytest.mark.parametrize(("kind", "row"), OPTIONS[:1] + OPTIONS[-1:])
def test_the_same_in_unset_is_refused(path: Path, kind: str, row: d.Directive) -> None:
    module, names = MODULES[kind]
    given = {row.name: samples(row)[0], "unset": [row.name]}
    ended = twins(module, path.parent, path=str(path), **names, **given)
    assert ended.failed
    assert ended.result["msg"] == f"`{row.name}` is given and in `unset` too; choose one"


@pytest.mark.parametrize("kind", MODULES)
def test_options_of_the_file_work_in_every_module(path: Path, kind: str) -> None:
    module, names = MODULES[kind]
    copy = "backup_copy" if kind == d.GLOBAL else "backup"
    value = next(row for row in d.TABLES[kind].rows.values() if row.kind == d.SWITCH).name
    change = {value: not section(load(FILE).config, kind)[value]}
    arguments = {**names, **change, copy: True, "mode": "0640", "path": str(path)}
    ended = steady(module, path.parent, **arguments)
    assert Path(ended.result["backup_file"]).read_text() == FILE
    assert path.stat().st_mode & 0o777 == 0o640
    assert len(list(path.parent.iterdir())) == 2
    ended = steady(module, path.parent, **{**arguments, "mode": "0600"})
    assert ended.result["changed"] is True
    assert "backup_file" not in ended.result


@pytest.mark.parametrize("kind", MODULES)
def test_a_wrong_value_is_refused_by_the_options_own_name(path: Path, kind: str) -> None:
    module, names = MODULES[kind]
    rows = d.TABLES[kind].rows.values()
    row = next(row for row in rows if row.kind in (d.HOST, d.ADDRESS_DEVICE, d.SECONDS))
    ended = twins(module, path.parent, path=str(path), **names, **{row.name: "!"})
    assert ended.failed
    head, reason = ended.result["msg"].splitlines()
    assert head == f"{path} would not be valid and was left as it is:"
    assert reason.startswith(f"{row.name}: error: `{row.name}` takes ")
    assert [item["path"] for item in ended.result["findings"]] == [row.name]
    assert path.read_text() == FILE


def test_a_new_object_is_added_and_removed_again(path: Path) -> None:
    where = {"path": str(path)}
    mail = {"name": "mail", "address": "192.0.2.25", "device": "eth0:3", "port": 25}
    ended = steady("lvs_cf_virtual_server", path.parent, **where, **mail)
    assert ended.result["before"] is None
    assert ended.result["after"] == {**mail, "real_servers": []}
    server = {"virtual_server": "mail", "name": "two", "address": "198.51.100.12"}
    ended = steady("lvs_cf_real_server", path.parent, **where, **server, weight=0)
    assert ended.result["after"] == {"name": "two", "address": "198.51.100.12", "weight": 0}
    fos = {"name": "smb", "start_cmd": "/usr/bin/start smb"}
    steady("lvs_cf_failover_service", path.parent, **where, **fos)
    assert path.read_text() == FILE.replace(
        "\nfailover",
        "\nvirtual mail {\n    address = 192.0.2.25 eth0:3\n    port = 25\n\n    server two {\n"
        "        address = 198.51.100.12\n        weight = 0\n    }\n}\n\nfailover",
    ).replace("# the end", 'failover smb {\n    start_cmd = "/usr/bin/start smb"\n}\n\n# the end')
    gone = {"virtual_server": "mail", "name": "two", "state": "absent"}
    ended = steady("lvs_cf_real_server", path.parent, **where, **gone)
    assert (ended.result["before"]["name"], ended.result["after"]) == ("two", None)
    steady("lvs_cf_virtual_server", path.parent, **where, name="mail", state="absent")
    steady("lvs_cf_failover_service", path.parent, **where, name="smb", state="absent")
    assert path.read_text() == FILE


def test_absent_globals_go_whatever_their_values(path: Path) -> None:
    ended = steady(
        "lvs_cf_global",
        path.parent,
        path=str(path),
        state="absent",
        keepalive=1,
        deadtime=1,
        unset=["backup_active"],
    )
    assert {change["directive"] for change in ended.result["changes"]} == {
        "keepalive",
        "deadtime",
        "backup_active",
    }


@pytest.mark.parametrize("module", [module for module, _names in MODULES.values()])
def test_nothing_is_removed_from_a_file_that_is_not_there(tmp_path: Path, module: str) -> None:
    names = {"name": "x"} if module != "lvs_cf_global" else {"unset": ["backup"]}
    if module == "lvs_cf_real_server":
        names["virtual_server"] = "y"
    path = tmp_path / "none" / "lvs.cf"
    ended = steady(module, tmp_path, path=str(path), state="absent", **names)
    assert (ended.result["changed"], ended.result["findings"]) == (False, [])


def test_a_file_grows_from_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "lvs.cf")
    early = twins("lvs_cf_virtual_server", tmp_path, path=path, name="web", port=80)
    assert early.failed
    assert "E301" in early.result["msg"]
    steady("lvs_cf_global", tmp_path, path=path, primary="192.0.2.1")
    steady("lvs_cf_virtual_server", tmp_path, path=path, name="web", port=80)
    assert Path(path).read_text() == "primary = 192.0.2.1\n\nvirtual web {\n    port = 80\n}\n"


def test_a_real_server_needs_its_virtual_server(path: Path) -> None:
    given = {"path": str(path), "virtual_server": "wbe", "name": "two"}
    ended = twins("lvs_cf_real_server", path.parent, **given)
    assert ended.failed
    assert ended.result["msg"] == (
        f"{path} has no virtual server `wbe` (it has web); add it first, with lvs_cf_virtual_server"
    )
    gone = twins("lvs_cf_real_server", path.parent, **given, state="absent")
    assert (gone.failed, gone.result["changed"]) == (False, False)


def test_backup_is_an_address_in_lvs_cf_global(path: Path) -> None:
    ended = twins("lvs_cf_global", path.parent, path=str(path), backup=True)
    assert ended.failed
    assert ended.result["msg"].startswith("`backup` is the backup router's address here")


def test_directives_and_other_options_do_not_share_a_name() -> None:
    others = {"path", "state", "name", "unset", "virtual_server", "owner", "group", "mode"}
    others |= {"attributes", "selevel", "serole", "setype", "seuser", "unsafe_writes", "attr"}
    for kind in MODULES:
        taken = others | {"backup_copy" if kind == d.GLOBAL else "backup"}
        assert not taken & set(directive_spec(kind)), kind


def test_the_file_is_read_with_all_that_is_to_be_said(path: Path) -> None:
    text = FILE.replace("deadtime = 20", "deadtime = 1\nfrobnicate = 1")
    path.write_text(text)
    result = twins("lvs_cf_info", path.parent, path=str(path)).result
    loaded = load(text, str(path))
    assert (result["exists"], result["valid"], result["changed"]) == (True, False, False)
    assert [item["code"] for item in result["findings"]] == [one.code for one in loaded.findings]
    assert {item["line"] for item in result["findings"]} >= {7, 8}
    assert result["report"] == loaded.report()
    assert result["config"]["globals"]["deadtime"] == 1
    assert result["effective"]["globals"]["network"] == "nat"
    assert len(result["digest"]) == 64
    path.write_text(FILE)
    assert run("lvs_cf_info", path=str(path)).result["valid"] is True


def test_no_file_is_no_failure_to_read_and_a_folder_is(tmp_path: Path) -> None:
    result = twins("lvs_cf_info", tmp_path, path=str(tmp_path / "none")).result
    wanted = {"exists": False, "valid": False, "config": None, "effective": None, "digest": None}
    assert {key: result[key] for key in wanted} == wanted
    assert (result["findings"], result["report"]) == ([], [])
    ended = run("lvs_cf_info", path=str(tmp_path))
    assert (ended.failed, ended.result["msg"]) == (
        True,
        f"cannot read {tmp_path}: it is a folder; name a file",
    )


@pytest.mark.parametrize("kind", MODULES)
def test_a_line_that_the_original_refused_is_refused_on_request(path: Path, kind: str) -> None:
    module, names = MODULES[kind]
    text = re.sub(r" +#.*|/24", "", FILE).replace("5m", "300")
    path.write_text(text)
    row = next(row for row in d.TABLES[kind].rows.values() if row.dialect == d.EXTENDED)
    value = samples(row)[0]
    change = {"path": str(path), **names, **TOGETHER.get(row.name, {}), row.name: value}
    ended = twins(module, path.parent, **change, classic=True)
    assert ended.failed
    assert row.name in ended.result["msg"]
    assert path.read_text() == text
    switch = next(row.name for row in d.TABLES[kind].rows.values() if row.kind == d.SWITCH)
    given = {**names, switch: True, "path": str(path), "classic": True}
    steady(module, path.parent, **given)
    steady(module, path.parent, **change)
    assert run("lvs_cf_info", path=str(path)).result["valid"] is True
    assert run("lvs_cf_info", path=str(path), classic=True).result["valid"] is False
