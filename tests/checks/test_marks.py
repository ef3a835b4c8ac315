# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Marking rules in this machine's own nftables and iptables, in a network namespace of the test.

Whether packets get the mark is asked of the kernel itself: a counter of the test stands behind our
rules and counts what has it. Kernels without nftables are tests/cluster's matter.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from piranha.marks import glance, programs
from piranha.marks.backends import Backend, Legacy, Nft
from piranha.marks.keeper import Keeper
from piranha.marks.rules import NOTHING, Rule, Rules, marked

CLONE_NEWNET = 0x40000000
ADDRESSES = ("192.0.2.100", "192.0.2.101", "2001:db8::100")
MARK = 0x50ABCDEF
SHOP = marked(MARK, "192.0.2.100", "tcp", (80, 443))
ALL = SHOP | {
    Rule("192.0.2.100", "udp", 53, 7),
    Rule("192.0.2.100", "sctp", 80, 9),
    Rule("192.0.2.101", "udp", 0, 21),
    Rule("192.0.2.101", "udp", 22, 0xFFFFFFFF),
    Rule("2001:db8::100", "udp", 53, MARK),
    Rule("2001:db8::100", "tcp", 0, 6),
}


def sh(*words: str, text: str = "") -> str:
    done = subprocess.run(
        words, input=text, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


def _setns(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


@pytest.fixture
def namespace() -> Iterator[None]:
    """This process is in an empty network namespace, whose loopback has the virtual addresses."""
    libc = ctypes.CDLL(None, use_errno=True)
    own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if libc.unshare(CLONE_NEWNET):
        pytest.fail(f"no network namespace can be made: {os.strerror(ctypes.get_errno())}; be root")
    try:
        sh("ip", "link", "set", "lo", "up")
        for address in ADDRESSES:
            sh("ip", "addr", "add", address, "dev", "lo", *(["nodad"] if ":" in address else []))
        yield
    finally:
        _setns(own)
        os.close(own)


WAYS: dict[str, Callable[[Path], Backend]] = {
    "nft": lambda _folder: Nft(),
    "iptables-legacy": Legacy,
}


@pytest.fixture(params=WAYS)
def backend(request: pytest.FixtureRequest, namespace: None, tmp_path: Path) -> Backend:
    return WAYS[request.param](tmp_path)


def text_of(backend: Backend) -> str:
    """All rules that are there, in the words of the programs that people use."""
    if isinstance(backend, Nft):
        return sh("nft", "list", "ruleset")
    return sh("iptables-legacy", "-t", "mangle", "-S") + sh(
        "ip6tables-legacy", "-t", "mangle", "-S"
    )


def count_marks(marks: set[int]) -> None:
    """Have counters of the test behind all of ours, by nft, whoever made the rules."""
    lines = [f"meta mark {mark} counter" for mark in sorted(marks)]
    chain = "chain seen { type filter hook input priority 0; " + "\n".join(lines) + "\n}\n"
    sh("nft", "-f", "-", text=f"table inet test {{\n{chain}}}\n")


def counted() -> dict[int, int]:
    """Packets by mark."""
    found = {}
    for entry in json.loads(sh("nft", "-j", "list", "table", "inet", "test"))["nftables"]:
        if "rule" in entry:
            match, counter = entry["rule"]["expr"]
            found[match["match"]["right"]] = counter["counter"]["packets"]
    return found


def send(address: str, port: int, kind: socket.SocketKind = socket.SOCK_DGRAM) -> None:
    """One packet (of TCP the one that is refused) to an address and port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, kind) as sock, contextlib.suppress(ConnectionRefusedError):
        # From elsewhere, so that an answer is not to one of the virtual addresses.
        sock.bind(("::1" if ":" in address else "127.0.0.1", 0))
        sock.connect((address, port))
        if kind == socket.SOCK_DGRAM:
            sock.send(b"x")


def test_packets_get_their_marks_and_no_others_do(backend: Backend) -> None:
    asyncio.run(backend.write(ALL))
    count_marks({MARK, 7, 21, 0xFFFFFFFF, 6})
    tcp = socket.SOCK_STREAM
    send("192.0.2.100", 80, tcp)
    send("192.0.2.100", 443, tcp)
    send("2001:db8::100", 53)
    send("192.0.2.100", 53)
    for port in (20, 21, 1024, 65535):
        send("192.0.2.101", port)
    send("192.0.2.101", 22)
    send("2001:db8::100", 8080, tcp)
    # None of these has a rule: other port, other protocol, other address.
    send("192.0.2.100", 81, tcp)
    send("192.0.2.100", 80)
    send("192.0.2.101", 80, tcp)
    send("127.0.0.1", 80, tcp)
    assert counted() == {MARK: 3, 7: 1, 21: 4, 0xFFFFFFFF: 1, 6: 1}


def test_what_is_written_is_read_back_whole(backend: Backend) -> None:
    async def story() -> None:
        for wanted in (ALL, SHOP, ALL - SHOP, frozenset(rule for rule in ALL if rule.port)):
            await backend.write(wanted)
            found = await backend.read()
            assert (found.rules, found.whole) == (wanted, True)
        await backend.remove()
        assert await backend.read() == type(found)()

    before = text_of(backend)
    asyncio.run(story())
    # An empty table of iptables has its policies still.
    assert text_of(backend) == before


def test_rules_of_others_stay(backend: Backend) -> None:
    if isinstance(backend, Nft):
        sh("nft", "add table inet filter; add chain inet filter input; add table ip piranha_marks")
    else:
        sh("iptables-legacy", "-t", "mangle", "-N", "MINE")
        sh("iptables-legacy", "-t", "mangle", "-A", "PREROUTING", "-i", "eth9", "-j", "MINE")
        sh("iptables-legacy", "-t", "mangle", "-A", "MINE", "-j", "RETURN")
    before = text_of(backend)

    async def story() -> None:
        for wanted in (SHOP, ALL, SHOP):
            await backend.write(wanted)
        assert before != text_of(backend)
        await backend.remove()

    asyncio.run(story())
    present = text_of(backend).splitlines()
    assert [line for line in before.splitlines() if line not in present] == []
    assert "piranha_marks" not in text_of(backend).replace("table ip piranha_marks", "").lower()


def test_a_thousand_services_are_loaded_at_once(namespace: None) -> None:
    many = frozenset(
        Rule(f"10.{n // 250}.{n % 250}.1", "tcp", port, 1000 + n)
        for n in range(1000)
        for port in (80, 443)
    )
    backend = Nft()
    begun = time.monotonic()
    asyncio.run(backend.write(many))
    assert asyncio.run(backend.read()).rules == many
    assert time.monotonic() - begun < 5.0


def test_the_cheap_look_sees_every_change(backend: Backend) -> None:
    async def story() -> None:
        await backend.write(SHOP)
        quiet = backend.look()
        assert quiet is not None
        assert backend.look() == quiet
        await backend.read()
        assert backend.look() == quiet
        await backend.write(SHOP | {Rule("192.0.2.101", "tcp", 25, 8)})
        assert backend.look() != quiet

    asyncio.run(story())


def test_the_look_costs_next_to_nothing(namespace: None) -> None:
    begun = time.process_time()
    for _unused in range(100):
        glance.generation()
    # A program costs a hundred times as much.
    assert (time.process_time() - begun) / 100 < 0.001


CHANGES = {
    "nft": [
        "flush ruleset",
        "delete table inet piranha_marks",
        "flush chain inet piranha_marks prerouting",
        "delete element inet piranha_marks ports4 { 192.0.2.100 . tcp . 443 }",
        "add rule inet piranha_marks prerouting meta mark set 0",
        "add table inet piranha_marks { flags dormant; }",
    ],
    "iptables-legacy": [
        "-F",
        "-F PIRANHA_MARKS",
        "-D PREROUTING -j PIRANHA_MARKS",
        "-A PREROUTING -j PIRANHA_MARKS",
        "-D PIRANHA_MARKS 1",
        "-A PIRANHA_MARKS -j MARK --set-xmark 0x0/0xffffffff",
    ],
}


@pytest.mark.parametrize(
    ("name", "change"), [(name, change) for name, listed in CHANGES.items() for change in listed]
)
def test_whatever_somebody_does_to_them_they_come_back(
    namespace: None, tmp_path: Path, name: str, change: str
) -> None:
    events: list[tuple[str, str]] = []

    async def until(wanted: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not wanted():
                await asyncio.sleep(0.01)

    async def story() -> None:
        backend = WAYS[name](tmp_path)
        keeper = Keeper(tmp_path, lambda *event: events.append(event), lambda: [backend])
        ready: list[bool] = []
        assert keeper.want(SHOP, lambda: ready.append(True))
        await until(lambda: bool(ready))
        keeper.settle()
        as_made = text_of(backend)
        words = [change] if name == "nft" else ["-t", "mangle", *change.split()]
        sh(name, *words)
        assert text_of(backend) != as_made
        keeper.look()
        await until(lambda: [level for level, _text in events].count("warning") == 1)
        await until(lambda: (keeper.state() or {})["repairs"] == 1 and text_of(backend) == as_made)
        await keeper.stop()
        assert text_of(backend) == as_made

    asyncio.run(story())
    assert "changed by somebody else" in dict(events)["warning"]


def test_nftables_is_taken_where_there_is_one(namespace: None, tmp_path: Path) -> None:
    async def story() -> Rules:
        done = asyncio.Event()
        keeper = Keeper(tmp_path, lambda *_event: None)
        assert keeper.want(SHOP, done.set)
        await done.wait()
        assert (keeper.state() or {})["by"] == "nft"
        found = await Nft().read()
        await keeper.stop()
        return found.rules

    assert asyncio.run(story()) == SHOP
    assert asyncio.run(Legacy(tmp_path, ["ipv4", "ipv6"]).read()).rules == NOTHING


@pytest.mark.parametrize(
    ("words", "text", "told"),
    [
        (["nft", "-f", "-"], "no such command\n", r'nft: ".*syntax error'),
        (["nft", "list", "table", "inet", "nosuch"], "", "No such file or directory"),
        (
            ["iptables-legacy-restore", "--noflush"],
            "*mangle\n-A NOSUCH\n",
            "iptables-legacy-restore",
        ),
        (["no-such-program"], "", "there is no program no-such-program"),
        (["sleep", "60"], "", r"sleep did not end within 0\.2 s and was killed"),
    ],
)
def test_what_a_program_cannot_do_is_said_in_a_sentence(
    namespace: None, words: list[str], text: str, told: str
) -> None:
    with pytest.raises(programs.Failed, match=told):
        asyncio.run(programs.run(words, text, limit=0.2 if words[0] == "sleep" else 5.0))


IN_SANDBOX = """\
mount -t tmpfs tmpfs /run
if [ "$1" = held ]; then : > /run/xtables.lock; fi
shift
mount -o remount,ro /run
exec setpriv --no-new-privs --bounding-set=-all,+net_admin,+net_raw,+net_bind_service "$@"
"""
KEEP = """\
import asyncio, sys
from pathlib import Path
from piranha.marks.backends import Legacy, Nft
from piranha.marks.rules import Rule, marked
folder = Path(sys.argv[2])
backend = {"nft": Nft(), "iptables-legacy": Legacy(folder)}[sys.argv[1]]
wanted = marked(7, "192.0.2.100", "tcp", (80, 443)) | {Rule("2001:db8::100", "udp", 53, 8)}
asyncio.run(backend.write(wanted))
found = asyncio.run(backend.read())
assert (found.rules, found.whole) == (wanted, True), found
assert backend.look() is not None
print(sorted(path.name for path in folder.iterdir()))
"""


@pytest.mark.parametrize(
    ("name", "lock", "left"),
    [
        ("nft", "none", "[]"),
        ("iptables-legacy", "held", "[]"),
        ("iptables-legacy", "none", "['xtables.lock']"),
    ],
)
def test_the_rights_that_the_unit_leaves_are_enough(
    namespace: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    lock: str,
    left: str,
) -> None:
    """Three capabilities, no way to more, and a /run that cannot be written to."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    before = ("unshare", "--mount", "sh", "-euc", IN_SANDBOX, "sh", lock)
    told = sh(*before, sys.executable, "-c", KEEP, name, str(tmp_path))
    assert told.strip() == left


UNMARK = Path(__file__).parents[2] / "roles/piranha_router/tasks/unmark.yml"


@pytest.mark.parametrize("name", WAYS)
def test_the_role_takes_the_rules_away_with_the_router(
    namespace: None, tmp_path: Path, name: str
) -> None:
    """As `piranha_router_state: absent` does; the same once more finds nothing to do."""
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {
            "__piranha_router_run": str(tmp_path),
            "ansible_python_interpreter": sys.executable,
        },
        "tasks": [{"ansible.builtin.import_tasks": str(UNMARK)}],
    }
    (tmp_path / "play.yml").write_text(json.dumps([play, play]))
    backend = WAYS[name](tmp_path)
    before = text_of(backend)

    async def mark() -> None:
        done = asyncio.Event()
        keeper = Keeper(tmp_path, lambda *_event: None, lambda: [backend])
        assert keeper.want(ALL, done.set)
        await done.wait()
        await keeper.stop()

    asyncio.run(mark())
    assert text_of(backend) != before
    playbook = str(Path(sys.executable).with_name("ansible-playbook"))
    told = sh(playbook, "-i", "localhost,", str(tmp_path / "play.yml"))
    assert "changed=1 " in told, "by the first of the two"
    assert text_of(backend) == before
