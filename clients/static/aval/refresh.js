// Parts of a page that renew themselves. An element says where its content comes from (data-refresh) and how often in
// seconds (data-every). The header tells the server that nobody need be present, so that it does not count as use.
"use strict";
for (const part of document.querySelectorAll("[data-refresh]")) {
  const FOCUSABLE = "a, button, summary, [tabindex]";
  const failed = document.getElementById(part.dataset.failed);
  let busy = false;
  const selects = () => {
    const chosen = getSelection();
    return chosen && !chosen.isCollapsed && part.contains(chosen.anchorNode);
  };
  const renew = (html) => {
    const open = [...part.querySelectorAll("details")].map((each) => each.open);
    const scrolled = [...part.querySelectorAll("[tabindex]")].map((each) => each.scrollLeft);
    const focused = [...part.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement);
    part.innerHTML = html;
    part.querySelectorAll("details").forEach((each, n) => { each.open = Boolean(open[n]); });
    part.querySelectorAll("[tabindex]").forEach((each, n) => { each.scrollLeft = scrolled[n] || 0; });
    if (focused >= 0) part.querySelectorAll(FOCUSABLE)[focused]?.focus({ preventScroll: true });
  };
  const ask = async () => {
    if (busy || document.visibilityState !== "visible" || selects()) return;
    busy = true;
    try {
      const answer = await fetch(part.dataset.refresh, { headers: { "Aval-Poll": "1" }, redirect: "error" });
      if (answer.status === 401 || answer.status === 403) location.reload(); // the session is over: to the login
      if (!answer.ok) throw new Error(String(answer.status));
      const state = answer.headers.get("Aval-State");
      if (state && state !== part.dataset.state) location.reload(); // what can be done with it has changed too
      renew(await answer.text());
      failed.hidden = true;
    } catch {
      failed.hidden = false;
    } finally {
      busy = false;
    }
  };
  setInterval(ask, part.dataset.every * 1000);
  document.addEventListener("visibilitychange", ask);
}
