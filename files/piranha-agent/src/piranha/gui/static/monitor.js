// SPDX-FileCopyrightText: piranha.lvs founders
// SPDX-License-Identifier: GPL-3.0-or-later
// Keeps CONTROL/MONITORING up to date, opens services in place, filters and sorts while typing.
// Everything here is also there without scripts, by links and by the form.
"use strict";

(() => {
  const cells = new Map(); // row id -> its cells by field, found when they are first needed
  const opened = new Map(); // service id -> the element with its servers
  const live = document.getElementById("live");
  const clock = document.getElementById("clock");
  const rows = document.getElementById("rows");
  const head = document.getElementById("head");
  const total = document.getElementById("total");
  const log = document.getElementById("events");
  const single = document.getElementById("service");
  const tools = document.getElementById("tools");
  const tones = ["good", "warn", "bad", "idle"];
  const pause = 5000; // milliseconds between two tries to begin anew
  let source = null;
  let begun = -pause;
  let beginning = 0;
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

  // Put fields in their cells; says which of them are other ones now. Writing costs far more than reading.
  function update(id, fields) {
    const found = cellsOf(id);
    const turned = new Set();
    if (!found) return turned;
    for (const name in fields) {
      const cell = found[name];
      const text = fields[name];
      if (name === "tone") {
        if (found.row.classList.contains(text)) continue;
        found.row.classList.remove(...tones);
        found.row.classList.add(text);
      } else if (!cell) {
        continue;
      } else if (name === "graph") {
        if (cell.getAttribute("d") === text) continue;
        cell.setAttribute("d", text);
      } else {
        if (cell.textContent === text) continue;
        cell.textContent = text;
      }
      turned.add(name);
    }
    if (turned.has("state")) {
      found.row.classList.add("fresh");
      setTimeout(() => found.row.classList.remove("fresh"), 50);
    }
    return turned;
  }

  // Rows that have changed come and go as the filter says, and change places where that is sorted by.
  function apply(changed) {
    const asked = wanted();
    let moved = false;
    for (const id in changed) {
      const turned = update(id, changed[id]);
      if (!turned.size || !asked.any) continue;
      const row = cells.get(id).row;
      if (row.parentElement !== rows) continue;
      sift(row, asked);
      moved = moved || (turned.has("tone") && asked.sort === "state");
    }
    if (moved) arrange();
  }

  function say(text, on) {
    if (!live) return;
    if (live.textContent !== text) live.textContent = text; // it is read aloud each time it is set
    live.classList.toggle("on", on);
    live.classList.toggle("off", !on);
  }

  function now() {
    say("live", true);
  }

  async function fetched(path) {
    try {
      const answer = await fetch(path, { credentials: "same-origin" });
      return { status: answer.status, text: answer.ok && !answer.redirected ? await answer.text() : null };
    } catch (why) {
      return { status: 0, text: null }; // the page is out of reach
    }
  }

  // Load everything anew, but not again and again.
  async function again() {
    clearTimeout(beginning);
    const wait = begun + pause - performance.now();
    if (wait > 0) {
      beginning = setTimeout(again, wait);
      return;
    }
    begun = performance.now();
    if (single || !rows) {
      location.reload();
      return;
    }
    const answer = await fetched("/rows");
    if (answer.text === null) return;
    cells.clear();
    rows.innerHTML = answer.text;
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

  // What this page should show now; it may have been away, or made before the connection was.
  function whole(told) {
    const ids = Object.keys(told.rows);
    const same = single ? single.dataset.open in told.rows
      : ids.length === order.length && ids.every((id, at) => id === order[at].id);
    const servers = Object.keys(told.servers);
    const here = document.querySelectorAll(".servers .row[id]").length;
    if (same && servers.length === here && servers.every((id) => document.getElementById(id))) {
      apply(told.rows);
      apply(told.servers);
      now();
    } else {
      again();
    }
  }

  // A browser tries again by itself, unless it was refused: by a page that knows the session no more.
  async function refused() {
    const answer = await fetched("/rows");
    if (answer.status === 401) say("logged out; load the page anew", false);
    else setTimeout(connect, pause);
  }

  function connect() {
    if (source) source.close();
    const open = [...opened.keys()];
    if (single) open.push(single.dataset.open);
    source = new EventSource("/live?open=" + encodeURIComponent(open.join(",")));
    const on = (kind, act) => source.addEventListener(kind, (event) => act(JSON.parse(event.data)));
    on("all", whole);
    on("rows", (changed) => {
      const begin = performance.now();
      apply(changed);
      now();
      // What one update costs can be read by whoever measures this page.
      document.documentElement.dataset.updateMs = (performance.now() - begin).toFixed(1);
    });
    on("head", (told) => {
      if (head) head.innerHTML = told.html;
      if (total) total.innerHTML = told.total;
      if (clock) clock.textContent = told.at;
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
    source.addEventListener("error", () => {
      say("no connection to the page; trying again", false);
      if (source.readyState === EventSource.CLOSED) refused();
    });
  }

  // -- opening a service in place

  async function toggle(button, row) {
    const id = row.id;
    if (opened.has(id)) {
      for (const one of opened.get(id).querySelectorAll(".row[id]")) cells.delete(one.id);
      opened.get(id).remove();
      opened.delete(id);
      button.setAttribute("aria-expanded", "false");
      button.textContent = "▸";
      connect();
      return;
    }
    button.disabled = true;
    const answer = await fetched("/servers?id=" + encodeURIComponent(id));
    button.disabled = false;
    if (answer.text === null) return;
    const box = document.createElement("div");
    box.className = "opened";
    box.setAttribute("role", "row");
    const cell = document.createElement("div");
    cell.setAttribute("role", "cell");
    cell.innerHTML = answer.text;
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

  function textOf(row, field) {
    const cell = cellsOf(row.id)[field];
    return cell ? cell.textContent : "";
  }

  function toneOf(row) {
    return tones.find((tone) => row.classList.contains(tone)) || "idle";
  }

  function wanted() {
    if (!tools) return { any: false };
    const { q, show, sort } = tools.elements;
    const asked = { text: q.value.trim().toLowerCase(), tone: show.value, sort: sort.value };
    asked.any = Boolean(asked.text || asked.tone || asked.sort);
    return asked;
  }

  function sift(row, { text, tone }) {
    const about = text ? ["name", "place", "note"].map((f) => textOf(row, f)).join(" ").toLowerCase() : "";
    row.hidden = !((!tone || toneOf(row) === tone) && about.includes(text));
    const box = opened.get(row.id);
    if (box) box.hidden = row.hidden;
  }

  function arrange() {
    if (!tools || !rows) return;
    const asked = wanted();
    const { sort } = asked;
    const worst = { bad: 0, warn: 1, idle: 2, good: 3 };
    const list = [...order];
    const byName = (a, b) => textOf(a, "name").localeCompare(textOf(b, "name"));
    if (sort === "name") list.sort(byName);
    if (sort === "place") list.sort((a, b) => textOf(a, "place").localeCompare(textOf(b, "place"), undefined, { numeric: true }));
    if (sort === "state") list.sort((a, b) => worst[toneOf(a)] - worst[toneOf(b)] || byName(a, b));
    const pieces = document.createDocumentFragment();
    for (const row of list) {
      sift(row, asked);
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
    // Rows that the server has left out, as the address says, come with the first word of the stream.
    tools.querySelector("button").hidden = true;
    tools.addEventListener("submit", (event) => event.preventDefault());
    tools.addEventListener("input", arrange);
  }
  if (live) connect();
})();
