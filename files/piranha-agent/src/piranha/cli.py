# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `piranha`: its subcommands, their help and exit statuses.

Each subcommand imports what it needs when it runs, so that `piranha config` works with nothing
but Python's standard library, and quickly. What is shown is made in control/render.py.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from piranha import (
    __version__,
    config_cli,
    editor_cli,
    files,
    gui_cli,
    metrics_cli,
    nanny_cli,
    old_cli,
    override_cli,
    passwd_cli,
    probe_cli,
    switch_cli,
)

CONFIG = Path("/etc/lvs.cf")
RUN_DIR = Path("/run/piranha")
INSTALLED = {
    "piranha": "man/man8/piranha.8",
    "lvs.cf": "man/man5/lvs.cf.5",
    "piranha-passwd": "man/man1/piranha-passwd.1",
    "piranha-gui": "man/man8/piranha-gui.8",
    "completion": "bash-completion/completions/piranha",
    "completion of piranha-passwd": "bash-completion/completions/piranha-passwd",
}
"""Where man and bash look for them, below /usr/share; the role knows the same names."""

OK, PROBLEM, UNREACHABLE = 0, 1, 2
EXIT_STATUS = "exit status: 0 all is well, 1 there is a problem, 2 used wrongly or out of reach"

SHORTEST, LONGEST = 0.2, 86400.0
"""Seconds between two looks of --watch."""

