const copy = document.getElementById("copy");
copy.hidden = false;
document.getElementById("by-hand").hidden = true;
copy.addEventListener("click", async () => {
  const secret = document.getElementById("secret");
  secret.select();
  // The clipboard API exists on HTTPS and localhost only; elsewhere the old command still works on what is selected.
  let done;
  try { await navigator.clipboard.writeText(secret.value); done = true; } catch { done = document.execCommand("copy"); }
  document.getElementById("copied").textContent = done ? "Copiado." : "No se pudo copiar: use Ctrl+C.";
});
