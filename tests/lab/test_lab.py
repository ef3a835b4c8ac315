# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab as its users see it: up, broken, repaired, down without a trace. Run by selftest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

LAB = Path(__file__).resolve().parent
CHECKOUT = LAB.parent.parent
STATE = CHECKOUT / "build/lab"
COMMAND = str(LAB / "lab")
NAMES = ["lvs1", "lvs2", "web1", "web2", "client"]


def lab(*words: str, good: bool = True) -> subprocess.CompletedProcess[str]:
    """Run one of the lab's commands."""
    done = subprocess.run([COMMAND, *words], capture_output=True, text=True, timeout=240,
                          cwd="/", check=False)
    assert not good or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done


def on(machine: str, *words: str, good: bool = True) -> str:
    """What a command says on a machine."""
    return lab("run", machine, "--", *words, good=good).stdout


def page(machine: str, address: str) -> str:
    """What a machine gets from a real server; empty where no answer comes."""
    return on(machine, "curl", "-s", "-m", "2", address, good=False).strip()


def traces() -> list[str]:
    """What of a lab is on this host; looked for without the lab's own code."""
    found = [str(path) for path in Path("/run/netns").glob("piranha-lab*")]
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if str(STATE) in line or "piranha-lab" in line:
            found.append(f"mount {line}")
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(STATE) in text or "/run/piranha-lab" in text:
            found.append(f"process {path.parent.name}: {text}")
    found += [str(p) for p in (STATE, Path("/run/piranha-lab")) if p.exists()]
    for top, folders, _unused in os.walk("/sys/fs/cgroup"):
        found += [f"{top}/{name}" for name in folders if name == "piranha-lab"]
    for link in json.loads(subprocess.run(["ip", "-json", "link"], capture_output=True, text=True,
                                          check=True).stdout):
        if link["ifname"].split("-")[0] in NAMES:
            found.append(f"interface {link['ifname']}")
    return found


def loose() -> set[str]:
    """Places where programs we start might leave something by themselves."""
    places = [Path("/dev/shm"), Path("/run"), Path("/var/lib"),  # noqa: S108 -- only looked at
              Path.home() / ".uml", Path.home() / ".ssh"]
    return {str(p) for place in places if place.is_dir() for p in place.iterdir()
            if p.name != "netns"}


@pytest.fixture(scope="module", autouse=True)
def nobody_elses_lab() -> Iterator[None]:
    """Leave alone a lab that somebody is using; leave none behind."""
    if traces():
        pytest.exit("a lab is up. Remedy: tests/lab/lab down, then run selftest again", 1)
    yield
    lab("down")


