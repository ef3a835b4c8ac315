#!/usr/bin/python

# Copyright: (c) 2026, piranha.lvs founders
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module piranha_server: an operator's order for one real server, given to the running agent."""

from __future__ import annotations

DOCUMENTATION = r"""
module: piranha_server
short_description: Drain, disable, force up or enable a real server, or set its weight, on a running router
version_added: "0.1.0"
author: piranha.lvs founders (@piranha-lvs)
description:
  - Gives the running agent of a router an order for one real server of C(lvs.cf), in all of its virtual services or in one.
  - The agent keeps the order over restarts of its own and of the machine, until it is taken back. C(lvs.cf) is not changed.
  - The order holds on the router that the task runs on. Let the task run on both routers, so that a takeover changes nothing.
  - It needs nothing on the target but Python and a running agent.
extends_documentation_fragment:
  - piranha.lvs.attributes
  - piranha.lvs.attributes.actiongroup
attributes:
  check_mode:
    support: full
    details:
      - The agent itself is asked what would change.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  server:
    description:
      - The real server by its name in C(lvs.cf), its address, or its address and port such as V(192.0.2.21:80).
      - With a port only the virtual services are meant that use this port of the real server.
      - A name that stands for different machines in different virtual services is refused.
    type: str
    required: true
    aliases: [name]
  virtual:
    description:
      - The virtual service by its name in C(lvs.cf). If not given, the order holds in every virtual service that has the
        real server, also in those that come later.
      - An order for one virtual service goes before an order for all, and is forgotten by the next order for all.
    type: str
  state:
    description:
      - V(drained) lets the connections live that it has and gives it no new ones (weight 0).
      - V(disabled) takes it out of the table for maintenance, whatever its checks say. Its connections break.
      - V(forced_up) gives it connections as its weight says though its checks fail, for as long as you know better than they.
      - V(enabled) lets it serve again as its checks and its weight say.
      - If not given, this stays as it is.
    type: str
    choices: [enabled, drained, disabled, forced_up]
  weight:
    description:
      - A weight from V(0) to V(65535) in place of that of C(lvs.cf), or V(configured) for that of C(lvs.cf) again.
      - If not given, it stays as it is. It does not depend on O(state).
    type: str
  reason:
    description: Why, in one line. C(piranha status) shows it.
    type: str
    default: ""
  by:
    description: Who says so. The agent takes the user who asks, usually C(root), if nothing is given.
    type: str
  wait:
    description:
      - V(drained) waits until the connections have ended, in all virtual services that are meant.
      - V(enabled) first waits until checks of this router that were made since then say UP, and then lets it serve; if they
        do not in time, it stays as it was. So a machine that comes back from an update meets no client before it works.
      - With C(tcp) and C(sctp) open connections are waited for, with C(udp) and firewall marks all that the kernel remembers.
      - Clients that persistence keeps with the real server are waited for as well, unless the kernel lets them go elsewhere
        (C(net.ipv4.vs.expire_quiescent_template) is V(1)).
    type: bool
    default: false
  timeout:
    description:
      - For how many seconds O(wait) waits. When they have passed the task fails, and the real server stays drained.
    type: int
    default: 300
  interval:
    description: How many seconds pass between two looks.
    type: int
    default: 2
  control_socket:
    description: The control socket of the agent.
    type: path
    default: /run/piranha/control.sock
seealso:
  - module: piranha.lvs.ipvs_server
  - module: piranha.lvs.lvs_cf
"""

EXAMPLES = r"""
# In a play for both routers, since the one that takes over shall know of it too.
- name: Give a real server no new connections and wait for its last one
  piranha.lvs.piranha_server:
    server: web1
    state: drained
    reason: kernel update
    wait: true
    timeout: 600

- name: Take it out of one virtual service only
  piranha.lvs.piranha_server:
    server: 192.0.2.21:8080
    virtual: shop
    state: disabled
    reason: disk is replaced
    by: "{{ lookup('env', 'USER') }}"

- name: Let it serve though its check fails, since the check itself is broken
  piranha.lvs.piranha_server:
    server: web1
    state: forced_up
    reason: the page that the check asks for has moved

- name: Let it serve again as soon as this router has seen that it can
  piranha.lvs.piranha_server:
    server: web1
    state: enabled
    wait: true
    timeout: 60

- name: Let it serve again, carefully
  piranha.lvs.piranha_server:
    server: web1
    state: enabled
    weight: 1

- name: Give it the weight of lvs.cf again
  piranha.lvs.piranha_server:
    server: web1
    weight: configured
"""

RETURN = r"""
servers:
  description: The real server in each virtual service that is meant.
  returned: success
  type: list
  elements: dict
  contains:
    virtual:
      description: The virtual service.
      type: str
      sample: web
    server:
      description: The name of the real server there.
      type: str
      sample: web1
    address:
      description: Its address.
      type: str
      sample: 192.0.2.21
    port:
      description: Its port.
      type: int
      sample: 80
    before:
      description: What operators said of it before.
      type: dict
      sample: {mode: enabled, weight: 1, weight_is: configured, by: null, reason: null, at: null}
    after:
      description: What they say of it now; under check mode, what they would.
      type: dict
      sample: {mode: drained, weight: 1, weight_is: configured, by: root, reason: kernel update, at: 1795528800.0}
drained:
  description: Whether no connection is left that O(wait) waits for. V(null) under check mode, where nobody waits.
  returned: when O(wait=true) and O(state=drained)
  type: bool
  sample: true
left:
  description: How many connections of which kind were left at the last look.
  returned: when O(wait=true) and O(state=drained)
  type: dict
  sample: {}
up:
  description: Whether new checks say UP in every virtual service. V(null) under check mode, where nobody waits.
  returned: when O(wait=true) and O(state=enabled)
  type: bool
  sample: true
not_up:
  description: For each virtual service in which it could not serve at the last look, its state and the reason.
  returned: when O(wait=true) and O(state=enabled)
  type: dict
  sample: {shop: "DOWN (connection refused)"}
waited:
  description: For how many seconds it was waited.
  returned: when O(wait=true)
  type: float
  sample: 12.2
"""

