# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's table as virtual servers: what comes out means the same table again."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.piranha.lvs.plugins.filter.from_ipvs import from_ipvs
from ansible_collections.piranha.lvs.plugins.filter.to_lvs_cf import to_lvs_cf
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.data import to_data
from ansible_collections.piranha.lvs.plugins.module_utils.ipvs.ipvsadm import parse
from ansible_collections.piranha.lvs.plugins.module_utils.lvs_cf.api import load

TABLE = """\
-A -t 203.0.113.100:80 -s rr
-a -t 203.0.113.100:80 -r 192.0.2.21:80 -m -w 1
-a -t 203.0.113.100:80 -r 192.0.2.22:8080 -m -w 3 -x 100 -y 80
-A -u 203.0.113.100:53 -s sh -b sh-port -o
-a -u 203.0.113.100:53 -r 192.0.2.21:53 -g -w 1
-A -t [2001:db8::100]:443 -s wlc -p 300 -M 64
-a -t [2001:db8::100]:443 -r [2001:db8:1::21]:443 -g -w 0
-A -f 7 -s lc -p 60
-a -f 7 -r 192.0.2.21:0 -i -w 1
"""


def services(text: str) -> Any:
    return to_data(parse(text))


def test_every_service_stands_in_the_file_with_what_the_table_says() -> None:
    made = from_ipvs(services(TABLE))
    text = to_lvs_cf({"globals": {"primary": "203.0.113.11"}, "virtual_servers": made})
    loaded = load(text)
    assert not loaded.errors
    found = {block.name: block for block in loaded.config.virtual}
    assert set(found) == {
        "tcp-203.0.113.100-80",
        "udp-203.0.113.100-53",
        "tcp-2001.db8..100-443",
        "fwmark-7",
    }
    web = found["tcp-203.0.113.100-80"]
    assert (web.settings.text("forward"), web.settings.text("scheduler")) == ("nat", "rr")
    second = web.servers[1].settings
    assert (second.number("port"), second.number("weight")) == (8080, 3)
    assert (second.number("upper_threshold"), second.number("lower_threshold")) == (100, 80)
    dns = found["udp-203.0.113.100-53"].settings
    assert (dns.words("scheduler_flags"), dns.flag("ops")) == (("sh-port",), True)
    six = found["tcp-2001.db8..100-443"]
    assert (six.settings.number("persistent"), six.settings.prefix("pmask")) == (300, 64)
    assert six.servers[0].settings.number("weight") == 0
    mark = found["fwmark-7"].settings
    assert (mark.number("fwmark"), mark.text("forward")) == (7, "tunnel")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "-A -t 203.0.113.100:80 -s rr\n"
            "-a -t 203.0.113.100:80 -r 192.0.2.21:80 -m -w 1\n"
            "-a -t 203.0.113.100:80 -r 192.0.2.22:80 -g -w 1\n",
            "real servers of tcp-203.0.113.100-80 are reached in different ways (direct, nat)",
        ),
        (
            "-A -t 203.0.113.100:80 -s rr\n"
            "-a -t 203.0.113.100:80 -r 192.0.2.21:80 -i -w 1\n"
            "-a -t 203.0.113.100:80 -r 192.0.2.22:80 -i -w 1 --tun-type gre\n",
            "tunnels of different kinds",
        ),
    ],
)
def test_what_a_file_cannot_say_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(AnsibleFilterError, match=re.escape(sentence)):
        from_ipvs(services(text))


@pytest.mark.parametrize("wrong", [None, "table", [1], [{"fwmark": 3}]])
def test_what_is_no_table_is_told(wrong: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="ipvs_info"):
        from_ipvs(wrong)