@pytest.fixture(scope="module")
def up() -> float:
    """Bring the lab up; gives the seconds it took."""
    begun = time.monotonic()
    said = lab("up").stdout
    assert all(f"{name}: ready after" in said for name in NAMES)
    return time.monotonic() - begun


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_up_that_is_cut_off(number: signal.Signals) -> None:
    before = loose()
    process = subprocess.Popen([COMMAND, "up"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True)
    assert process.stdout is not None
    while "web1: power on" not in (line := process.stdout.readline()):
        assert line, "up ended before its time"
    process.send_signal(number)
    process.wait(60)
    process.stdout.close()
    if number == signal.SIGKILL:
        assert traces()
        assert "Remedy: tests/lab/lab up" in lab("list", good=False).stderr
        lab("down")
    else:
        assert process.returncode == 128 + number
    assert not traces()
    assert not loose() - before


def test_list_knows_all_machines(up: float) -> None:
    rows: list[dict[str, Any]] = json.loads(lab("list", "--json").stdout)
    assert [row["name"] for row in rows] == NAMES
    assert {row["power"] for row in rows} == {"on"}
    assert up < 150, "with the image in the cache it takes 15 s on an idle machine"


def test_up_again_changes_nothing(up: float) -> None:
    begun = on("lvs1", "cat", "/proc/sys/kernel/random/boot_id")
    assert "is up already" in lab("up").stdout
    assert on("lvs1", "cat", "/proc/sys/kernel/random/boot_id") == begun


@pytest.mark.parametrize("name", NAMES)
def test_run_passes_words_and_status_on(up: float, name: str) -> None:
    assert on(name, "hostname") == f"{name}\n"
    done = lab("run", name, "--", "sh", "-c", 'printf "%s|" "$@"; exit 9', "-", "a  b", "$X", "'",
               good=False)
    assert (done.stdout, done.returncode) == ("a  b|$X|'|", 9)
    assert on(name, "systemctl", "--failed", "--plain", "--no-legend") == ""
    assert "default" not in on(name, "ip", "route")
    over_ssh = lab("exec", "--", "ssh", "-F", str(STATE / "ssh_config"), "-o", "BatchMode=yes",
                   name, "hostname")
    assert over_ssh.stdout == f"{name}\n"


def test_routers_are_bare_but_have_ipvs(up: float) -> None:
    for name in ("lvs1", "lvs2"):
        on(name, "modprobe", "ip_vs")
        assert on(name, "ipvsadm", "-Sn") == ""
        assert on(name, "sysctl", "-n", "net.ipv4.ip_forward") == "0\n"


def test_networks_are_what_the_topology_says(up: float) -> None:
    assert (page("lvs1", "192.0.2.21"), page("lvs2", "192.0.2.22")) == ("web1", "web2")
    assert lab("exec", "--", "curl", "-s", "-m", "2", "192.0.2.21").stdout == "web1\n"
    assert page("client", "192.0.2.21") == "", "the client is not in the private network"
    on("client", "ping", "-c", "1", "-W", "2", "203.0.113.11")


def test_large_pages_pass_between_both_kinds_of_machines(up: float) -> None:
    on("web1", "dd", "if=/dev/zero", "of=/var/www/html/large", "bs=1M", "count=20")
    speed = on("lvs1", "curl", "-s", "-m", "20", "-o", "/dev/null", "-w",
               "%{size_download} %{speed_download}", "192.0.2.21/large").split()
    assert speed[0] == str(20 << 20)
    assert int(speed[1]) > 2_000_000, "bytes a second; with offload left on it stalls"


@pytest.mark.parametrize("name", ["lvs1", "web2"])
def test_link_cut_and_restored(up: float, name: str) -> None:
    target = "192.0.2.22" if name == "lvs1" else "192.0.2.1"
    ping = ("ping", "-c", "1", "-W", "1", target)
    on(name, *ping)
    lab("link", "cut", name, "private")
    assert lab("run", name, "--", *ping, good=False).returncode == 1
    row = next(r for r in json.loads(lab("list", "--json").stdout) if r["name"] == name)
    assert row["links_cut"] == ["private"]
    lab("link", "restore", name, "private")
    on(name, *ping)


@pytest.mark.parametrize("name", ["lvs2", "web1"])
def test_power_cut_and_on_again(up: float, name: str) -> None:
    """Nothing of it answers any more; what was on its disk is there again, the rest is not."""
    private = on(name, "ip", "-4", "-o", "address", "show", "eth2").split()[3].split("/")[0]
    on(name, "sh", "-c", "echo kept >/root/proof && ip address add 192.0.2.77/32 dev lo")
    ping = ("exec", "--", "ping", "-c", "1", "-W", "1", private)
    lab(*ping)
    begun = time.monotonic()
    lab("power-cut", name)
    assert time.monotonic() - begun < 3
    assert lab(*ping, good=False).returncode == 1
    refused = lab("run", name, "--", "true", good=False)
    assert refused.returncode == 125
    assert refused.stderr == f"lab: {name} has no power. Remedy: tests/lab/lab power-on {name}\n"
    assert "had no power" in lab("power-cut", name).stdout
    lab("power-on", name)
    lab(*ping)
    assert on(name, "cat", "/root/proof") == "kept\n"
    assert "192.0.2.77" not in on(name, "ip", "address")


def test_wrong_names_are_one_sentence(up: float) -> None:
    for words, sentence in (
        (("run", "lvs9", "--", "true"),
         "lab: there is no machine 'lvs9' in this lab; there are: lvs1, lvs2, web1, web2, client."),
        (("link", "cut", "web1", "public"),
         "lab: web1 is not in a network 'public'; it is in: mgmt, private."),
        (("run", "lvs1"), "lab: no command given; for example: lab run lvs1 -- ip address"),
        (("up", "mars"), "lab: there is no topology 'mars'; there are: direct, nat, tunnel. "
         "A file of your own is given by its path, ending in .yml."),
    ):
        done = lab(*words, good=False)
        assert (done.returncode, done.stderr) == (125, f"{sentence}\n")


def test_down_leaves_no_trace(up: float) -> None:
    assert traces()
    lab("down")
    assert not traces()
    assert "nothing was up" in lab("down").stdout
