# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""pulse with `service = fos`, its children pretending: who is asked what, and in which order."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from piranha.control.client import Refused

from tests.unit.agent_control.test_supervisor import Pulse, soon

CONFIG = """\
service = fos
primary = 192.0.2.1
backup = 192.0.2.2
backup_active = 1
keepalive = 0.4
deadtime = 2
failover web {
    address = 192.0.2.10 eth0:1
    active = 1
    port = 80
    start_cmd = "/bin/true"
    stop_cmd = "/bin/true"
    stop_timeout = 1
}
"""


@pytest.fixture
def pulse(tmp_path: Path) -> Iterator[Pulse]:
    made = Pulse(tmp_path)
    made.config.write_text(CONFIG, encoding="utf-8")
    yield made.up()
    made.end()


def asked(pulse: Pulse) -> list[str]:
    return [line for line in pulse.diary() if "is asked to stop" in line]


def test_fos_runs_instead_of_lvsd_and_services_stop_before_the_addresses_go(pulse: Pulse) -> None:
    assert set(pulse.pulse_of()["running"]) == {"heart", "fos"}
    assert pulse.status()["lvsd"] is None
    with pulse.client() as client, pytest.raises(Refused, match="runs failover services"):
        client.ask("servers", server="web")
    pulse.signal(signal.SIGTERM)
    assert pulse.wait() == 0
    assert asked(pulse) == ["fos is asked to stop", "heart is asked to stop"]
    assert "resigned" not in pulse.diary()
    told = pulse.told("STOPPING=1")
    assert told
    extended = next(line for line in iter(lambda: pulse.notify.recv(4096).decode(), "") if line)
    assert extended.startswith("EXTEND_TIMEOUT_USEC="), "systemd waits for the services"


def test_pulse_stays_while_a_service_cannot_be_stopped_and_ends_when_asked_twice(
    pulse: Pulse,
) -> None:
    pulse.mood("fos", "refuse")
    time.sleep(0.2)
    pulse.signal(signal.SIGTERM)
    soon(lambda: "pulse does not stop yet, and keeps the addresses" in pulse.log())
    assert pulse.process is not None
    assert pulse.process.poll() is None
    assert "heart is asked to stop" not in pulse.diary()
    pulse.signal(signal.SIGTERM)
    assert pulse.wait() == 0
    assert "resigned" in pulse.diary(), "nobody says goodbye in its own name"
    assert "heart is asked to stop" not in pulse.diary()


def test_pulse_tries_again_by_itself(pulse: Pulse) -> None:
    pulse.mood("fos", "refuse")
    time.sleep(0.2)
    pulse.signal(signal.SIGTERM)
    soon(lambda: "pulse does not stop yet" in pulse.log())
    (pulse.run_dir / "fos.mood").unlink()
    assert pulse.wait() == 0
    assert asked(pulse) == ["fos is asked to stop"] * 2 + ["heart is asked to stop"]


def test_the_kind_of_service_changes_with_a_restart_only(pulse: Pulse) -> None:
    pulse.config.write_text(CONFIG.replace("service = fos", "service = lvs"), encoding="utf-8")
    with pulse.client() as client, pytest.raises(Refused, match="restart the service"):
        client.ask("reload")
    assert not [line for line in pulse.diary() if "reload" in line]
    assert pulse.pulse_of()["running"]["fos"]


def test_fos_is_asked_first_whether_a_file_can_come_into_force(pulse: Pulse) -> None:
    pulse.mood("fos", "refuse")
    time.sleep(0.2)
    with pulse.client() as client, pytest.raises(Refused):
        client.ask("reload")
    asked_to_reload = [line for line in pulse.diary() if "reload" in line]
    assert asked_to_reload[0].startswith("fos "), asked_to_reload
