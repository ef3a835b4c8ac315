# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration: effective values, typed readers, the canonical text and the data form."""

from __future__ import annotations

import gc
import json

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.api import (
    digest,
    from_data,
    load,
    to_data,
    write,
)
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.config import (
    Config,
    read,
)
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.document import parse
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.layout import tidy
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.values import AddressDevice
from hypothesis import HealthCheck, example, given, settings

from .cluster import CLUSTER, QUIET, changed, codes
from .strategies import configs, documents

slow = settings(deadline=None, suppress_health_check=list(HealthCheck))


def test_typed_readers_give_what_the_file_says() -> None:
    config = load(CLUSTER).config
    settings_ = config.globals
    assert settings_.text("primary") == "192.0.2.150"
    assert settings_.flag("backup_active") is True
    assert settings_.seconds("keepalive") == 6
    assert settings_.number("heartbeat_port") == 1050
    assert settings_.address("nat_router") == AddressDevice("198.51.100.100", "eth1:1")
    assert settings_.address("backup") == AddressDevice("192.0.2.196")
    assert settings_.given("deadtime") and not settings_.given("syncd_id")
    first, second = config.virtual
    assert first.settings.number("port") == 80
    assert first.settings.prefix("pmask") == 32
    assert first.settings.text("send") == r"GET / HTTP/1.0\r\n\r\n"
    assert [server.name for server in second.servers] == ["Real1", "Real2"]
    assert config.failover[0].settings.text("start_cmd") == "/etc/rc.d/init.d/httpd start"
    assert config.in_use() == config.virtual
    with pytest.raises(TypeError, match="primary"):
        settings_.number("primary")
    with pytest.raises(KeyError):
        settings_.text("no_such_directive")


def test_defaults_apply_where_nothing_is_written() -> None:
    settings_ = load("primary = 192.0.2.1\n").config.globals
    assert settings_.seconds("keepalive") == 2
    assert settings_.seconds("deadtime") == 5
    assert settings_.number("heartbeat_port") == 539
    assert settings_.text("heartbeat_key_file") == "/etc/piranha/heartbeat.key"
    assert settings_.text("network") == "nat"


def test_a_servers_port_follows_its_virtual_server() -> None:
    config = changed("    port = 80", "    port = 8080").config
    server = config.virtual[0].servers[0].settings
    assert server.number("port") == 8080
    assert not server.given("port")


def test_a_server_in_front_of_the_port_is_said_to_have_been_on_80() -> None:
    loaded = load(
        QUIET.replace("    port = 80\n", "").replace("    }\n}", "    }\n    port = 81\n}")
    )
    assert codes(loaded) == ["W203"]
    assert loaded.config.virtual[0].servers[0].settings.number("port") == 81


def test_forward_follows_network_unless_it_is_written() -> None:
    config = load("network = tunnel\nvirtual a {\n}\nvirtual b {\nforward = direct\n}\n").config
    assert [block.settings.text("forward") for block in config.virtual] == ["tunnel", "direct"]


def test_private_addresses_are_the_public_ones_without_primary_private() -> None:
    base = "primary = 192.0.2.1\nbackup = 192.0.2.2\nbackup_private = 198.51.100.2\n"
    alone = load(base).config.globals
    assert (alone["primary_private"], alone["backup_private"]) == ("192.0.2.1", "192.0.2.2")
    both = load(base + "primary_private = 198.51.100.1\n").config.globals
    assert (both["primary_private"], both["backup_private"]) == ("198.51.100.1", "198.51.100.2")


@pytest.mark.parametrize("backup", ["", "backup = 0.0.0.0\n"])
def test_without_a_backup_router_none_is_active(backup: str) -> None:
    loaded = load(QUIET.replace("backup = 192.0.2.2\n", backup))
    assert not loaded.config.globals.flag("backup_active")
    assert codes(loaded) == ["W302"]


def test_a_prefix_length_behind_the_address_sets_the_mask() -> None:
    loaded = changed("192.0.2.80 eth0:1", "192.0.2.80/24 eth0:1")
    assert loaded.config.virtual[0].settings.prefix("vip_nmask") == 24
    assert loaded.report() == []


def test_the_written_mask_counts_where_both_are_given() -> None:
    loaded = changed("192.0.2.80 eth0:1", "192.0.2.80/24 eth0:1\n    vip_nmask = 255.255.0.0")
    assert loaded.config.virtual[0].settings.prefix("vip_nmask") == 16
    assert codes(loaded) == ["W202"]


