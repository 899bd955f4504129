// Renews the page. When that fails for too long, every light becomes UNKNOWN: an old light is not a light.
"use strict";
(() => {
  const renew = Number(document.body.dataset.renew) * 1000;
  let renewed = Date.now();

  const typing = () => [...document.querySelectorAll("input")].some((field) => field.value || field === document.activeElement);

  const show = (text) => {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    if (!fresh.getElementById("page")) throw new Error("not the page");
    // Somebody writes a note: renew the rest around it later, but the lights' words are never old.
    const busy = typing();
    for (const part of busy ? [".time", ".expired"] : ["#page"]) document.querySelector(part).replaceWith(fresh.querySelector(part));
    if (busy) document.querySelectorAll("[data-light]").forEach((light, i) => relight(light, fresh, i));
    document.title = fresh.title;
    document.body.classList.remove("dead");
  };

  const relight = (light, fresh, i) => {
    const now = fresh.querySelectorAll("[data-light]")[i];
    if (!now) return;
    light.className = now.className;
    light.querySelector(".signal").replaceWith(now.querySelector(".signal"));
    light.querySelector(".reason").replaceWith(now.querySelector(".reason"));
  };

  const extinguish = () => {
    document.body.classList.add("dead");
    document.title = "UNKNOWN · trigwatch";
    document.querySelectorAll("[data-light]").forEach((light) => {
      light.className = "light unknown";
      light.querySelector("[data-word]").textContent = "UNKNOWN";
      light.querySelector(".lamp").replaceWith(document.getElementById("unknown").content.cloneNode(true));
      light.querySelector(".reason").textContent = "The daemon does not answer this page.";
    });
  };

  setInterval(async () => {
    try {
      const answer = await fetch("/", { signal: AbortSignal.timeout(renew) });
      if (!answer.ok) throw new Error(answer.statusText);
      show(await answer.text());
      renewed = Date.now();
    } catch {
      if (Date.now() - renewed > 2.5 * renew) extinguish();
    }
  }, renew);
})();
