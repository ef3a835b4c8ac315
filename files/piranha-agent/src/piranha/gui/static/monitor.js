// SPDX-FileCopyrightText: piranha.lvs founders
// SPDX-License-Identifier: GPL-3.0-or-later
// Keeps CONTROL/MONITORING up to date, opens services in place, filters and sorts while typing.
// Everything here is also there without scripts, by links and by the form.
"use strict";

(() => {
  const cells = new Map(); // row id -> its cells by field, found when they are first needed
  const opened = new Map(); // service id -> the element with its servers
  const live = document.getElementById("live");
  const rows = document.getElementById("rows");
  const head = document.getElementById("head");
  const total = document.getElementById("total");
  const log = document.getElementById("events");
  const single = document.getElementById("service");
  const tones = ["good", "warn", "bad", "idle"];
  let source = null;
  let order = []; // the rows as they stand in lvs.cf

  function cellsOf(id) {
    let found = cells.get(id);
    if (!found) {
      const row = document.getElementById(id);
      if (!row) return null;
      found = { row };
      for (const cell of row.querySelectorAll("[data-f]")) found[cell.dataset.f] = cell;
      cells.set(id, found);
    }
    return found;
  }

  function update(id, fields) {
    const found = cellsOf(id);
    if (!found) return;
    for (const name in fields) {
      if (name === "tone") {
        found.row.classList.remove(...tones);
        found.row.classList.add(fields.tone);
      } else if (name === "graph") {
        if (found.graph) found.graph.setAttribute("d", fields.graph);
      } else if (found[name]) {
        found[name].textContent = fields[name];
      }
    }
    if (fields.state) {
      found.row.classList.add("fresh");
      setTimeout(() => found.row.classList.remove("fresh"), 50);
    }
  }

  function say(text, on) {
    if (!live) return;
    live.textContent = text;
    live.classList.toggle("on", on);
    live.classList.toggle("off", !on);
  }

  function now() {
    say("live, " + new Date().toLocaleTimeString(), true);
  }

  async function again() {
    if (single) {
      location.reload();
      return;
    }
    const answer = await fetch("/rows", { credentials: "same-origin" });
    if (!answer.ok || answer.redirected) return;
    cells.clear();
    rows.innerHTML = await answer.text();
    const before = [...opened.keys()];
    opened.clear();
    order = [...rows.children];
    addToggles(order);
    arrange();
    connect();
    for (const id of before) {
      const row = document.getElementById(id);
      if (row) await toggle(row.querySelector(".toggle"), row);
    }
  }

  function connect() {
    if (source) source.close();
    const open = [...opened.keys()];
    if (single) open.push(single.dataset.open);
    source = new EventSource("/live?open=" + encodeURIComponent(open.join(",")));
    const on = (kind, act) => source.addEventListener(kind, (event) => act(JSON.parse(event.data)));
    on("hello", now);
    on("rows", (changed) => {
      const begin = performance.now();
      for (const id in changed) update(id, changed[id]);
      now();
      // What one update costs can be read by whoever measures this page.
      document.documentElement.dataset.updateMs = (performance.now() - begin).toFixed(1);
    });
    on("head", (told) => {
      if (head) head.innerHTML = told.html;
      if (total) total.innerHTML = told.total;
      now();
    });
    on("log", (told) => {
      if (!log) return;
      log.insertAdjacentHTML("afterbegin", told.html);
      while (log.children.length > 12) log.lastElementChild.remove();
    });
    on("again", again);
    on("lost", (told) => say(told.why, false));
    on("bye", () => {
      source.close();
      say("logged out; load the page anew", false);
    });
    source.addEventListener("error", () => say("no connection to the page; trying again", false));
  }

  // -- opening a service in place

  async function toggle(button, row) {
    const id = row.id;
    if (opened.has(id)) {
      opened.get(id).remove();
      opened.delete(id);
      button.setAttribute("aria-expanded", "false");
      button.textContent = "▸";
      connect();
      return;
    }
    button.disabled = true;
    const answer = await fetch("/servers?id=" + encodeURIComponent(id), { credentials: "same-origin" });
    button.disabled = false;
    if (!answer.ok || answer.redirected) return;
    const box = document.createElement("div");
    box.className = "opened";
    box.setAttribute("role", "row");
    const cell = document.createElement("div");
    cell.setAttribute("role", "cell");
    cell.innerHTML = await answer.text();
    box.append(cell);
    row.after(box);
    opened.set(id, box);
    button.setAttribute("aria-expanded", "true");
    button.textContent = "▾";
    connect();
  }

  function addToggles(list) {
    if (!rows || rows.dataset.fos === "1") return;
    for (const row of list) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "toggle";
      button.textContent = "▸";
      button.setAttribute("aria-expanded", "false");
      button.setAttribute("aria-label", "Servers of " + row.querySelector("[data-f=name]").textContent);
      row.querySelector(".c-name").prepend(button);
    }
  }

  // -- filter and sort

  const tools = document.getElementById("tools");

  function textOf(row, field) {
    const cell = row.querySelector("[data-f=" + field + "]");
    return cell ? cell.textContent : "";
  }

  function toneOf(row) {
    return tones.find((tone) => row.classList.contains(tone)) || "idle";
  }

  function arrange() {
    if (!tools || !rows) return;
    const wanted = tools.elements.q.value.trim().toLowerCase();
    const shown = tools.elements.show.value;
    const sort = tools.elements.sort.value;
    const worst = { bad: 0, warn: 1, idle: 2, good: 3 };
    const list = [...order];
    const byName = (a, b) => textOf(a, "name").localeCompare(textOf(b, "name"));
    if (sort === "name") list.sort(byName);
    if (sort === "place") list.sort((a, b) => textOf(a, "place").localeCompare(textOf(b, "place"), undefined, { numeric: true }));
    if (sort === "state") list.sort((a, b) => worst[toneOf(a)] - worst[toneOf(b)] || byName(a, b));
    for (const row of list) {
      const text = wanted ? ["name", "place", "note"].map((f) => textOf(row, f)).join(" ").toLowerCase() : "";
      row.hidden = !((!shown || toneOf(row) === shown) && (!wanted || text.includes(wanted)));
      const box = opened.get(row.id);
      if (box) box.hidden = row.hidden;
    }
    const pieces = document.createDocumentFragment();
    for (const row of list) {
      pieces.append(row);
      const box = opened.get(row.id);
      if (box) pieces.append(box);
    }
    rows.append(pieces);
  }

  if (rows) {
    order = [...rows.children];
    addToggles(order);
    rows.addEventListener("click", (event) => {
      const button = event.target.closest(".toggle");
      if (button) toggle(button, button.closest(".row"));
    });
  }
  if (tools && rows) {
    // The server has filtered already where the address says so; then it is left to the server.
    const whole = !location.search;
    if (whole) {
      tools.querySelector("button").hidden = true;
      tools.addEventListener("submit", (event) => event.preventDefault());
      tools.addEventListener("input", arrange);
    }
  }
  if (live) connect();
})();