def test_the_last_of_two_equal_directives_counts() -> None:
    loaded = changed("keepalive = 2", "keepalive = 1\nkeepalive = 2")
    assert loaded.config == load(QUIET).config
    assert [(found.code, found.line) for found in loaded.findings] == [("W201", 5)]


def test_an_unreadable_pmask_is_ignored_as_before() -> None:
    loaded = changed("    port = 80", "    port = 80\n    persistent = 60\n    pmask = broken")
    assert codes(loaded) == ["W202"]
    assert loaded.config.virtual[0].settings.prefix("pmask") == 32


def test_extended_forms_mean_the_same() -> None:
    text = QUIET.replace(" = ", "=").replace("port=80", "port=http # the web")
    loaded = load(
        text.replace("virtual web {", "virtual web{ # first").replace("=2\n", "=2000ms\n")
    )
    assert loaded.report() == []
    assert loaded.config == load(QUIET).config


def test_the_canonical_text_is_the_same_again() -> None:
    config = load(CLUSTER).config
    text = write(config, ["made by a test", ""])
    assert text.startswith("# made by a test\n#\n\nservice = lvs\n")
    again = load(text)
    assert again.report() == []
    assert again.config == config
    assert write(again.config, ["made by a test", ""]) == text
    assert write(load(QUIET).config) == QUIET


@slow
@given(configs)
def test_every_configuration_reads_back_from_its_text(config: Config) -> None:
    document = parse(write(config))
    again, _findings = read(document)
    assert document.findings == []
    assert again == config
    assert write(again) == write(config)


@slow
@given(configs)
def test_every_configuration_reads_back_from_its_data(config: Config) -> None:
    data = json.loads(json.dumps(to_data(config)))
    built = from_data(data)
    assert [found for found in built.errors if found.code < "E3"] == []
    assert built.config == config
    assert digest(built.config) == digest(config)


def test_a_mapped_ipv4_address_is_refused_with_a_sentence() -> None:
    data = to_data(load(QUIET).config)
    data["virtual"][0]["address"] = "::ffff:0:0"  # type: ignore[index]
    (found,) = [found for found in from_data(data).errors if found.code == "E203"]
    assert found.format().endswith("`::ffff:0:0` is 0.0.0.0 in IPv6 form; write 0.0.0.0 [E203]")


@given(documents)
@example("virtual a\0 {\n}\n")
@example("vitrual a { # b\n")
def test_even_layout_keeps_the_meaning_and_is_stable(text: str) -> None:
    loaded = load(text)
    once = tidy(loaded.document)
    if loaded.document.findings:
        return
    assert load(once).config == loaded.config
    assert tidy(parse(once)) == once


def test_even_layout_keeps_comments_and_order() -> None:
    text = "\n\n# top\nprimary=192.0.2.1\t# first\n\n\n"
    text += "virtual  a{ # web\n# why\nport =80\nserver 'b c' {\n}\n"
    assert tidy(parse(text)) == (
        "# top\nprimary = 192.0.2.1  # first\n\n"
        "virtual a {  # web\n    # why\n    port = 80\n"
        '    server "b c" {\n    }\n}\n'
    )


def test_the_data_form_names_everything() -> None:
    data = to_data(load(CLUSTER).config)
    assert list(data) == ["global", "virtual", "failover"]
    settings_, first = data["global"], data["virtual"][0]
    assert settings_["nat_router"] == {"address": "198.51.100.100", "device": "eth1:1"}
    assert (settings_["keepalive"], settings_["backup_active"]) == (6, 1)
    assert settings_["nat_nmask"] is None
    assert (first["name"], first["address"], first["device"]) == (
        "server1",
        "192.0.2.252",
        "eth0:1",
    )
    assert (first["port"], first["pmask"]) == (80, "255.255.255.255")
    assert first["servers"][1]["address"] == "198.51.100.3"
    assert "device" not in first["servers"][0]
    assert data["failover"][1]["stop_cmd"] == "/etc/rc.d/init.d/inet stop"


