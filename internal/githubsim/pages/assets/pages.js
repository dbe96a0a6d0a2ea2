// Keeps the parts of a page that others change up to date, without touching what
// the visitor is typing, has opened or has selected.
"use strict";
(() => {
  const every = 2000;
  const stale = document.getElementById("stale");

  const swap = (now, next) => {
    const opened = new Set([...now.querySelectorAll("details[open]")].map((d) => d.id || d.querySelector("summary")?.textContent));
    const focus = now.contains(document.activeElement) ? document.activeElement.id : "";
    now.innerHTML = next.innerHTML;
    for (const d of now.querySelectorAll("details")) {
      if (opened.has(d.id || d.querySelector("summary")?.textContent)) d.open = true;
    }
    if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
  };

  // closed is the HTML as it was served: what the visitor opened is no news.
  const closed = (part) => {
    const copy = part.cloneNode(true);
    for (const d of copy.querySelectorAll("details")) d.open = false;
    return copy.innerHTML;
  };

  const look = async () => {
    if (document.hidden || !getSelection().isCollapsed) return;
    try {
      const answer = await fetch(location.pathname, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(10000) });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const now of document.querySelectorAll("[data-live]")) {
        const next = fresh.getElementById(now.id);
        if (next && closed(next) !== closed(now)) swap(now, next);
      }
      stale.textContent = "";
    } catch {
      stale.textContent = "cannot be reached; this page is old";
    }
  };

  const loop = async () => {
    await look();
    setTimeout(loop, every);
  };
  if (document.querySelector("[data-live]")) setTimeout(loop, every);
})();
