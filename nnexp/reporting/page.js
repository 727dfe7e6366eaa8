
"use strict";

// Tables sort by a click, or Enter or space, on a column's head: one way, the other way, as they were.
const BETTER_FIRST = { higher: ["descending", "ascending"], lower: ["ascending", "descending"] };

function keyOf(cell) {
  if (cell.hasAttribute("data-missing")) return { rank: 2 };
  if (cell.hasAttribute("data-value")) return { rank: 0, number: Number(cell.getAttribute("data-value")) };
  return { rank: 1, text: cell.textContent };
}

// Numbers before texts; what is missing is last, whichever way.
function compare(one, other, sign) {
  if (one.rank !== other.rank) return one.rank === 2 || other.rank === 2 ? one.rank - other.rank : sign * (one.rank - other.rank);
  if (one.rank === 0) return one.number === other.number ? 0 : sign * (one.number < other.number ? -1 : 1);
  return one.rank === 1 ? sign * one.text.localeCompare(other.text, "en", { numeric: true }) : 0;
}

function sortRows(body, original, column, way) {
  const sign = way === "descending" ? -1 : 1;
  const keyed = original.map((row) => [keyOf(row.cells[column]), row]);
  if (way) keyed.sort((one, other) => compare(one[0], other[0], sign));
  body.append(...keyed.map((each) => each[1]));
}

function makeSortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  const [body] = table.tBodies;
  const original = [...body.rows];
  if (original.length < 2) return;
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const ways = [...(BETTER_FIRST[head.dataset.better] ?? ["ascending", "descending"]), null];
      const way = ways[(ways.indexOf(head.getAttribute("aria-sort")) + 1) % ways.length];
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      if (way) head.setAttribute("aria-sort", way);
      sortRows(body, original, column, way);
    });
  });
}

// A value's other digits show under the pointer, or where the keyboard is: Tab to a table's values, arrows between them.
const tooltip = document.createElement("div");
tooltip.setAttribute("role", "tooltip");
tooltip.id = "full-value";
tooltip.hidden = true;
document.body.append(tooltip);

function show(cell) {
  const place = cell.getBoundingClientRect();
  tooltip.textContent = cell.dataset.full;
  tooltip.hidden = false;
  const most = document.documentElement.clientWidth - tooltip.offsetWidth - 4;
  tooltip.style.left = `${scrollX + Math.max(4, Math.min(place.left, most))}px`;
  tooltip.style.top = `${scrollY + place.bottom + 2}px`;
  cell.setAttribute("aria-describedby", tooltip.id);
}

function hide(cell) {
  tooltip.hidden = true;
  cell.removeAttribute("aria-describedby");
}

function neighbour(cell, key) {
  const step = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1 }[key];
  if (!step) return null;
  if (key === "ArrowUp" || key === "ArrowDown") {
    let row = cell.parentElement;
    while ((row = step < 0 ? row.previousElementSibling : row.nextElementSibling)) {
      if (row.cells[cell.cellIndex].dataset.full) return row.cells[cell.cellIndex];
    }
    return null;
  }
  const inRow = [...cell.parentElement.cells].filter((each) => each.dataset.full);
  return inRow[inRow.indexOf(cell) + step] ?? null;
}

function makeTellValues(table) {
  const cells = [...table.querySelectorAll("tbody [title]")];
  cells.forEach((cell, at) => {
    cell.dataset.full = cell.title;
    cell.removeAttribute("title");
    cell.tabIndex = at ? -1 : 0;
    cell.addEventListener("pointerenter", () => show(cell));
    cell.addEventListener("pointerleave", () => hide(cell));
    cell.addEventListener("focus", () => show(cell));
    cell.addEventListener("blur", () => hide(cell));
    cell.addEventListener("keydown", (event) => {
      if (event.key === "Escape") hide(cell);
      const next = neighbour(cell, event.key);
      if (!next) return;
      event.preventDefault();
      cell.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    });
  });
}

for (const table of document.querySelectorAll("table")) {
  makeSortable(table);
  makeTellValues(table);
}

// What is folded prints.
const folded = [...document.querySelectorAll("details.folded")];
let closed = [];
addEventListener("beforeprint", () => {
  closed = folded.filter((each) => !each.open);
  closed.forEach((each) => { each.open = true; });
});
addEventListener("afterprint", () => closed.forEach((each) => { each.open = false; }));