def test_playbook_data_says_the_same_as_the_file() -> None:
    built = from_data(
        {
            "globals": {
                "primary": "192.0.2.1",
                "backup": "192.0.2.2",
                "backup_active": True,
                "keepalive": "2s",
                "deadtime": 6.0,
                "nat_router": "198.51.100.1 eth1:1",
                "nat_nmask": None,
            },
            "virtual_servers": [
                {
                    "name": "web",
                    "active": 1,
                    "address": "192.0.2.80",
                    "device": "eth0:1",
                    "port": "http",
                    "real_servers": [{"name": "one", "address": "198.51.100.11", "active": "1"}],
                }
            ],
        }
    )
    assert built.report() == []
    assert built.config == load(QUIET).config
    assert digest(built.config) == digest(load(QUIET).config)


def test_real_line_ends_in_send_become_escapes() -> None:
    built = from_data({"virtual": [{"name": "a", "send": "GET / HTTP/1.0\r\n\r\n"}]})
    assert built.config.virtual[0].settings.text("send") == r"GET / HTTP/1.0\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "path", "sentence"),
    [
        (
            {"virtual_servers": [{"name": "a", "shceduler": "rr"}]},
            "virtual_servers[0].shceduler",
            "unknown directive `shceduler`; did you mean `scheduler`?",
        ),
        (
            {"virtual": [{"name": "a", "servers": [{"name": "b", "weight": "heavy"}]}]},
            "virtual[0].servers[0].weight",
            "`weight` takes a whole number, not `heavy`; for example `weight = 1`",
        ),
        (
            {"globals": {"keepalive": [1]}},
            "globals.keepalive",
            "`keepalive` takes one value, not a list",
        ),
        ({"globals": []}, "globals", "must be a mapping, not a list"),
        ({"virtual_servers": {}}, "virtual_servers", "must be a list, not a mapping"),
        ({"virtual": ["a"]}, "virtual[0]", "must be a mapping, not a text"),
        (
            {"virtual": [{"active": 1}]},
            "virtual[0].name",
            "a virtual block needs a name; for example `name: web`",
        ),
        (
            {"virtual": [{"name": "a\nb"}]},
            "virtual[0].name",
            "the name 'a\\nb' cannot be written in lvs.cf; use letters, digits, `-`, `_` and `.`",
        ),
        (
            {"globals": {"active_cmd": "a 'b' \"c\" \n"}},
            "globals.active_cmd",
            "the text of `active_cmd` cannot be written in one line of lvs.cf; "
            "use no line end, and only one kind of quotes",
        ),
        (
            {"globals": {"nat_router": {"adress": "192.0.2.1"}}},
            "globals.nat_router",
            "`nat_router` takes a mapping with `address` and `device`; `adress` is unknown",
        ),
        (
            {"virtual": [{"name": "a", "address": "192.0.2.1 eth0", "device": "eth1"}]},
            "virtual[0].address",
            "`address` names the device eth0, `device` says eth1; name it once",
        ),
        (
            {"virtuals": []},
            "virtuals",
            "unknown part `virtuals`; did you mean `virtual`?",
        ),
    ],
)
def test_a_mistake_in_data_is_named_with_its_path(
    data: dict[str, object], path: str, sentence: str
) -> None:
    errors = [found for found in from_data(data).errors if found.code < "E3"]
    assert [(found.path, found.sentence()) for found in errors] == [(path, sentence)]


def test_rules_between_directives_name_paths_too() -> None:
    built = from_data({"virtual_servers": [{"name": "web", "active": True}]})
    assert [found.format() for found in built.errors] == [
        "global.primary: error: no primary router is set; add `primary = ADDRESS` [E301]",
        "virtual_servers[0]: error: virtual server `web` is active and has no address; "
        "add `address = ADDRESS DEVICE`, or set `active = 0` [E304]",
    ]


def test_the_digest_is_of_the_meaning() -> None:
    config = load(QUIET).config
    same = load("# comment\nserial_no = 7\ndebug_level = NONE\n" + QUIET.replace("= 80", "= http"))
    assert digest(same.config) == digest(config)
    other = changed("deadtime = 6", "deadtime = 7").config
    assert digest(other) != digest(config)
    device = changed("eth0:1", "enp1s0:1").config
    assert digest(device) != digest(config)
    assert digest(device, devices=False) == digest(config, devices=False)


@pytest.mark.parametrize("running", [True, False])
def test_loading_leaves_the_collector_as_it_was(running: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if running else gc.disable)()
        load(CLUSTER)
        assert gc.isenabled() is running
    finally:
        (gc.enable if before else gc.disable)()
