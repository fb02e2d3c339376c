// A field that narrows a long list of boxes to those whose label has the typed text. Without JavaScript all are shown.
"use strict";

const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

function addSearch(boxes) {
  const list = boxes[0].closest("div[id]");
  const rows = boxes.map((box) => box.closest("label").parentElement);
  const field = document.createElement("input");
  field.type = "search";
  field.placeholder = boxes[0].dataset.search;
  field.setAttribute("aria-label", boxes[0].dataset.search);
  field.className = "aval-search";
  field.addEventListener("input", () => {
    const wanted = plain(field.value.trim());
    rows.forEach((row, at) => {
      row.hidden = !plain(row.textContent).includes(wanted) && !boxes[at].checked;
    });
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault();
  });
  list.before(field);
}

document.addEventListener("DOMContentLoaded", () => {
  const byName = new Map();
  for (const box of document.querySelectorAll("input[type=checkbox][data-search]")) {
    byName.set(box.name, [...(byName.get(box.name) || []), box]);
  }
  byName.forEach(addSearch);
});
