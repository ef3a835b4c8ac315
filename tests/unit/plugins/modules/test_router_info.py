# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What router_info reads, from files made for it."""

from __future__ import annotations

import grp
import hashlib
import json
import os
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.piranha.lvs.plugins.modules import router_info as subject

KEY = "0123456789abcdef" * 4


def never(command: list[str]) -> tuple[int, str]:
    pytest.fail(f"{command} was run")


def test_our_own_python_is_not_asked_again() -> None:
    assert (
        subject.read_python(sys.executable, never) == f"{sys.version_info[0]}.{sys.version_info[1]}"
    )


def test_another_python_is_asked(tmp_path: Path) -> None:
    other = tmp_path / "python"
    other.write_text("")
    other.chmod(0o755)
    assert subject.read_python(str(other), lambda command: (0, "3.12\n")) == "3.12"
    assert subject.read_python(str(other), lambda command: (1, "")) is None
    assert subject.read_python(str(tmp_path / "missing"), never) is None


def test_a_module_is_loaded_available_or_missing(tmp_path: Path) -> None:
    (tmp_path / "sys/module/ip_vs").mkdir(parents=True)
    index = tmp_path / "lib/modules/6.1"
    index.mkdir(parents=True)
    (index / "modules.builtin").write_text("kernel/net/ipv4/ipip.ko\n")
    (index / "modules.dep").write_text(
        "kernel/net/netfilter/ipvs/ip_vs_rr.ko.xz: kernel/net/netfilter/ipvs/ip_vs.ko.xz\n"
        "kernel/net/netfilter/nf-nat.ko:\n"
    )
    states = {
        name: subject.module_state(name, "6.1", str(tmp_path))
        for name in ("ip_vs", "ipip", "ip_vs_rr", "nf_nat", "ip_vs_wrr")
    }
    assert states == {
        "ip_vs": "loaded",
        "ipip": "loaded",
        "ip_vs_rr": "available",
        "nf_nat": "available",
        "ip_vs_wrr": "missing",
    }


def test_a_parameter_is_read_as_words(tmp_path: Path) -> None:
    (tmp_path / "net/ipv4").mkdir(parents=True)
    (tmp_path / "net/ipv4/tcp_rmem").write_text("4096\t131072\t6291456\n")
    assert subject.read_sysctl("net.ipv4.tcp_rmem", str(tmp_path)) == "4096 131072 6291456"
    assert subject.read_sysctl("net.ipv4.vs.conntrack", str(tmp_path)) is None


def test_installed_agents_are_listed_newest_first(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "middle", "old")):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    assert subject.read_agent(str(tmp_path)) == {
        "current": None,
        "installed": ["new", "middle", "old"],
    }
    (tmp_path / "current").symlink_to("middle")
    assert subject.read_agent(str(tmp_path)) == {
        "current": "middle",
        "installed": ["new", "middle", "old"],
    }


def test_a_link_to_a_version_that_is_gone_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to("gone")
    assert subject.read_agent(str(tmp_path))["current"] is None
    assert subject.read_agent(str(tmp_path / "nowhere")) == {"current": None, "installed": []}


def test_of_a_key_only_its_fingerprint_leaves(tmp_path: Path) -> None:
    path = tmp_path / "heartbeat.key"
    path.write_text(KEY + "\n")
    path.chmod(0o600)
    found = subject.read_key(str(path))
    assert found["fingerprint"] == hashlib.sha256(KEY.encode()).hexdigest()
    assert found["present"]
    assert found["sound"] == (os.getuid() == 0)
    assert KEY not in repr(found)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_key_that_others_may_read_is_unsound(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "heartbeat.key"
    path.write_text(KEY)
    path.chmod(mode)
    assert not subject.read_key(str(path))["sound"]


def test_a_key_that_is_being_changed_is_told_by_the_one_in_use(tmp_path: Path) -> None:
    path = tmp_path / "heartbeat.key"
    path.write_text(f"{KEY}\n{'ab' * 32}\n")
    path.chmod(0o600)
    found = subject.read_key(str(path))
    assert found["fingerprint"] == hashlib.sha256(KEY.encode()).hexdigest()
    assert (found["present"], found["changing"]) == (True, True)


@pytest.mark.parametrize("text", ["", "short", KEY + "0", "é" * 64, f"{KEY} {KEY} {KEY}"])
def test_what_is_no_key_counts_as_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "heartbeat.key"
    path.write_text(text)
    nothing = {"present": False, "sound": False, "fingerprint": None, "changing": False}
    assert subject.read_key(str(path)) == nothing


def test_a_file_is_told_by_content_mode_and_owner(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("a")
    path.chmod(0o750)
    assert subject.read_file(str(path)) == {
        "sha256": hashlib.sha256(b"a").hexdigest(),
        "mode": "0750",
        "uid": os.getuid(),
        "gid": os.getgid(),
    }


def test_what_is_no_ordinary_file_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    assert subject.read_file(str(tmp_path / "link")) is None
    assert subject.read_file(str(tmp_path)) is None
    assert subject.read_file(str(tmp_path / "missing")) is None


def test_a_link_is_told_by_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "pulse").symlink_to("piranha")
    (tmp_path / "file").write_text("a")
    assert subject.read_link(str(tmp_path / "pulse")) == "piranha", "though nothing is there"
    assert subject.read_link(str(tmp_path / "file")) is None
    assert subject.read_link(str(tmp_path / "missing")) is None


SHOWN = "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=no\n"


@pytest.mark.parametrize(
    ("output", "true"),
    [
        (SHOWN, {"present", "active", "enabled"}),
        (SHOWN.replace("=active", "=failed"), {"present", "enabled"}),
        (SHOWN.replace("=active", "=activating"), {"present", "active", "enabled"}),
        (
            SHOWN.replace("=enabled", "=disabled").replace("=no", "=yes"),
            {"present", "active", "stale"},
        ),
        ("LoadState=not-found\nActiveState=inactive\nUnitFileState=\nNeedDaemonReload=no\n", set()),
        ("", set()),
    ],
)
def test_the_unit_is_what_systemd_says(output: str, true: set[str]) -> None:
    assert {name for name, value in subject.unit_state(output).items() if value} == true


def test_a_group_is_there_or_not() -> None:
    assert subject.group_is_there(grp.getgrgid(0).gr_name)
    assert not subject.group_is_there("no-such-group")


def test_addresses_are_compared_as_addresses() -> None:
    output = json.dumps(
        [
            {"ifname": "lo", "addr_info": [{"local": "127.0.0.1"}]},
            {
                "ifname": "eth1",
                "addr_info": [{"local": "203.0.113.100"}, {"local": "2001:db8::1"}, {}],
            },
        ]
    )
    wanted = ["203.0.113.10", "203.0.113.100", "2001:db8:0::1"]
    assert subject.held(wanted, output) == ["203.0.113.100", "2001:db8:0::1"]
    assert subject.held(wanted, "") == []


def test_every_key_returned_is_documented_with_a_sample() -> None:
    documented = yaml.safe_load(subject.RETURN)
    assert set(documented) == {
        *("python", "kernel", "modules", "sysctls", "agent", "key", "files", "links"),
        *("unit", "holds", "units", "groups"),
    }
    assert all("sample" in entry for entry in documented.values())
