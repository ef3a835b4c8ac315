# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking at this machine: what is found is what the machine itself says."""

from __future__ import annotations

from pathlib import Path

import pytest
from piranha.cli import main
from piranha.config.host_facts import gather, kernel_modules
from piranha.core.lvs_cf.host import Questions

NOTHING = Questions((), (), None)


def test_the_devices_are_those_of_the_kernel() -> None:
    host = gather(NOTHING)
    assert set(host.devices) == {path.name for path in Path("/sys/class/net").iterdir()}
    loopback = host.devices["lo"]
    assert not loopback.multicast
    assert loopback.up == ("127.0.0.1/8" in loopback.addresses)


def test_programs_are_found_with_their_faults(tmp_path: Path) -> None:
    loose = tmp_path / "loose"
    loose.write_text("#!/bin/sh\n")
    loose.chmod(0o777)
    plain = tmp_path / "plain"
    plain.write_text("")
    words = ("sh", str(loose), str(plain), "/no/such", "no-such-program")
    found = gather(Questions(words, (), None)).programs
    assert (found["sh"].missing, found["sh"].unsafe) == ("", "")
    assert found[str(loose)].unsafe
    assert found[str(plain)].missing == "is not an executable file"
    assert found["/no/such"].missing == "is not there"
    assert found["no-such-program"].missing.startswith("is in no folder of ")


def test_the_kernel_s_help_for_ftp_is_two_things(tmp_path: Path) -> None:
    assert gather(NOTHING, tmp_path).ftp is None
    switch = tmp_path / "proc/sys/net/ipv4/vs/conntrack"
    switch.parent.mkdir(parents=True)
    switch.write_text("1\n")
    assert gather(NOTHING, tmp_path).ftp is False
    (tmp_path / "sys/module/ip_vs_ftp").mkdir(parents=True)
    assert gather(NOTHING, tmp_path).ftp is True
    switch.write_text("0\n")
    assert gather(NOTHING, tmp_path).ftp is False


def test_names_are_resolved() -> None:
    host = gather(Questions((), ("localhost", "no..such"), None))
    assert host.unresolved == {"no..such"}


def test_the_key_is_looked_at_but_never_shown(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("ab" * 31)
    key.chmod(0o600)
    trouble = gather(Questions((), (), str(key))).key_trouble
    assert "it has 62 characters" in trouble
    assert "abab" not in trouble


def modules(root: Path) -> Path:
    folder = root / "lib/modules/1.0"
    folder.mkdir(parents=True)
    return folder


def test_schedulers_are_modules_built_in_or_loadable(tmp_path: Path) -> None:
    assert kernel_modules(tmp_path, "1.0") is None
    folder = modules(tmp_path)
    (folder / "modules.dep").write_text(
        "kernel/net/netfilter/ipvs/ip_vs.ko.xz: kernel/lib/x.ko\nkernel/ip_vs_rr.ko: a\n"
    )
    (folder / "modules.builtin").write_text("kernel/net/ip_vs_wlc.ko\nkernel/net/other.ko\n")
    assert kernel_modules(tmp_path, "1.0") == {"ip_vs", "ip_vs_rr", "ip_vs_wlc"}


def test_a_kernel_without_modules_tells_by_its_symbols(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/kallsyms").write_text(
        "0000 t ip_vs_rr_schedule\n0000 t ip_vs_sip_fill_param\n0000 T ip_vs_in\n0000 T other\n"
    )
    assert kernel_modules(tmp_path, "1.0") == {"ip_vs", "ip_vs_rr", "ip_vs_pe_sip"}
    assert gather(NOTHING, tmp_path).engines == {"sip"}


def test_the_switches_of_forwarding_are_read(tmp_path: Path) -> None:
    path = tmp_path / "proc/sys/net/ipv4"
    path.mkdir(parents=True)
    (path / "ip_forward").write_text("0\n")
    assert gather(NOTHING, tmp_path).forwards == {4: False, 6: None}


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "primary = 127.0.0.1\nvirtual a {\n  active = 1\n  address = 192.0.2.1 none7:1\n"
    text += "  forward = tunnel\n  server b {\n    address = 192.0.2.9\n    active = 1\n  }\n}\n"
    path = tmp_path / "lvs.cf"
    path.write_text(text)
    assert main(["config", "check", str(path)]) == 0
    capsys.readouterr()
    assert main(["config", "check", "--on-this-host", str(path)]) == 1
    shown = capsys.readouterr().out
    assert f"{path}:4:23: error: there is no device none7 on this host" in shown
    assert "[E502]" not in shown


def test_a_comment_silences_what_the_host_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "# piranha: ignore-file=A501,W502 a test\nprimary = 127.0.0.1\n"
    path = tmp_path / "lvs.cf"
    path.write_text(text)
    main(["config", "check", str(path)])
    assert "A901" not in capsys.readouterr().out
    main(["config", "check", "--on-this-host", str(path)])
    shown = capsys.readouterr().out
    assert "no finding W502 is there for this comment to silence" in shown
    assert "[A501]" not in shown
