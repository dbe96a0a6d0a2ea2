// Keeps a page up to date without losing the reader's place, and says so when
// that does not work.
"use strict";
(() => {
  const every = 5000;
  const patience = 10000;
  const stale = document.getElementById("stale");

  const stops = (main) => [...main.querySelectorAll("a[href], [tabindex]")];
  const wide = (main) => [...main.querySelectorAll(".scroll, .diff")];

  // swap puts the new contents in place; focus and sideways scrolling stay.
  const swap = (now, next) => {
    const at = stops(now).indexOf(document.activeElement);
    const href = document.activeElement?.getAttribute("href");
    const scrolled = wide(now).map((part) => part.scrollLeft);
    now.replaceWith(next);
    wide(next).forEach((part, i) => { part.scrollLeft = scrolled[i] ?? 0; });
    if (at < 0) return;
    const after = stops(next);
    const same = after[at]?.getAttribute("href") === href ? after[at] : after.find((stop) => stop.getAttribute("href") === href);
    same?.focus({ preventScroll: true });
  };

  const show = (fresh) => {
    const now = document.getElementById("main");
    const next = fresh.getElementById("main");
    if (now.innerHTML !== next.innerHTML) {
      if (!getSelection().isCollapsed) {
        stale.textContent = "Waiting while text is selected;";
        return;
      }
      swap(now, next);
    }
    stale.textContent = "";
    document.title = fresh.title;
    document.getElementById("made").replaceWith(fresh.getElementById("made"));
  };

  const look = async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(patience) });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!fresh.getElementById("main")) throw new Error("not a page of Tagboat");
      document.body.classList.remove("stale");
      show(fresh);
    } catch {
      stale.textContent = "Tagboat cannot be reached; this page is old:";
      document.body.classList.add("stale");
    }
  };

  const loop = async () => {
    await look();
    setTimeout(loop, every);
  };
  setTimeout(loop, every);
  document.addEventListener("visibilitychange", look);
})();
