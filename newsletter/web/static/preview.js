// Reloads the page when a source file of the message changes, and keeps the scroll position.
"use strict";

const mark = document.documentElement.dataset.mark;
const live = document.getElementById("live");
const frames = [...document.querySelectorAll("iframe")];
const KEPT = "preview.scrolled";

function remember() {
  const places = Object.fromEntries(frames.map((frame) => [frame.id, frame.contentWindow.scrollY]));
  sessionStorage.setItem(KEPT, JSON.stringify(places));
}

function settle(frame) {
  const inside = frame.contentDocument;
  if (!inside || !inside.body) return;
  // Widen the frame by its scroll bar, so that the message keeps its width.
  const bar = frame.contentWindow.innerWidth - inside.documentElement.clientWidth;
  frame.style.width = `${Number(frame.dataset.width) + bar}px`;
  for (const link of inside.links) {
    link.target = "_blank";
    link.rel = "noopener noreferrer";
  }
  const wanted = frame.contentWindow.matchMedia(`(prefers-color-scheme: ${frame.dataset.scheme})`).matches;
  frame.closest("figure").querySelector(".unlike").hidden = wanted;
  const places = JSON.parse(sessionStorage.getItem(KEPT) || "{}");
  frame.contentWindow.scrollTo(0, places[frame.id] || 0);
}

for (const frame of frames) {
  if (frame.contentDocument && frame.contentDocument.readyState === "complete") settle(frame);
  frame.addEventListener("load", () => settle(frame));
}
addEventListener("pagehide", remember);

async function watch() {
  try {
    const answer = await fetch("version", { cache: "no-store" });
    const present = (await answer.text()).trim();
    if (answer.ok && present !== mark) return location.reload();
    live.textContent = "live";
    live.className = "on";
  } catch {
    live.textContent = "the preview has stopped";
    live.className = "";
  }
  setTimeout(watch, 700);
}
watch();
