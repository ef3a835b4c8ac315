# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""in-ipvs-kernel as its callers see it. Run by tests/lab/selftest."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

LAB = Path(__file__).resolve().parent
CHECKOUT = LAB.parent.parent
BUILD = CHECKOUT / "build"
ENTER = str(LAB / "in-ipvs-kernel")


def inside(*command: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a command in there; extra are variables of the environment."""
    return subprocess.run([ENTER, *command], capture_output=True, text=True, timeout=90,
                          cwd=CHECKOUT, env={**os.environ, **extra}, check=False)


def kernels() -> list[str]:
    """The user-mode kernels of jobs that run now, by their command lines."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if f"PIRANHA_BUILD={BUILD}" in text:
            found.append(text)
    return found


def jobs() -> set[Path]:
    """The folders of jobs."""
    return set((BUILD / "in-ipvs-kernel").glob("*"))


def test_ipvs_status_streams_words_and_variables() -> None:
    done = inside("sh", "-c", 'ipvsadm -Ln; echo "$FOO" >&2; pwd; exit 7', FOO="a b'c\nd $x")
    assert done.returncode == 7
    assert done.stdout.startswith("IP Virtual Server version")
    assert done.stdout.splitlines()[-1] == str(CHECKOUT)
    assert done.stderr == "a b'c\nd $x\n"


def test_namespaces_marks_and_tunnels_can_be_made() -> None:
    done = inside("sh", "-exc", """
        ip netns add a
        ip link add br0 type bridge
        ip link add va type veth peer name eth0 netns a
        ip link set va master br0 up; ip link set br0 up; ip address add 192.0.2.1/24 dev br0
        ip -n a address add 192.0.2.2/24 dev eth0; ip -n a link set eth0 up
        ip link add dummy9 type dummy
        ip link add tun9 type ipip local 192.0.2.1 remote 192.0.2.2
        iptables-legacy -t mangle -A PREROUTING -p tcp -j MARK --set-mark 1
        ping -c 1 -W 2 192.0.2.2
        ip netns exec a ipvsadm -A -f 1 -s wlc
        ip netns exec a ipvsadm -Sn""")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "-A -f 1 -s wlc"


def test_files_of_the_host_are_safe_and_build_is_written_through() -> None:
    mark = BUILD / "in-ipvs-kernel-proof"
    readme = (CHECKOUT / "README.md").read_bytes()
    harm = "echo x >/etc/piranha-proof && echo x >>README.md && rm -r tests"
    done = inside("--uml", "sh", "-c", f"{harm} && echo kept >{mark}")
    try:
        assert done.returncode == 0, done.stderr
        assert mark.read_text() == "kept\n"
        assert not Path("/etc/piranha-proof").exists()
        assert (CHECKOUT / "README.md").read_bytes() == readme
        assert LAB.is_dir()
    finally:
        mark.unlink(missing_ok=True)


def test_native_where_the_kernel_has_ipvs() -> None:
    """A kernel with IPVS is at hand: the one of the wrapper itself."""
    done = inside(ENTER, "--native", "sh", "-c", "ip -br link; ip netns add x; ipvsadm -Sn; exit 5")
    assert done.returncode == 5, done.stderr
    assert done.stdout.split()[:2] == ["lo", "UNKNOWN"]
    assert len(done.stdout.splitlines()) == 1, "a fresh network namespace has nothing but lo"


@pytest.mark.skipif(Path("/proc/net/ip_vs").exists(), reason="this kernel has IPVS")
def test_native_is_refused_where_it_has_none() -> None:
    done = inside("--native", "true")
    assert (done.returncode, done.stderr) == (
        125, "in-ipvs-kernel: this machine's kernel has no IPVS. Remedy: leave --native out.\n")


def test_unknown_command() -> None:
    done = inside("no-such-command")
    assert done.returncode == 127
    assert "no-such-command" in done.stderr


def test_time_limit() -> None:
    done = inside("--timeout", "25", "sh", "-c", "echo begun; sleep 120")
    assert done.returncode == 124
    assert done.stdout == "begun\n"
    assert done.stderr == ("in-ipvs-kernel: time was up after 25 s; ended sh "
                           "(--timeout gives it more).\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_the_wrapper(number: signal.Signals) -> None:
    before, there = kernels(), jobs()
    process = subprocess.Popen([ENTER, "sleep", "60"], cwd=CHECKOUT)
    until = time.monotonic() + 60
    while len(kernels()) == len(before):
        assert time.monotonic() < until
        time.sleep(0.1)
    process.send_signal(number)
    process.wait(20)
    until = time.monotonic() + 10
    while len(kernels()) > len(before):
        assert time.monotonic() < until, kernels()
        time.sleep(0.1)
    if number == signal.SIGKILL:
        assert inside("true").returncode == 0  # which sweeps
    assert not jobs() - there
