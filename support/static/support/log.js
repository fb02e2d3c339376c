// New rows without reloading: asks every five seconds for what came since the newest row, while the page is looked at.
"use strict";
(() => {
  const body = document.getElementById("rows");
  const EVERY = 5000;
  const MOST = 500; // rows kept on the page
  async function look() {
    if (document.visibilityState !== "visible") return;
    const kept = body.dataset.kept;
    const url = `?${kept}${kept ? "&" : ""}desde_fila=${encodeURIComponent(body.dataset.newest)}`;
    const answer = await fetch(url, { redirect: "error" });
    if (answer.status === 401 || answer.status === 403) location.reload(); // the session is over: to the login
    if (!answer.ok) return;
    const rows = await answer.text();
    body.dataset.newest = answer.headers.get("X-Newest");
    if (rows.trim()) body.insertAdjacentHTML("afterbegin", rows);
    while (body.rows.length > MOST) body.deleteRow(-1);
  }
  setInterval(() => look().catch(() => {}), EVERY);
})();
