# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of the original Piranha: pulse, lvsd, fos and send_arp, with their options.

Each is a subcommand of `piranha`, and what `piranha` does where it is called by that name, as by a
link /usr/sbin/send_arp. Options that tell where programs are have no meaning any more: they are
accepted, and said to be without effect, so that an old start script goes on working.
"""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import Callable
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import TypeAlias

from piranha import __version__

OK, PROBLEM, MISUSED = 0, 1, 2
NAMES = ("pulse", "lvsd", "nanny", "fos", "send_arp")
"""Names under which `piranha` may be called."""
PREFIXED = {"piranha-passwd": "passwd", "piranha-gui": "gui", "piranha_gui": "gui"}
"""Names of old that are longer than their subcommand."""
MAC_SIZE = 6
EVERYBODY = b"\xff" * MAC_SIZE

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
Add: TypeAlias = Callable[..., argparse.ArgumentParser]
Option: TypeAlias = Callable[[argparse.ArgumentParser], None]


def called_as(program: str) -> list[str]:
    """Give the subcommand that a program's name stands for, in a list, or none."""
    name = Path(program).name
    name = PREFIXED.get(name, name)
    return [name] if name in (*NAMES, *PREFIXED.values()) else []


def register(commands: Commands, command: Add, config: Option) -> None:
    """Add the commands. command, config: what cli.py adds commands and the option -c with."""
    _add_pulse(commands, command, config)
    _add_lvsd(commands, command, config)
    _add_fos(commands, command, config)
    _add_send_arp(commands)


def _add_pulse(commands: Commands, command: Add, config: Option) -> None:
    pulse = command(commands, "pulse", _pulse, "run the router's agent (the service does this)")
    _foreground(pulse)
    config(pulse)
    pulse.add_argument(
        "-t",
        "--test-start",
        "--norun",
        action="store_true",
        help="only see whether it could start with the configuration on this machine, and end",
    )
    pulse.add_argument(
        "--forceactive",
        action="store_true",
        help="take the virtual addresses at once, without waiting for a partner to be heard; if it"
        " has them too, the backup of the two lets go",
    )
    _gone(pulse, "--lvs", "--lvsd", "--fos")
    _asks(pulse)


def _add_lvsd(commands: Commands, command: Add, config: Option) -> None:
    lvsd = command(
        commands, "lvsd", _lvsd, "keep the IPVS table and check real servers, without pulse"
    )
    _foreground(lvsd)
    config(lvsd)
    lvsd.add_argument(
        "-t",
        "--test-start",
        action="store_true",
        help="only see whether it could start with the configuration, and end",
    )
    _gone(lvsd, "--nanny")
    _asks(lvsd)


def _add_fos(commands: Commands, command: Add, config: Option) -> None:
    fos = command(commands, "fos", _fos, "tell how failover services are run")
    for option in ("-f", "--monitor"), ("-F", "--active"), ("-t", "--test-start"):
        fos.add_argument(*option, action="store_true", help=argparse.SUPPRESS)
    _foreground(fos)
    config(fos)
    _asks(fos)


def _add_send_arp(commands: Commands) -> None:
    arp = commands.add_parser(
        "send_arp",
        help="tell a neighbour, or all, which card has an address",
        description="Send one ARP reply that says at which card an IPv4 address is; for an IPv6 "
        "address one neighbour advertisement.",
        epilog="exit status: 0 sent, 1 it could not be sent, 2 used wrongly",
    )
    arp.add_argument(
        "-i", dest="device", default="eth0", metavar="DEVICE", help="send it here (%(default)s)"
    )
    arp.add_argument("address", type=_address, metavar="ADDRESS", help="the address")
    arp.add_argument("mac", type=_mac, metavar="MAC", help="its card, with colons or without")
    arp.add_argument(
        "target", nargs="?", metavar="TARGET", help="read as before, and not used: an address"
    )
    arp.add_argument(
        "to",
        nargs="?",
        type=_mac,
        default=EVERYBODY,
        metavar="TARGET_MAC",
        help="the card to tell it (everybody)",
    )
    _asks(arp)
    arp.set_defaults(run=_send_arp)


