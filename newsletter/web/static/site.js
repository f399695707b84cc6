"use strict";

// Papers: / goes to the search box, j and k to the next and the previous paper, o opens it, the arrows go to other days.
(() => {
  const titles = [...document.querySelectorAll(".paper h2 a, .paper h3 a")];
  for (const hint of document.querySelectorAll(".keys")) hint.hidden = false;
  let at = -1;
  const go = (to) => {
    if (!titles.length) return;
    at = Math.max(0, Math.min(titles.length - 1, to));
    titles[at].focus({ preventScroll: true });
    titles[at].closest(".paper").scrollIntoView({ block: "nearest" });
  };
  const follow = (selector) => {
    const link = document.querySelector(selector);
    if (link) location.href = link.href;
    return link;
  };
  const keys = {
    "/": () => document.getElementById("q"),
    j: () => go(at + 1),
    k: () => go(at - 1),
    o: () => at >= 0 && titles[at].click(),
    ArrowLeft: () => follow("link[rel=prev]"),
    ArrowRight: () => follow("link[rel=next]"),
  };
  document.addEventListener("keydown", (event) => {
    const inField = event.target.closest("input, textarea, select, [contenteditable]");
    if (inField || event.ctrlKey || event.altKey || event.metaKey || !(event.key in keys)) return;
    const focused = titles.indexOf(document.activeElement);
    if (focused >= 0) at = focused;
    const box = keys[event.key]();
    if (event.key === "/" && box) {
      event.preventDefault();
      box.focus();
      box.select();
    }
  });
})();
// people: the browser knows its time zone
for (const select of document.querySelectorAll("select[data-guess]")) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && select.value === "UTC") {
    if (![...select.options].some((option) => option.value === zone)) select.add(new Option(zone, zone));
    select.value = zone;
  }
}

// people: preferences update the matches while typing, and keep one empty interest and one empty alert at the end
for (const form of document.querySelectorAll("form[data-preview]")) {
  const shown = document.getElementById("ranking");
  const blanks = new Map();
  for (const list of form.querySelectorAll("[data-grows]")) blanks.set(list, list.lastElementChild.cloneNode(true));
  let asked = 0;
  let timer;

  const number = (block, place) => {
    for (const one of block.querySelectorAll("[name], [id], [for]")) {
      for (const key of ["name", "id", "for"]) {
        const value = one.getAttribute(key);
        if (value) one.setAttribute(key, value.replace(/^([ia])\d+-/, `$1${place}-`));
      }
    }
  };

  const preview = async () => {
    const own = ++asked;
    shown.classList.add("working");
    try {
      const answer = await fetch(form.dataset.preview, { method: "POST", body: new FormData(form) });
      const text = await answer.text();
      if (own === asked && answer.ok) shown.innerHTML = text;
    } finally {
      if (own === asked) shown.classList.remove("working");
    }
  };

  form.addEventListener("input", (event) => {
    const block = event.target.closest(".interest");
    const list = block && block.parentElement;
    if (block && block === list.lastElementChild) {
      const next = blanks.get(list).cloneNode(true);
      number(next, list.children.length);
      block.after(next);
    }
    clearTimeout(timer);
    timer = setTimeout(() => preview().catch(() => {}), 500);
  });
  form.querySelector("button[value=preview]").hidden = true;
}
