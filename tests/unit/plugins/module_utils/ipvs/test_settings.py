# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Timeouts and sync daemons as values, as bytes and through a kernel in memory.

Against the real one: tests/kernel/test_settings.py.
"""

from __future__ import annotations

import copy
import errno
import pickle
import struct
from typing import Any

import pytest
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs import netlink, settings_codec
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.errors import IpvsError
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.kernel import Kernel
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.model import (
    Service,
    ServiceKey,
    Table,
)
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.outcome import control_refusal
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.settings import (
    Daemon,
    Flush,
    Information,
    Role,
    SetTimeouts,
    StartDaemon,
    StopDaemon,
    Timeouts,
    Zero,
)
from hypothesis import given
from hypothesis import strategies as st

from .memory import ZEROES, MemoryPort

WEB = ServiceKey.by_address("tcp", "192.0.2.1", 80)
MASTER = Daemon("master", "eth0")

daemons = st.builds(
    Daemon,
    st.sampled_from(list(Role)),
    st.sampled_from(("eth0", "bond0.100", "a" * 15)),
    syncid=st.integers(0, 255),
    maxlen=st.integers(0, 65535),
    group=st.sampled_from(("224.0.0.81", "239.255.255.255", "ff02::81", "ff05::1:2")),
    port=st.integers(1, 65535),
    ttl=st.integers(1, 255),
)


def body_of(request: bytes) -> bytes:
    (message,) = netlink.messages(request)
    return message.body


@given(daemons)
def test_what_is_said_of_a_daemon_reads_back(daemon: Daemon) -> None:
    body = body_of(settings_codec.control_request(33, 7, StartDaemon(daemon)))
    assert body[0] == 9
    assert settings_codec.decode_daemon(body) == daemon
    assert pickle.loads(pickle.dumps(daemon)) == copy.copy(daemon) == daemon  # noqa: S301 - our own


def test_a_daemon_is_written_as_the_header_says() -> None:
    daemon = MASTER.replace(syncid=7, maxlen=1400, port=9999, ttl=3)
    value = b"".join(
        (
            netlink.attribute(1, struct.pack("=I", 1)),  # IPVS_DAEMON_ATTR_STATE: master
            netlink.attribute(2, b"eth0\0"),  # MCAST_IFN
            netlink.attribute(3, struct.pack("=I", 7)),  # SYNC_ID
            netlink.attribute(5, bytes((224, 0, 0, 81))),  # MCAST_GROUP
            netlink.attribute(7, struct.pack("=H", 9999)),  # MCAST_PORT, not in network order
            netlink.attribute(8, bytes((3,))),  # MCAST_TTL
            netlink.attribute(4, struct.pack("=H", 1400)),  # SYNC_MAXLEN
        )
    )
    body = body_of(settings_codec.control_request(33, 7, StartDaemon(daemon)))
    assert body[4:] == netlink.attribute(3, value)  # IPVS_CMD_ATTR_DAEMON


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        (
            SetTimeouts(Timeouts(1, 0, 3)),
            "0c010000080004000100000008000500000000000800060003000000",
        ),
        (StopDaemon(Role.BACKUP), "0a0100000c0003000800010002000000"),
        (Zero(), "10010000"),
        (Flush(), "11010000"),
        (Zero(ServiceKey.by_mark(5)), "100100001400010006000100020000000800050005000000"),
    ],
)
def test_the_other_commands_are_written_as_the_header_says(control: Any, expected: str) -> None:
    request = settings_codec.control_request(33, 7, control)
    (message,) = netlink.messages(request)
    assert message.flags == netlink.NLM_F_REQUEST | netlink.NLM_F_ACK
    assert message.body.hex() == expected


def test_answers_are_read() -> None:
    body = bytes.fromhex("0d01000008000400840300000800050078000000080006002c010000")
    assert settings_codec.decode_timeouts(body) == Timeouts(900, 120, 300)
    body = bytes.fromhex("0e01000008000100010201000800020000100000")
    assert settings_codec.decode_information(body) == Information("1.2.1", 4096)
    old = netlink.attribute(3, bytes.fromhex("080001000200000007000200657468000800030009000000"))
    assert settings_codec.decode_daemon(bytes(4) + old) == Daemon("backup", "eth", syncid=9)


@given(st.binary(max_size=60))
def test_nonsense_is_a_value_error(noise: bytes) -> None:
    for decode in (
        settings_codec.decode_timeouts,
        settings_codec.decode_information,
        settings_codec.decode_daemon,
    ):
        with pytest.raises(ValueError, match=r"incomplete answer|netlink attribute"):
            decode(bytes(4) + netlink.attribute(3, noise)[: 4 + len(noise)])


@pytest.mark.parametrize(
    ("given_one", "sentence"),
    [
        ({"role": "both"}, "sync daemon both: role 'both' is unknown; use master, backup."),
        ({"interface": ""}, "'' cannot be the name of an interface; give one that 'ip link' shows"),
        ({"interface": "a" * 16}, "cannot be the name of an interface"),
        ({"interface": "a b"}, "cannot be the name of an interface"),
        ({"interface": 5}, "5 cannot be the name of an interface"),
        ({"syncid": 256}, "sync id 256 is not a whole number from 0 to 255."),
        ({"maxlen": -1}, "longest message -1 is not a whole number from 0 to 65535."),
        ({"port": 0}, "port 0 is not a whole number from 1 to 65535."),
        ({"ttl": 0}, "ttl 0 is not a whole number from 1 to 255."),
        ({"group": "192.0.2.1"}, "'192.0.2.1' is no multicast address; use one like 224.0.0.81"),
        ({"group": "2001:db8::1"}, "'2001:db8::1' is no multicast address"),
        ({"group": "all"}, "'all' is no IPv4 or IPv6 address"),
    ],
)
def test_daemons_that_cannot_be(given_one: dict[str, Any], sentence: str) -> None:
    with pytest.raises(IpvsError) as caught:
        Daemon(**{"role": "master", "interface": "eth0", **given_one})
    assert sentence in str(caught.value)


def test_timeouts_that_cannot_be() -> None:
    for value in (-1, 31 * 24 * 3600 + 1, "5", True):
        with pytest.raises(IpvsError, match=r"tcp_fin timeout .* is not a whole number"):
            Timeouts(1, value, 1)  # type: ignore[arg-type]


def test_a_daemon_that_names_no_length_is_content_with_any() -> None:
    assert MASTER.agrees(MASTER.replace(maxlen=1472))
    assert not MASTER.agrees(MASTER.replace(maxlen=1472, ttl=2))
    assert not MASTER.replace(maxlen=1000).agrees(MASTER.replace(maxlen=1472))


@pytest.mark.parametrize(
    ("control", "number", "sentence"),
    [
        (
            StartDaemon(MASTER),
            errno.ENODEV,
            "start sync daemon master: there is no interface eth0 in this network namespace; name "
            "one that 'ip link' shows.",
        ),
        (
            StartDaemon(MASTER),
            errno.ENETUNREACH,
            "start sync daemon master: interface eth0 is down, or has no address of the multicast "
            "group's family; set it up and give it one.",
        ),
        (
            StartDaemon(MASTER),
            errno.EADDRNOTAVAIL,
            "start sync daemon master: interface eth0 has no address of the multicast group's "
            "family to send from; give it one, or use a group of the other family.",
        ),
        (StartDaemon(MASTER), errno.EEXIST, "one runs already; stop it first."),
        (StartDaemon(MASTER), errno.EINVAL, "a tunnel joins IPv4 and IPv6 in the table"),
        (StartDaemon(MASTER), errno.ENOMEM, "the kernel refuses it: Cannot allocate memory."),
        (StopDaemon(Role.MASTER), errno.ESRCH, "stop sync daemon master: it does not run."),
        (Zero(WEB), errno.ESRCH, "zero tcp 192.0.2.1:80: the virtual service is not there; add it"),
        (SetTimeouts(Timeouts(1)), errno.EPERM, "CAP_NET_ADMIN"),
        (Flush(), errno.ENOBUFS, "flush the table: the kernel refuses it: No buffer space"),
    ],
)
def test_refusals_are_one_sentence(control: Any, number: int, sentence: str) -> None:
    error = control_refusal(control, number)
    assert error is not None
    assert error.errno == number
    assert sentence in str(error)
    assert control_refusal(control, 0) is None


# Through a kernel in memory


def test_the_kernel_does_what_it_is_told() -> None:
    port = MemoryPort(Table([(Service(WEB), [])]))
    port.counted[WEB, None] = ZEROES._replace(connections=5)
    kernel = Kernel(port=port)
    kernel.set_timeouts(Timeouts(udp=5))
    assert kernel.timeouts() == Timeouts(900, 120, 5)
    kernel.start_daemon(MASTER)
    kernel.start_daemon(MASTER.replace(role="backup"))
    assert [daemon.role for daemon in kernel.daemons()] == [Role.BACKUP, Role.MASTER]
    kernel.stop_daemon("master")
    assert [daemon.role for daemon in kernel.daemons()] == [Role.BACKUP]
    kernel.zero(WEB)
    assert port.counted == {}
    kernel.flush()
    assert kernel.read() == Table()


def test_a_daemon_whose_successor_does_not_start_runs_on() -> None:
    port = MemoryPort()
    kernel = Kernel(port=port)
    kernel.start_daemon(MASTER.replace(syncid=4))
    before = kernel.daemons()
    with pytest.raises(IpvsError, match="there is no interface nosuch"):
        kernel.replace_daemon(MASTER.replace(interface="nosuch"))
    assert kernel.daemons() == before
    sent = len(port.sent)
    kernel.replace_daemon(MASTER.replace(syncid=4))
    assert len(port.sent) == sent, "it runs already"


@pytest.mark.parametrize("carried_out", [True, False])
def test_a_command_without_an_answer_is_settled_by_looking(carried_out: bool) -> None:
    acts = (
        (lambda kernel: kernel.set_timeouts(Timeouts(udp=5)), SetTimeouts),
        (lambda kernel: kernel.start_daemon(MASTER), StartDaemon),
        (lambda kernel: kernel.stop_daemon("backup"), StopDaemon),
        (lambda kernel: kernel.flush(), Flush),
    )
    for act, kind in acts:
        port = MemoryPort(Table([(Service(WEB), [])]))
        port.running[Role.BACKUP] = MASTER.replace(role="backup", maxlen=9)
        port.silent = carried_out
        port.failing[0] = None
        act(Kernel(port=port))
        again = 1 if carried_out and kind is not Flush else 2
        assert [type(command) for command in port.sent] == [kind] * again
        if kind is SetTimeouts:
            assert port.times.udp == 5
        elif kind is StartDaemon:
            assert Role.MASTER in port.running
        elif kind is StopDaemon:
            assert Role.BACKUP not in port.running
        else:
            assert port.table == Table()