Command = Callable[[argparse.Namespace], int]
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def parser() -> argparse.ArgumentParser:
    """Give the whole command line; completion and manual page are made from it too."""
    top = argparse.ArgumentParser(
        prog="piranha",
        description="Linux Virtual Server router: heartbeats, takeover, IPVS table, health checks.",
        epilog=EXIT_STATUS,
    )
    top.add_argument("--version", action="version", version=f"piranha {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    _add_looking(commands)
    _command(commands, "reload", _reload, "put lvs.cf in force; a bad one changes nothing")
    probe_cli.register(commands, _command, _with_pulse, _seconds)
    switch_cli.register(commands, _command, _with_pulse)
    override_cli.register(commands, _command, _with_pulse)
    metrics_cli.register(commands, _command)
    config_cli.register(commands)
    nanny_cli.register(commands, _command, _config_option, _with_pulse)
    _add_running(commands)
    passwd_cli.register(commands)

    page = commands.add_parser("manual", help="print a manual page, for man")
    page.add_argument(
        "page",
        nargs="?",
        choices=("piranha", "lvs.cf", "piranha-passwd", "piranha-gui"),
        default="piranha",
        help="about these commands (%(default)s, the default), the file lvs.cf, or the web page",
    )
    page.add_argument(
        "--install",
        metavar="FOLDER",
        type=Path,
        help="write all pages and the completion for bash below FOLDER, usually /usr/share",
    )
    page.set_defaults(run=_manual)
    script = commands.add_parser("completion", help="print completion for bash")
    script.set_defaults(run=_completion)
    return top


def _add_looking(commands: Commands) -> None:
    """Add what shows what the agent on this router does."""
    show = _command(
        commands, "status", _status, "show state, partner, virtual services and real servers"
    )
    show.add_argument(
        "name",
        metavar="NAME",
        nargs="?",
        help="only this virtual service, or those that have this real server (name or address)",
    )
    show.add_argument("--json", action="store_true", help="everything there is, as one JSON object")
    show.add_argument(
        "-w",
        "--watch",
        type=_seconds,
        nargs="?",
        const=2.0,
        metavar="SECONDS",
        help="show it again and again, every %(const)g seconds or as often as given",
    )

    events = _command(commands, "events", _events, "show what happened lately")
    events.add_argument("-f", "--follow", action="store_true", help="go on as more happens")
    events.add_argument("--json", action="store_true", help="one JSON object a line")


def _add_running(commands: Commands) -> None:
    """Add what the service itself runs, and what tells of the program."""
    old_cli.register(commands, _command, _config_option)
    editor_cli.register(commands, _command, _config_option)
    gui_cli.register(commands, _command)

    release = _command(
        commands,
        "release",
        _release,
        "stop failover services, give up the addresses and say goodbye, without pulse",
    )
    _config_option(release)

    version = commands.add_parser("version", help="show the version of this command")
    version.set_defaults(run=_version)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit status.

    arguments: the words after the program; None: those of this process, and its name counts.
    """
    if arguments is None:
        arguments = [*old_cli.called_as(sys.argv[0]), *sys.argv[1:]]
    top = parser()
    options = top.parse_args(arguments)
    run: Command = options.run
    try:
        return run(options)
    except KeyboardInterrupt:
        return 130  # as a shell reports SIGINT
    except BrokenPipeError:
        # Whoever read our output (head, less) has seen enough; silence Python's own complaint.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def _command(
    commands: Commands,
    name: str,
    run: Command,
    summary: str,
) -> argparse.ArgumentParser:
    """Add a subcommand that has to do with a running pulse."""
    command = commands.add_parser(
        name, help=summary, description=summary[0].upper() + summary[1:] + ".", epilog=EXIT_STATUS
    )
    command.add_argument(
        "--run-dir",
        type=Path,
        default=RUN_DIR,
        metavar="DIR",
        help="folder of the running pulse (%(default)s)",
    )
    command.set_defaults(run=run)
    return command


def _seconds(text: str) -> float:
    """Read a number of seconds for argparse, which says what is wrong with it."""
    seconds = float(text)
    if not SHORTEST <= seconds <= LONGEST:
        raise argparse.ArgumentTypeError(f"{text} is not between {SHORTEST:g} and {LONGEST:g}")
    return seconds


def _config_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-c",
        "--config",
        type=Path,
        default=CONFIG,
        metavar="FILE",
        help="the configuration (%(default)s)",
    )


def _complain(sentence: str) -> None:
    print(f"piranha: {sentence}", file=sys.stderr)


def _with_pulse(run_dir: Path, work: Callable[..., int]) -> int:
    """Call `work` with a client of the running pulse; say so where there is none."""
    from piranha.control.client import Client, Refused, Unreachable
    from piranha.pulse.names import SOCKET

    try:
        with Client(run_dir / SOCKET) as client:
            return work(client)
    except Unreachable as why:
        _complain(str(why))
        return UNREACHABLE
    except Refused as why:
        for sentence in str(why).splitlines():
            _complain(sentence)
        return PROBLEM


def _status(options: argparse.Namespace) -> int:
    from piranha.control import render
    from piranha.control.client import Client
    from piranha.control.screen import Screen

    colour = render.wants_colour(sys.stdout)

    def look(client: Client) -> dict[str, Any]:
        status = client.ask("status")
        return render.only(status, options.name) if options.name else status

    def show(client: Client) -> int:
        status = look(client)
        if options.json:
            print(json.dumps(status, indent=None if options.watch else 2, sort_keys=True))
        else:
            print("\n".join(render.status(status, colour)))
        return PROBLEM if render.problems(status) else OK

    def repeat(client: Client) -> int:
        while True:
            if not options.json:
                print(_title(options.watch))
            show(client)
            sys.stdout.flush()
            time.sleep(options.watch)

    def watch(client: Client) -> int:
        if options.json or not sys.stdout.isatty():
            return repeat(client)
        with Screen(sys.stdout) as screen:
            while True:
                lines = render.status(look(client), colour, alarms_first=True)
                screen.show([_title(options.watch), "", *lines])
                time.sleep(options.watch)

    try:
        return _with_pulse(options.run_dir, watch if options.watch else show)
    except LookupError as why:
        _complain(f"{why}; see piranha status")
        return UNREACHABLE


def _title(seconds: float) -> str:
    """Give the line above a status that is shown again and again."""
    return f"{time.strftime('%Y-%m-%d %H:%M:%S')}, every {seconds:g} s"


def _events(options: argparse.Namespace) -> int:
    from piranha.control import render
    from piranha.control.client import Client

    colour = render.wants_colour(sys.stdout)

    def show(event: dict[str, object]) -> None:
        text = json.dumps(event) if options.json else render.event(event, colour)
        print(text, flush=True)

    def stream(client: Client) -> int:
        for event in client.ask("events")["events"]:
            show(event)
        if options.follow:
            for event in client.events():
                show(event)
            _complain("pulse has ended")
            return UNREACHABLE
        return OK

    return _with_pulse(options.run_dir, stream)


def _reload(options: argparse.Namespace) -> int:
    from piranha.control.client import Client

    def ask(client: Client) -> int:
        for warning in client.ask("reload").get("warnings", ()):
            print(warning)
        return OK

    return _with_pulse(options.run_dir, ask)


def _release(options: argparse.Namespace) -> int:
    from piranha.fos import release
    from piranha.pulse import names, resign
    from piranha.pulse.journal import Notify

    # Where pulse has run, the configuration in force counts, not one that was edited since.
    in_force = options.run_dir / names.CONFIG_IN_FORCE
    config = in_force if in_force.exists() else options.config

    def patience(seconds: float) -> None:
        # The unit's time limit is for the addresses; services may need longer.
        Notify().send(EXTEND_TIMEOUT_USEC=int(seconds * 1e6))

    problems: list[str] = []
    try:
        # Services first: whoever takes the addresses starts them.
        problems += release.stop_all(options.run_dir.absolute(), patience=patience)
    except Exception as why:  # noqa: BLE001 - the addresses must go all the same
        problems.append(f"failover services were not stopped: {why or type(why).__name__}")
    try:
        resign.resign(config.absolute(), options.run_dir.absolute())
    except Exception as why:  # noqa: BLE001 - the last thing that runs must say what it could not do
        problems.append(f"the addresses could not be released: {why or type(why).__name__}")
    for sentence in problems:
        _complain(sentence)
    return PROBLEM if problems else OK


def _version(options: argparse.Namespace) -> int:
    print(f"piranha {__version__}")
    return OK


def _manual(options: argparse.Namespace) -> int:
    from piranha import cli_docs, page_manual
    from piranha.config import manual

    pages: dict[str, Callable[[], str]] = {
        "piranha": lambda: cli_docs.manual(parser(), __version__),
        "lvs.cf": lambda: manual.page(__version__),
        "piranha-passwd": lambda: page_manual.passwd(parser(), __version__),
        "piranha-gui": lambda: page_manual.gui(__version__),
    }
    if options.install is None:
        print(pages[options.page](), end="")
        return OK
    texts = {INSTALLED[name]: page() for name, page in pages.items()}
    script = cli_docs.completion(parser())
    texts |= {place: script for name, place in INSTALLED.items() if name.startswith("completion")}
    before = os.umask(0o022)
    try:
        for name, text in texts.items():
            path = options.install / name
            path.parent.mkdir(parents=True, exist_ok=True)
            files.replace(path, text, public=True)
    except OSError as problem:
        _complain(f"{problem.filename}: {problem.strerror}; the pages are not all written")
        return PROBLEM
    finally:
        os.umask(before)
    return OK


def _completion(options: argparse.Namespace) -> int:
    from piranha import cli_docs

    print(cli_docs.completion(parser()), end="")
    return OK
