// SPDX-FileCopyrightText: piranha.lvs founders
// SPDX-License-Identifier: GPL-3.0-or-later
// Shows the findings about a form beside its fields while somebody types. The router judges; this only
// asks and shows. Without scripts the same findings come with the page after Accept.
"use strict";

(() => {
  const form = document.querySelector("form[data-findings]");
  if (!form || !form.querySelector("button.main")) return;
  let timer = 0;
  let asked = 0;

  function show(found) {
    for (const list of form.querySelectorAll("ul[data-for]")) {
      const told = found[list.dataset.for] || [];
      list.replaceChildren(
        ...told.map(([severity, sentence]) => {
          const item = document.createElement("li");
          item.className = severity;
          // As the router sets it: what stands between backticks is code.
          sentence.split("`").forEach((piece, at) => {
            const part = document.createElement(at % 2 ? "code" : "span");
            part.textContent = piece;
            item.append(part);
          });
          return item;
        }),
      );
      const input = document.getElementById("f-" + list.dataset.for);
      const wrong = told.some(([severity]) => severity === "error");
      if (input) {
        if (wrong) input.setAttribute("aria-invalid", "true");
        else input.removeAttribute("aria-invalid");
      }
    }
  }

  async function ask() {
    const mine = ++asked;
    const body = new URLSearchParams(new FormData(form));
    try {
      const answer = await fetch("/findings", {
        method: "POST",
        credentials: "same-origin",
        headers: { "X-CSRF-Token": form.dataset.csrf },
        body,
      });
      if (answer.ok && mine === asked) show(await answer.json());
    } catch (why) {
      // The page is out of reach for now; Accept will say so.
    }
  }

  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, 300);
  });
})();
