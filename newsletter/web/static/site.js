"use strict";

// Papers: / goes to the search box, j and k to the next and the last paper, o opens it, the arrows go to other days.
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
