# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules about the kernel's IPVS table share in their documentation, said once.

The argument specs are in module_utils/_module/ipvs_options.py; ansible-test compares the two.
"""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragments; the customary shape of community collections."""

    # For every module that changes entries of the table.
    DOCUMENTATION = r"""
options:
  force:
    description:
      - Change a virtual service although C(lvsd), the daemon of this collection's agent, owns it.
      - Without it the module refuses such a change, under check mode too. C(lvsd) puts back what differs from C(lvs.cf) and
        from the health of the real servers, so that such a change would not last. M(piranha.lvs.piranha_server) gives
        it an order for a real server, M(piranha.lvs.lvs_cf) changes C(lvs.cf).
    type: bool
    default: false
requirements:
  - Python 3.9 or later on the target.
  - A kernel with IPVS, and root or the capability CAP_NET_ADMIN.
notes:
  - The kernel is asked by netlink. The program C(ipvsadm) is not needed.
  - Each network namespace has a table of its own; the one of the module's process is changed.
  - The kernel forgets its table at a reboot.
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
"""

    # For every module that changes what IPVS keeps beside the table.
    SETTINGS = r"""
options: {}
requirements:
  - Python 3.9 or later on the target.
  - A kernel with IPVS, and root or the capability CAP_NET_ADMIN.
notes:
  - The kernel is asked by netlink. The program C(ipvsadm) is not needed.
  - Each network namespace has settings of its own; those of the module's process are changed.
  - The kernel forgets them at a reboot.
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
"""

    # For modules that only name a service, as a dictionary.
    NAMED_SERVICE = r"""
options:
  service:
    description: Which virtual service, by address and port or by firewall mark.
    type: dict
    suboptions:
      family:
        description:
          - The address family, V(ipv4) or V(ipv6).
          - Needed only with O(service.fwmark), where the default is V(ipv4); an address tells it by itself.
        type: str
        choices: [ipv4, ipv6]
      protocol:
        description: The protocol of a service by address, V(tcp), V(udp) or V(sctp). The default is V(tcp).
        type: str
      address:
        description: The virtual address, IPv4 or IPv6.
        type: str
      port:
        description: The port; V(0) stands for every port. Required with O(service.address).
        type: int
      fwmark:
        description: The firewall mark of the service's packets, instead of an address.
        type: int
"""

    # For the module that makes one service.
    SERVICE = r"""
options:
  family:
    description:
      - The address family, V(ipv4) or V(ipv6).
      - Needed only with O(fwmark), where the default is V(ipv4); an address tells it by itself.
    type: str
    choices: [ipv4, ipv6]
  protocol:
    description: The protocol of a service by address, V(tcp), V(udp) or V(sctp). The default is V(tcp).
    type: str
  address:
    description: The virtual address, IPv4 or IPv6.
    type: str
  port:
    description: The port; V(0) stands for every port. Required with O(address).
    type: int
  fwmark:
    description: The firewall mark of the service's packets, instead of an address.
    type: int
  scheduler:
    description:
      - The scheduler's name, as in the kernel module C(ip_vs_NAME), for example V(rr), V(wlc), V(sh) or V(mh).
      - The default of a new service is V(wlc).
    type: str
  flags:
    description:
      - The scheduler's flags. V(sh-fallback) and V(sh-port) for the scheduler V(sh), V(mh-fallback) and V(mh-port) for V(mh),
        V(flag-1), V(flag-2) and V(flag-3) for any.
      - The default of a new service is none; another scheduler takes the flags away unless they are given.
    type: list
    elements: str
  persistence:
    description:
      - For how many seconds a client stays with its real server; V(0) for not at all.
      - The default of a new service is V(0).
    type: int
  mask:
    description:
      - Which clients persistence takes together. A netmask or the length of a prefix for IPv4, such as V(255.255.255.0) or
        V(24), the length of a prefix for IPv6.
      - It matters with O(persistence) only. The default of a new service is each client for itself.
    type: str
  engine:
    description:
      - The persistence engine, for example V(sip); an empty text for none.
      - The default of a new service is none.
    type: str
  one_packet:
    description:
      - Whether each UDP packet is scheduled for itself.
      - The default of a new service is V(false).
    type: bool
"""

    # For the module that makes one real server.
    SERVER = r"""
options:
  address:
    description: The real server's address, IPv4 or IPv6.
    type: str
    required: true
  port:
    description:
      - The real server's port. The default is the port of the virtual service, V(0) with a firewall mark.
      - With forwarding by V(direct) or V(tunnel) the kernel forwards to the port of the packet. Another port is
        replaced by the service's port then, and a warning tells both.
    type: int
  weight:
    description:
      - Its share of new connections; V(0) for none.
      - The default of a new real server is V(1).
    type: int
  forward:
    description:
      - How packets reach it.
      - V(nat) rewrites the address, and answers must pass this router. V(direct) only replaces the link layer's address,
        and V(tunnel) sends the packet inside another one; with both answers may take another way.
      - The default of a new real server is V(nat).
    type: str
    choices: [nat, direct, tunnel]
  upper:
    description:
      - The real server gets no new connections above this many; V(0) for no threshold, which takes O(lower) away as well.
      - The default of a new real server is V(0).
    type: int
  lower:
    description:
      - After it has reached O(upper) the real server gets new connections again below this many.
      - The default of a new real server is V(0).
    type: int
  tunnel:
    description:
      - The kind of tunnel. It matters with O(forward=tunnel) only, as O(tunnel_port) and O(tunnel_checksum) do.
      - The default of a new real server is V(ipip).
    type: str
    choices: [ipip, gue, gre]
  tunnel_port:
    description: The UDP port of a V(gue) tunnel, which needs one.
    type: int
  tunnel_checksum:
    description:
      - The checksum in a V(gue) or V(gre) tunnel.
      - The default of a new real server is V(nocsum).
    type: str
    choices: [nocsum, csum, remcsum]
"""
