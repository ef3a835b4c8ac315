# SPDX-FileCopyrightText: piranha.lvs founders
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role documents and what it has are the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.piranha.lvs.plugins.filter.cluster import DEFAULTS, VARIABLES

ROOT = Path(__file__).parents[3]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())


def load(role: str, path: str) -> Any:
    return yaml.safe_load((ROOT / "roles" / role / path).read_text(encoding="utf-8"))


def options(role: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = load(role, "meta/argument_specs.yml")["argument_specs"][
        "main"
    ]["options"]
    return found


def tasks(role: str) -> list[dict[str, Any]]:
    """Give all tasks and handlers of a role, those in blocks included."""
    found: list[dict[str, Any]] = []
    for folder in ("tasks", "handlers"):
        for path in sorted((ROOT / "roles" / role / folder).glob("*.yml")):
            pile = list(yaml.safe_load(path.read_text(encoding="utf-8")))
            while pile:
                task = pile.pop()
                found.append(task)
                for part in ("block", "rescue", "always"):
                    pile.extend(task.get(part, []))
    return found


def test_there_are_the_two_roles() -> None:
    assert ROLES == ["piranha_realserver", "piranha_router"]


@pytest.mark.parametrize("role", ROLES)
def test_defaults_and_specification_agree(role: str) -> None:
    defaults = load(role, "defaults/main.yml")
    specified = {
        name: option for name, option in options(role).items() if name.startswith(f"{role}_")
    }
    assert set(defaults) == set(specified)
    for name, value in defaults.items():
        if isinstance(value, str) and "{{" in value:
            assert "default" not in specified[name], (
                f"{name}: a computed default is told in the description"
            )
            assert "Default is" in str(specified[name]["description"]), name
        else:
            assert specified[name].get("default") == value, name


@pytest.mark.parametrize("role", ROLES)
def test_every_option_says_its_type_and_meaning(role: str) -> None:
    for name, option in options(role).items():
        assert option["type"], name
        assert option["description"], name
        assert option["type"] != "list" or option["elements"], name


def test_the_description_is_handed_over_whole() -> None:
    handed = load("piranha_router", "vars/main.yml")["__piranha_router_description"]
    assert set(handed) == set(DEFAULTS)
    specified = options("piranha_router")
    for key, variable in VARIABLES.items():
        assert variable in handed[key]
        assert variable in specified
    assert specified["piranha_router_group"]["default"] == DEFAULTS["router_group"]
    assert f"V({DEFAULTS['name']})" in str(specified["piranha_cluster_name"]["description"])


@pytest.mark.parametrize("role", ROLES)
def test_nothing_is_ignored_and_no_shell_is_used(role: str) -> None:
    for task in tasks(role):
        assert "ignore_errors" not in task, task["name"]
        assert not {"ansible.builtin.shell", "ansible.builtin.raw", "ansible.builtin.script"} & set(
            task
        ), task["name"]
        command = task.get("ansible.builtin.command")
        assert command is None or ("argv" in command and "changed_when" in task), task["name"]


@pytest.mark.parametrize("role", ROLES)
def test_every_notified_handler_exists(role: str) -> None:
    path = "handlers/main.yml"
    handlers = load(role, path) if (ROOT / "roles" / role / path).exists() else []
    known = {handler["name"] for handler in handlers}.union(*map(topics, handlers))
    for task in tasks(role):
        notified = task.get("notify", [])
        assert set([notified] if isinstance(notified, str) else notified) <= known, task["name"]


def topics(handler: dict[str, Any]) -> set[str]:
    listened = handler.get("listen", [])
    return {listened} if isinstance(listened, str) else set(listened)


def test_handlers_touch_the_active_router_last_and_only_if_the_standby_is_well() -> None:
    for topic in ("Restart pulse", "Reload pulse"):
        standby, first_probe, active, second_probe, back = (
            h for h in load("piranha_router", "handlers/main.yml") if topic in topics(h)
        )
        for handler in (standby, first_probe):
            assert "not __piranha_router_active" in handler["when"]
        for handler in (active, second_probe):
            assert {"__piranha_router_active", "not __piranha_router_refusing"} <= set(
                handler["when"]
            )
        for handler in (standby, active):
            assert handler["throttle"] == 1
            assert handler["failed_when"] is False
            assert handler["register"] in back_looks_at()
        for handler in (first_probe, second_probe):
            assert handler["ansible.builtin.include_tasks"] == "probe.yml"
        (probe,) = load("piranha_router", "handlers/probe.yml")
        assert probe["failed_when"] is False
        assert probe["register"] in back_looks_at()
        assert back["ansible.builtin.include_tasks"] == "bring_back.yml"


def back_looks_at() -> set[str]:
    """Give the results that decide whether there is something to bring back."""
    names = load("piranha_router", "vars/main.yml")["__piranha_router_refusing"]
    return set(re.findall(r"'(\w+)\.(?:msg|rc)'", names))


@pytest.mark.parametrize("role", ROLES)
def test_each_tag_is_documented_and_can_stand_alone(role: str) -> None:
    """By each tag a run sorts the machines, and checks before it does something."""
    parts = load(role, "tasks/main.yml")
    tags = {tag for part in parts for tag in part["tags"]}
    readme = (ROOT / "roles" / role / "README.md").read_text(encoding="utf-8")
    section = readme.partition("\n## Tags\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"`(\w+)`", section)) | {role} == tags
    for tag in tags:
        reached = [part for part in parts if tag in part["tags"]]
        assert reached[0]["ansible.builtin.import_tasks"] == "preflight.yml"
        assert len(reached) > 1
        for part in reached:
            assert part.get("ansible.builtin.include_tasks", {}).get("apply", part)["tags"] == (
                part["tags"]
            )
    (sorting,) = yaml.safe_load((ROOT / "playbooks/who_is_who.yml").read_text(encoding="utf-8"))
    assert [task["tags"] for task in sorting["tasks"]] == [["always"]]


def test_secrets_stay_out_of_logs() -> None:
    named = {task["name"]: task for task in tasks("piranha_router")}
    # The check of a given key shows its sentence, never the key: test_refusals.py tries it.
    for name in (
        "Make a new key, once for the whole cluster",
        "Read the key where it is",
        "Write the key",
    ):
        assert named[name]["no_log"] == "{{ piranha_router_secure_logging }}"
    assert named["Write the key"]["diff"] is False
    assert named["Write the key"]["ansible.builtin.copy"]["mode"] == "0600"


@pytest.mark.parametrize("role", ROLES)
def test_only_documented_names_are_public(role: str) -> None:
    """A variable that begins with the role's name and is not documented is a slip of the pen."""
    documented = set(options("piranha_router")) | set(options("piranha_realserver")) | set(ROLES)
    tags = {f"{name}_{part}" for name in ROLES for part in ("install", "configure", "service")}
    for path in (ROOT / "roles" / role).rglob("*"):
        if path.suffix in (".yml", ".j2"):
            text = path.read_text(encoding="utf-8")
            found = set(re.findall(r"(?<![\w.])piranha_(?:router|realserver)(?:_\w+)?", text))
            assert found <= documented | tags, f"{path}: {sorted(found - documented - tags)}"


def test_a_whole_run_has_at_most_forty_tasks_a_host() -> None:
    """Skipped ones are shown too; those for --check and for failures are not run."""
    for role in ROLES:
        named = [
            task
            for task in tasks(role)
            if not {"block", "rescue"} & set(task)
            and not str(task["name"]).startswith(("Say ", "Fail ", "Ask for the "))
            and not {"ansible.builtin.import_tasks", "ansible.builtin.include_tasks"} & set(task)
        ]
        if role == "piranha_router":
            elsewhere = ("absent", "upgrade", "rollback", "drift", "old_commands")
            elsewhere += ("firewall", "firewall_look", "unpolicy", "page", "unpage")
            elsewhere += ("readers", "metrics", "load")
            elsewhere += ("../handlers/bring_back", "../handlers/probe")
            other = [t["name"] for name in elsewhere for t in load(role, f"tasks/{name}.yml")]
            named = [task for task in named if task["name"] not in other]
        assert len(named) <= 40, f"{role}: {len(named)}"
        assert len(named) > 10, f"{role}: not all were seen"


@pytest.mark.parametrize("role", ROLES)
def test_what_a_role_writes_it_removes(role: str) -> None:
    """Every file that a task writes is named by the tasks of `absent`."""
    folder = ROOT / "roles" / role / "tasks"
    taking = {"piranha_router": "absent.yml", "piranha_realserver": "remove.yml"}
    absent = folder / taking[role]
    removed = absent.read_text(encoding="utf-8")
    for part in folder.glob("un*.yml"):
        assert part.name in removed, "what takes a part back belongs to taking all back"
        removed += part.read_text(encoding="utf-8")
    writers = ("ansible.builtin.template", "ansible.builtin.copy", "piranha.lvs.lvs_cf")
    paths = {
        str(task[module].get("dest") or task[module]["path"])
        for task in tasks(role)
        for module in writers
        if module in task
    }
    assert paths
    for path in paths - {"{{ item.path }}", "{{ __piranha_router_words[item.item] }}"}:
        variable = re.findall(r"\w*piranha_\w+", path)[0]
        folder = "__piranha_router_folder"
        folder_of = {"__piranha_router_key_file": folder, "__piranha_router_load_files": folder}
        assert folder_of.get(variable, variable) in removed, path
