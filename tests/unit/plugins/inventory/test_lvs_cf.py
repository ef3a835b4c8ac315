# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""An inventory out of an lvs.cf, and the same file back from it through the filter cluster.

The plugin as Ansible runs it is in tests/plays; here is the pure part.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.piranha.lvs.plugins.filter import cluster as back
from ansible_collections.piranha.lvs.plugins.module_utils._module.lvs_cf_cluster import (
    CannotDescribe,
    Cluster,
    Names,
    describe,
)
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.api import (
    digest,
    load,
    write,
)
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.config import Config
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.data import read_data
from hypothesis import given

from tests.unit.plugins.module_utils.lvs_cf.cluster import CLUSTER, QUIET
from tests.unit.plugins.module_utils.lvs_cf.strategies import configs, hosts

WEB2 = "    server two {\n        address = 198.51.100.12\n        active = 1\n    }\n"
FILES = {
    "quiet": QUIET,
    "cluster": CLUSTER,
    "direct": QUIET.replace("nat_router = 198.51.100.1 eth1:1", "network = direct"),
    "tunnel": QUIET.replace("nat_router = 198.51.100.1 eth1:1", "network = tunnel"),
    "forward of its own": QUIET.replace("    port = 80", "    port = 80\n    forward = tunnel"),
    "one router": QUIET.replace("backup = 192.0.2.2\nbackup_active = 1\n", ""),
    "no backup by address": QUIET.replace("192.0.2.2\nbackup_active = 1", "0.0.0.0"),
    "backup not in use": QUIET.replace("backup_active = 1", "backup_active = 0"),
    "heartbeat": QUIET.replace("keepalive", "heartbeat = 1\nkeepalive"),
    "second path": QUIET.replace("keepalive", "primary_private = 10.0.0.1\nkeepalive"),
    "both second paths": QUIET.replace(
        "keepalive", "primary_private = 10.0.0.1\nbackup_private = 10.0.0.2\nkeepalive"
    ),
    "backup's path alone": QUIET.replace("keepalive", "backup_private = 10.0.0.2\nkeepalive"),
    "host names": QUIET.replace("192.0.2.1\n", "lvs1.example.org\n").replace(
        "198.51.100.11", "rs1"
    ),
    "weights": QUIET.replace("    server one", f"{WEB2}    server one").replace(
        "active = 1\n    }\n}", "active = 1\n        weight = 5\n    }\n}"
    ),
    "weight 0": QUIET.replace("active = 1\n    }\n}", "active = 1\n        weight = 0\n    }\n}"),
    "server's port": QUIET.replace(
        "active = 1\n    }\n}", "active = 1\n        port = 8\n    }\n}"
    ),
    "server not active": QUIET.replace("active = 1\n    }\n}", "active = 0\n    }\n}"),
    "server not said active": QUIET.replace("        active = 1\n    }\n}", "    }\n}"),
    "virtual not active": QUIET.replace("    active = 1\n    address = 192", "    address = 192"),
    "no server": QUIET[: QUIET.index("\n    server")] + "}\n",
    "two services of one machine": QUIET
    + QUIET[QUIET.index("\nvirtual") :].replace("web", "mail").replace("port = 80", "port = 25"),
    "two names of one machine": QUIET
    + QUIET[QUIET.index("\nvirtual") :].replace("web", "m").replace("one", "o").replace("80", "81"),
    "one name for two machines": QUIET
    + QUIET[QUIET.index("\nvirtual") :]
    .replace("web", "m")
    .replace(".11", ".12")
    .replace("80", "81"),
    "two weights of one machine": QUIET
    + QUIET[QUIET.index("\nvirtual") :]
    .replace("web", "m")
    .replace("80", "81")
    .replace("active = 1\n    }\n}", "active = 1\n        weight = 5\n    }\n}"),
    "names alike as groups": QUIET
    + QUIET[QUIET.index("\nvirtual") :].replace("web", "a-b").replace("80", "81")
    + QUIET[QUIET.index("\nvirtual") :].replace("web", "a_b").replace("80", "82"),
    "router is a real server": QUIET.replace("198.51.100.11", "192.0.2.2"),
    "prefix and IPv6": QUIET.replace("192.0.2.80 eth0:1", "2001:db8::80/64 eth0:1").replace(
        "198.51.100.11", "2001:db8::11"
    ),
    "failover": "service = fos\n"
    + QUIET[: QUIET.index("\nvirtual")]
    + 'failover ftp {\n active = 1\n address = 192.0.2.21 eth0:2\n start_cmd = "/a b"\n}\n',
    "failover not in use": QUIET[: QUIET.index("\nvirtual")]
    + "failover ftp {\n address = 1.2.3.4\n}\n",
    "nothing": "primary = 192.0.2.1\n",
}


def names(**changes: Any) -> Names:
    """The plugin's defaults."""
    usual = Names(
        "piranha",
        "piranha",
        "piranha_routers",
        "piranha_real_servers",
        lambda name: "piranha_virtual_" + re.sub(r"\W", "_", name),
        {},
    )
    return usual._replace(**changes)