def _foreground(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-n",
        "--nodaemon",
        "--nofork",
        action="store_true",
        help="stay in the foreground, as it always does",
    )
    command.add_argument(
        "-v", "--verbose", action="store_true", help="say more, as it always does: see the journal"
    )


def _asks(command: argparse.ArgumentParser) -> None:
    """Add what each program of old answered."""
    command.add_argument("-?", "--usage", action="help", help=argparse.SUPPRESS)
    command.add_argument(
        "--version", action="version", version=f"piranha {__version__}", help=argparse.SUPPRESS
    )


def _gone(command: argparse.ArgumentParser, *names: str) -> None:
    for name in names:
        command.add_argument(
            name, metavar="PATH", dest=f"gone_{name.strip('-')}", help=argparse.SUPPRESS
        )


def _say_gone(options: argparse.Namespace) -> None:
    for name, value in vars(options).items():
        if name.startswith("gone_") and value is not None:
            option = name.removeprefix("gone_")
            _complain(f"--{option} has no effect: {option} is a part of this program")


def _complain(sentence: str) -> None:
    print(f"piranha: {sentence}", file=sys.stderr)


def _pulse(options: argparse.Namespace) -> int:
    _say_gone(options)
    if options.test_start:
        return _test_start(options.config)
    from piranha.pulse import supervisor

    return supervisor.run(options.config, options.run_dir, force=options.forceactive)


def _test_start(config: Path) -> int:
    """Read everything that a start reads, on this machine, and say what forbids it."""

    def role() -> str:
        from piranha.net.addresses import Addresses
        from piranha.net.rtnetlink import Netlink
        from piranha.pulse import reading

        found, _keys = reading.read_settings(config, Addresses(Netlink()))
        return f"; this router is the {found.role.name.lower()}"

    return _tried(config, "pulse", role)


def _tried(config: Path, who: str, further: Callable[[], str]) -> int:
    """Read the configuration as `who` does at its start, and say what forbids one.

    further: reads what else it reads, and gives what there is to say of that.
    """
    from piranha.pulse import reading, settings

    try:
        current = settings.load(config)
        said = further()
    except (settings.ConfigError, reading.CannotRun) as why:
        for sentence in str(why).splitlines():
            _complain(sentence)
        return PROBLEM
    for warning in current.warnings:
        print(warning)
    print(f"{config}: {who} can start with it{said}")
    return OK


def _lvsd(options: argparse.Namespace) -> int:
    from piranha.pulse import alone

    _say_gone(options)
    if options.test_start:
        return _tried(options.config, "lvsd", lambda: "")
    return alone.run(options.config.absolute(), options.run_dir.absolute())


def _fos(options: argparse.Namespace) -> int:
    _complain(
        "failover services are run by pulse, which tells each router when: write 'service = fos' in"
        f" {options.config} and start pulse"
    )
    return MISUSED


def _send_arp(options: argparse.Namespace) -> int:
    from piranha.net.announce import arp_reply, unsolicited_advertisement

    address, mac, to = options.address, options.mac, options.to
    if isinstance(address, IPv4Address):
        frame = arp_reply(mac, address, to)
    elif to == EVERYBODY:
        frame = unsolicited_advertisement(mac, address)
    else:
        frame = unsolicited_advertisement(mac, address, to=to)
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:
            wire.bind((options.device, 0))
            wire.send(frame)
    except PermissionError:
        _complain("sending it is not allowed; run this as root, or with CAP_NET_RAW")
        return PROBLEM
    except OSError as problem:
        _complain(f"it could not be sent on {options.device}: {problem.strerror}; see 'ip link'")
        return PROBLEM
    return OK


def _address(text: str) -> object:
    try:
        return ip_address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no address") from None


def _mac(text: str) -> bytes:
    digits = text.replace(":", "").replace("-", "")
    try:
        made = bytes.fromhex(digits)
    except ValueError:
        made = b""
    if len(made) != MAC_SIZE:
        raise argparse.ArgumentTypeError(f"{text} is no hardware address, as 02:00:00:00:00:01 is")
    return made