import time
from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.piranha.lvs.plugins.module_utils._module.agent_socket import (
    Agent,
    AgentError,
    in_words,
    not_up,
    wait_until_nothing_is_left,
)

CONFIGURED = "configured"


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "server": {"type": "str", "required": True, "aliases": ["name"]},
            "virtual": {"type": "str"},
            "state": {"type": "str", "choices": ["enabled", "drained", "disabled", "forced_up"]},
            "weight": {"type": "str"},
            "reason": {"type": "str", "default": ""},
            "by": {"type": "str"},
            "wait": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 300},
            "interval": {"type": "int", "default": 2},
            "control_socket": {"type": "path", "default": "/run/piranha/control.sock"},
        },
        required_one_of=[("state", "weight")],
        supports_check_mode=True,
    )
    try:
        run(module)
    except AgentError as error:
        module.fail_json(msg=str(error))


def run(module: AnsibleModule) -> None:
    """Give the order, wait if that is wanted, and tell; AgentError."""
    params = module.params
    if params["wait"] and params["state"] not in ("drained", "enabled"):
        module.fail_json(msg="wait needs state: drained or enabled; there is nothing else to wait for")
    if params["timeout"] < 0 or params["interval"] < 1:
        module.fail_json(msg="timeout must be at least 0 and interval at least 1 second")
    whom = {"server": params["server"], "virtual": params["virtual"]}
    order = {
        "mode": params["state"],
        "weight": weight(module, params["weight"]),
        "reason": params["reason"],
        "dry_run": module.check_mode,
    }
    if params["by"]:
        order["by"] = params["by"]
    with Agent(params["control_socket"]) as agent:
        fit = until_up(module, agent, whom) if params["wait"] and order["mode"] == "enabled" else {}
        if fit.get("not_up"):
            module.fail_json(msg=f"real server {params['server']}: {unfit(fit)}", **fit)
        answer = agent.ask("override", {**whom, **order})
        result = {
            "changed": answer["changed"],
            "servers": answer["servers"],
            "diff": {
                "before_header": params["server"],
                "after_header": params["server"],
                "before": shown(answer["servers"], "before"),
                "after": shown(answer["servers"], "after"),
            },
            **fit,
        }
        for warning in answer["warnings"]:
            module.warn(warning)
        if params["wait"] and order["mode"] == "drained":
            result.update(until_drained(module, agent, whom))
    left = result.get("left")
    if left:
        module.fail_json(
            msg=f"real server {params['server']}: it is not drained after {result['waited']:.0f} s, "
            f"{in_words(left)} connections are left; it stays drained, give it more time "
            "or look which clients stay",
            **result,
        )
    module.exit_json(**result)


def until_drained(module: AnsibleModule, agent: Agent, whom: dict[str, Any]) -> dict[str, Any]:
    """Wait until the connections have ended, or the time is up."""
    if module.check_mode:
        return {"drained": None, "left": {}, "waited": 0.0}
    left, seconds = waited(module, lambda: agent.ask("servers", whom)["left"])
    return {"drained": not left, "left": left, "waited": seconds}


def until_up(module: AnsibleModule, agent: Agent, whom: dict[str, Any]) -> dict[str, Any]:
    """Wait until checks of from now on say that it can serve, or the time is up."""
    if module.check_mode:
        return {"up": None, "not_up": {}, "waited": 0.0}
    now = time.time()
    missing, seconds = waited(module, lambda: not_up(agent.ask("servers", whom)["servers"], now))
    return {"up": not missing, "not_up": missing, "waited": seconds}


def waited(
    module: AnsibleModule, left: Callable[[], dict[str, Any]]
) -> tuple[dict[str, Any], float]:
    """Wait as the options say."""
    params = module.params
    return wait_until_nothing_is_left(
        left, params["timeout"], params["interval"], time.monotonic, time.sleep
    )


def unfit(found: dict[str, Any]) -> str:
    """Say why it does not return, and what to do."""
    states = ", ".join(f"{name} {state}" for name, state in sorted(found["not_up"].items()))
    return (
        f"it could not serve after {found['waited']:.0f} s: {states}; it stays as it was, see on the "
        "machine why its checks fail, and piranha status on the router"
    )


def weight(module: AnsibleModule, text: str | None) -> int | str | None:
    """Read the weight; the agent knows which are possible."""
    if text is None or text == CONFIGURED:
        return text
    try:
        return int(text)
    except ValueError:
        module.fail_json(msg=f"{text!r} is no weight; give 0 to 65535, or {CONFIGURED}")
    return None


def shown(servers: list[dict[str, Any]], side: str) -> str:
    """One line for each virtual service, for the difference."""
    lines = []
    for one in servers:
        said = one[side]
        reason = f": {said['reason']}" if said["reason"] else ""
        lines.append(
            f"{one['virtual']} {one['address']}:{one['port']} "
            f"{said['mode']} weight {said['weight']} ({said['weight_is']}){reason}\n"
        )
    return "".join(lines)


if __name__ == "__main__":
    main()
