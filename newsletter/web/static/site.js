"use strict";

// people: the browser knows its time zone
for (const select of document.querySelectorAll("select[data-guess]")) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && select.value === "UTC") {
    if (![...select.options].some((option) => option.value === zone)) select.add(new Option(zone, zone));
    select.value = zone;
  }
}

// people: preferences show what they find while they are written, and have room for one more interest
for (const form of document.querySelectorAll("form[data-preview]")) {
  const shown = document.getElementById("ranking");
  const last = () => form.querySelector(".interest:last-of-type");
  const blank = last().cloneNode(true);
  let asked = 0;
  let timer;

  const number = (block, place) => {
    for (const one of block.querySelectorAll("[name], [id], [for]")) {
      for (const key of ["name", "id", "for"]) {
        const value = one.getAttribute(key);
        if (value) one.setAttribute(key, value.replace(/^i\d+-/, `i${place}-`));
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
    if (block && block === last()) {
      const next = blank.cloneNode(true);
      number(next, form.querySelectorAll(".interest").length);
      block.after(next);
    }
    clearTimeout(timer);
    timer = setTimeout(() => preview().catch(() => {}), 500);
  });
  form.querySelector("button[value=preview]").hidden = true;
}

// people: one tap in an email is enough; a page that is only got ready, or that nobody sees, does nothing
for (const form of document.querySelectorAll("form[data-once]")) {
  const act = () => {
    if (document.visibilityState === "visible" && !document.prerendering) form.requestSubmit();
  };
  if (document.prerendering) document.addEventListener("prerenderingchange", act, { once: true });
  else if (document.visibilityState === "visible") act();
  else document.addEventListener("visibilitychange", act, { once: true });
}
