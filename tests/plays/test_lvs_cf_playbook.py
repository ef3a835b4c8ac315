# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules, filters and inventory plugin as Ansible itself runs them, on this machine's own files.

One playbook with all of it, since starting Ansible is what takes the time. What each part does
in each case is in the tests of modules, filter and inventory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.api import digest, load

from tests.unit.plugins.module_utils.lvs_cf.cluster import CLUSTER, QUIET

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
# `make test-release` runs these with the newest ansible-core too.
ANSIBLE = Path(os.environ.get("PIRANHA_ANSIBLE_PLAYBOOK", BIN / "ansible-playbook"))

HTTP = """\
primary = 203.0.113.11   # left
backup = 203.0.113.12
backup_active = 1
heartbeat = 1
network = NETWORK
nat_router = 192.0.2.254/24 eth2:1

virtual http {
    active = 1
    address = 203.0.113.100/24 eth1:1
    port = http
    send = "GET / HTTP/1.0\\r\\n\\r\\n"
    expect = "HTTP"
    server web1 {
        address = 192.0.2.21
        active = 1
    }
    server web2 {
        address = 192.0.2.22
        active = 1
        weight = 2
    }
}
"""
FILES = {
    "nat": HTTP.replace("NETWORK", "nat"),
    "direct": HTTP.replace("NETWORK", "direct"),
    "tunnel": HTTP.replace("NETWORK", "tunnel"),
    "sample": CLUSTER,
}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The checkout as an installed collection, and nothing of this machine's own settings."""
    folder = tmp_path_factory.mktemp("collections")
    parent = folder / "ansible_collections/piranha"
    parent.mkdir(parents=True)
    (parent / "lvs").symlink_to(ROOT, target_is_directory=True)
    (folder / "ansible.cfg").touch()
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    return {
        **kept,
        "ANSIBLE_COLLECTIONS_PATH": str(folder),
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "local"),
        "ANSIBLE_REMOTE_TEMP": str(folder / "remote"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
        "ANSIBLE_INVENTORY_ENABLED": "auto,piranha.lvs.lvs_cf,ini",
    }


def ansible(environment: dict[str, str], folder: Path, program: str, *words: str) -> str:
    """What one of Ansible's programs prints; fails with it where the program fails."""
    argv = [str(BIN / program), *words]
    done = subprocess.run(
        argv, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def play(environment: dict[str, str], folder: Path, tasks: list[Any], *words: str) -> str:
    """Run tasks on this machine."""
    plays = [
        {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars": {
                "ansible_python_interpreter": sys.executable,
                "file": str(folder / "lvs.cf"),
                "text": "{{ lookup('ansible.builtin.file', file) }}",
            },
            "module_defaults": {"group/piranha.lvs.all": {"path": "{{ file }}"}},
            "tasks": tasks,
        }
    ]
    (folder / "play.yml").write_text(yaml.safe_dump(plays, sort_keys=False))
    return ansible(environment, folder, "ansible-playbook", "-i", "localhost,", "play.yml", *words)


WORK = yaml.safe_load("""
- name: One directive
  piranha.lvs.lvs_cf_global: {keepalive: 0.5, deadtime: 3}
- name: A virtual server
  piranha.lvs.lvs_cf_virtual_server:
    name: mail
    address: {address: 192.0.2.25, device: eth0:3}
    port: smtp
    active: true
    send: "HELO x\\r\\n"
- name: A real server
  piranha.lvs.lvs_cf_real_server:
    {virtual_server: mail, name: two, address: 198.51.100.12, active: yes}
- name: A failover service
  piranha.lvs.lvs_cf_failover_service: {name: ftp, start_cmd: /usr/bin/start ftp, port: 21}
- name: Several at once, with values that are templates
  piranha.lvs.lvs_cf:
    state: merged
    globals: {start_delay: "{{ 1 + 1 }}", nat_router: {device: "eth{{ 9 }}:1"}}
    virtual_servers: [{name: web, real_servers: [{name: one, weight: "{{ 3 | int }}"}]}]
- name: Read it
  piranha.lvs.lvs_cf_info:
  register: read
- name: There and back through the filters
  ansible.builtin.copy:
    dest: "{{ file }}.back"
    mode: "0644"
    content: "{{ text | piranha.lvs.from_lvs_cf | piranha.lvs.to_lvs_cf }}"
- name: Judge it
  ansible.builtin.assert:
    that:
      - read.valid
      - read.config.globals.keepalive == 0.5
      - read.config.virtual_servers | map(attribute='name') == ['web', 'mail']
      - text | piranha.lvs.lvs_cf_findings | length == read.findings | length
      - read.config | piranha.lvs.to_lvs_cf | piranha.lvs.from_lvs_cf == read.config
""")
WRITTEN = (
    QUIET.replace("keepalive = 2", "keepalive = 0.5")
    .replace("deadtime = 6", "deadtime = 3")
    .replace("eth1:1\n", "eth9:1\nstart_delay = 2\n")
    .replace("active = 1\n    }\n}", "active = 1\n        weight = 3\n    }\n}")
    + "\nvirtual mail {\n    active = 1\n    address = 192.0.2.25 eth0:3\n    port = 25\n"
    '    send = "HELO x\\r\\n"\n\n    server two {\n        address = 198.51.100.12\n'
    "        active = 1\n    }\n}\n"
    '\nfailover ftp {\n    port = 21\n    start_cmd = "/usr/bin/start ftp"\n}\n'
)