def members(cluster: Cluster, group: str) -> list[str]:
    """The hosts of a group and of the groups in it."""
    found: dict[str, None] = {}
    for name in cluster.groups[group]:
        hosts = members(cluster, name) if name in cluster.groups else [name]
        found.update(dict.fromkeys(hosts))
    return list(found)


def returned(cluster: Cluster) -> Config:
    """What the role would write: variables, groups and host variables through the filter."""
    inherited = cluster.variables
    hostvars = {host: {**inherited, **own} for host, own in cluster.hosts.items()}
    groups = {group: members(cluster, group) for group in cluster.groups}
    description = {
        key: inherited[variable] for key, variable in back.VARIABLES.items() if key != "name"
    }
    data = back.describe(description, groups, hostvars)
    built = read_data(
        {key: data[key] for key in ("globals", "virtual_servers", "failover_services")}
    )
    assert not built.errors, built.report()
    return built.config


def same(config: Config, cluster: Cluster) -> bool:
    """Whether the way there and back kept the meaning."""
    return digest(load(write(returned(cluster))).config) == digest(
        load(write(plain(config))).config
    )


def plain(config: Config) -> Config:
    """The configuration without what has no meaning: how `no backup` is written."""
    written = config.globals.written
    if config.globals.text("backup") in (None, "0.0.0.0"):
        written.pop("backup", None)
        written.pop("backup_private", None)
    if "primary_private" not in written:
        written.pop("backup_private", None)
    return config


@pytest.mark.parametrize("name", FILES)
def test_the_way_there_and_back_gives_a_file_that_means_the_same(name: str) -> None:
    loaded = load(FILES[name])
    assert not loaded.errors, loaded.report()
    cluster = describe(loaded.config, names())
    assert same(loaded.config, cluster)


@given(configs, hosts)
def test_any_configuration_comes_back_or_is_refused(config: Config, primary: str) -> None:
    config.globals.written.setdefault("primary", primary)
    config = load(write(config)).config
    try:
        cluster = describe(config, names())
    except CannotDescribe as reason:
        assert re.search("; (give|see|remove)", str(reason))
        return
    assert same(config, cluster)


def test_hosts_groups_and_variables() -> None:
    loaded = load(FILES["weights"])
    hosts = {"192.0.2.1": "lvs1", "198.51.100.12": "web2"}
    cluster = describe(loaded.config, names(hosts=hosts))
    assert cluster.hosts == {
        "lvs1": {"ansible_host": "192.0.2.1", "piranha_address": "192.0.2.1"},
        "192.0.2.2": {"piranha_address": "192.0.2.2"},
        "web2": {"ansible_host": "198.51.100.12", "piranha_address": "198.51.100.12"},
        "one": {
            "ansible_host": "198.51.100.11",
            "piranha_address": "198.51.100.11",
            "piranha_weight": 5,
        },
    }
    # `two` in the file is web2 here, so that a group cannot give the name back.
    assert cluster.groups["piranha_real_servers"] == ["web2", "one"]
    assert cluster.variables["piranha_primary"] == "lvs1"
    (block,) = cluster.variables["piranha_virtual_servers"]
    assert [server["name"] for server in block["real_servers"]] == ["two", "one"]
    cluster = describe(load(FILES["weights"]).config, names())
    (block,) = cluster.variables["piranha_virtual_servers"]
    assert block["real_server_group"] == "piranha_virtual_web"
    assert cluster.groups["piranha_virtual_web"] == ["two", "one"]


def test_machines_are_called_by_address_where_names_are_not_clear() -> None:
    cluster = describe(load(FILES["one name for two machines"]).config, names())
    assert cluster.groups["piranha_real_servers"] == ["198.51.100.11", "198.51.100.12"]
    cluster = describe(load(FILES["two names of one machine"]).config, names())
    assert cluster.groups["piranha_real_servers"] == ["198.51.100.11"]


@pytest.mark.parametrize(
    ("text", "changes", "sentence"),
    [
        (
            QUIET + QUIET[QUIET.index("\nvirtual") :].replace("port = 80", "port = 81"),
            {},
            "2 virtual servers are called web; give each its own name",
        ),
        (
            QUIET.replace("    server one", f"{WEB2.replace('two', 'one')}    server one"),
            {},
            "2 real servers of virtual server web are called one; give each its own name",
        ),
        (
            QUIET.replace("    server one", "    server lost {\n    }\n    server one"),
            {},
            "the real server lost of virtual server web has no address; give it one, or remove it",
        ),
        (
            QUIET,
            {"hosts": {"192.0.2.1": "a", "192.0.2.2": "a"}},
            "`host_names` calls both routers a; give each its own name",
        ),
        (
            QUIET,
            {"hosts": {"192.0.2.1": "a", "198.51.100.11": "a"}},
            "two machines would be called a; see `host_names`",
        ),
        (
            QUIET,
            {"cluster_group": "one"},
            "one is the name of a host and of a group; see `host_names`",
        ),
        (
            QUIET,
            {"cluster_group": "piranha_routers"},
            "the cluster, its routers and its real servers need three group names",
        ),
    ],
)
def test_what_cannot_be_described_is_said(text: str, changes: Any, sentence: str) -> None:
    with pytest.raises(CannotDescribe) as caught:
        describe(load(text).config, names(**changes))
    assert str(caught.value) == sentence