def test_a_playbook_with_all_modules_and_filters(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    path = tmp_path / "lvs.cf"
    path.write_text(QUIET)
    changing = [task for task in WORK if "lvs_cf" in str(list(task)[1]) and "info" not in str(task)]
    play(environment, tmp_path, changing[:1], "--check", "--diff")
    assert path.read_text() == QUIET
    shown = play(environment, tmp_path, WORK, "--diff")
    assert "+keepalive = 0.5" in shown
    assert path.read_text() == WRITTEN
    assert digest(load((tmp_path / "lvs.cf.back").read_text()).config) == digest(
        load(WRITTEN).config
    )
    again = play(environment, tmp_path, changing, "--check")
    assert "changed=0" in again


@pytest.mark.parametrize("name", FILES)
def test_an_old_file_becomes_an_inventory_and_the_role_writes_it_again(
    tmp_path: Path, environment: dict[str, str], name: str
) -> None:
    (tmp_path / "old.cf").write_text(FILES[name])
    source = {"plugin": "piranha.lvs.lvs_cf", "path": "old.cf", "cluster_name": "shop"}
    (tmp_path / "shop.lvs_cf.yml").write_text(yaml.safe_dump(source))
    role = ROOT / "roles/piranha_router"
    task = next(
        task
        for task in yaml.safe_load((role / "tasks/config.yml").read_text())
        if "piranha.lvs.lvs_cf" in task
    )
    module = {
        key: value
        for key, value in task["piranha.lvs.lvs_cf"].items()
        if key not in ("owner", "group")  # only root may give files away
    }
    cluster = "{{ __piranha_router_description | piranha.lvs.cluster(groups, hostvars) }}"
    plays = [
        {
            "hosts": "piranha_routers",
            "gather_facts": False,
            "connection": "local",
            "vars_files": [str(role / "defaults/main.yml"), str(role / "vars/main.yml")],
            "vars": {
                "ansible_connection": "local",
                "ansible_python_interpreter": sys.executable,
                "__piranha_router_cluster": cluster,
            },
            "tasks": [
                {
                    "name": "As the role does",
                    "piranha.lvs.lvs_cf": {**module, "path": str(tmp_path / "new.cf")},
                    "run_once": True,
                }
            ],
        }
    ]
    (tmp_path / "play.yml").write_text(yaml.safe_dump(plays, sort_keys=False))
    ansible(environment, tmp_path, "ansible-playbook", "-i", "shop.lvs_cf.yml", "play.yml")
    assert digest(load((tmp_path / "new.cf").read_text()).config) == digest(
        load(FILES[name]).config
    )


def test_what_looks_like_a_template_in_a_file_is_none(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    text = FILES["nat"].replace('"HTTP"', '"{{ 6 * 7 }}"')
    (tmp_path / "old.cf").write_text(text)
    task = {
        "ansible.builtin.copy": {
            "dest": str(tmp_path / "shown"),
            "mode": "0600",
            "content": "{{ piranha_virtual_servers[0].expect }}",
        },
        "delegate_to": "localhost",
        "run_once": True,
    }
    plays = [{"hosts": "piranha_routers", "gather_facts": False, "tasks": [task]}]
    (tmp_path / "play.yml").write_text(yaml.safe_dump(plays))
    ansible(environment, tmp_path, "ansible-playbook", "-i", "old.cf", "play.yml")
    assert (tmp_path / "shown").read_text() == "{{ 6 * 7 }}"


def test_the_inventorys_options(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "old.cf").write_text(FILES["nat"])
    source = {
        "plugin": "piranha.lvs.lvs_cf",
        "path": "old.cf",
        "cluster_name": "my-shop",
        "router_group": "gates",
        "real_server_group": "servers",
        "virtual_server_group_prefix": "vs_",
        "host_names": {"203.0.113.11": "lvs1", "203.0.113.12": "lvs2"},
        "compose": {"twice": "piranha_weight * 2"},
        "groups": {"heavy": "piranha_weight is defined"},
        "keyed_groups": [{"key": "piranha_address[-1:]", "prefix": "ends"}],
    }
    (tmp_path / "shop.lvs_cf.yaml").write_text(yaml.safe_dump(source))
    shown = ansible(environment, tmp_path, "ansible-inventory", "-i", "shop.lvs_cf.yaml", "--list")
    found = json.loads(shown)
    assert found["my_shop"]["children"] == ["gates", "servers"]
    assert found["gates"]["hosts"] == ["lvs1", "lvs2"]
    assert found["vs_http"]["hosts"] == ["web1", "web2"]
    assert found["heavy"]["hosts"] == ["web2"]
    assert found["ends_1"]["hosts"] == ["lvs1", "web1"]
    web2 = found["_meta"]["hostvars"]["web2"]
    assert int(web2["twice"]) == 4  # a text before native templates
    # Marked, so that no template in a file is ever run.
    assert web2["ansible_host"] == {"__ansible_unsafe": "192.0.2.22"}
    assert web2["piranha_router_group"] == {"__ansible_unsafe": "gates"}
    direct = json.loads(
        ansible(environment, tmp_path, "ansible-inventory", "-i", "old.cf", "--list")
    )
    assert direct["piranha_routers"]["hosts"] == ["203.0.113.11", "203.0.113.12"]


@pytest.mark.parametrize(
    ("source", "text", "sentence"),
    [
        ({"path": "none.cf"}, None, "none.cf: No such file or directory; check path and rights"),
        ({}, None, "`path` is missing; it names the lvs.cf to read"),
        ({"path": "old.cf"}, "primary 1", "old.cf:1:1: error: `=` expected behind `primary`"),
        (
            {"path": "old.cf", "host_names": {"1.2.3.4": "piranha"}},
            "primary = 1.2.3.4",
            "see `host",
        ),
    ],
)
def test_a_source_that_cannot_be_read_is_said(
    tmp_path: Path,
    environment: dict[str, str],
    source: dict[str, Any],
    text: str | None,
    sentence: str,
) -> None:
    if text is not None:
        (tmp_path / "old.cf").write_text(text)
    content = yaml.safe_dump({"plugin": "piranha.lvs.lvs_cf", **source})
    (tmp_path / "shop.lvs_cf.yml").write_text(content)
    argv = [str(BIN / "ansible-inventory"), "-i", "shop.lvs_cf.yml", "--list"]
    more = {"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true"}
    done = subprocess.run(
        argv, cwd=tmp_path, env={**environment, **more}, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert sentence in done.stderr.replace("\n", " ").replace("  ", " ")
    assert "Traceback" not in done.stderr


PLUGINS = [
    ("module", "lvs_cf"),
    ("module", "lvs_cf_global"),
    ("module", "lvs_cf_virtual_server"),
    ("module", "lvs_cf_real_server"),
    ("module", "lvs_cf_failover_service"),
    ("module", "lvs_cf_info"),
    ("filter", "from_lvs_cf"),
    ("filter", "to_lvs_cf"),
    ("filter", "lvs_cf_findings"),
    ("inventory", "lvs_cf"),
]


@pytest.mark.parametrize("kind", ["module", "filter", "inventory"])
def test_ansible_doc_shows_each(tmp_path: Path, environment: dict[str, str], kind: str) -> None:
    names = [f"piranha.lvs.{name}" for what, name in PLUGINS if what == kind]
    shown = json.loads(ansible(environment, tmp_path, "ansible-doc", "-t", kind, "--json", *names))
    assert set(shown) == set(names)
    for name in names:
        assert shown[name]["examples"], name
        assert shown[name]["doc"]["options"], name
    if kind == "module":
        options = shown["piranha.lvs.lvs_cf_real_server"]["doc"]["options"]
        assert "Share of the load" in options["weight"]["description"][0]
