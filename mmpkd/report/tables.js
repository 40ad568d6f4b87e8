"use strict";
// Long tables: sorting by a click on a head, a filter, and key columns that stay in sight. Without it they are plain tables.
(function () {
  const FROZEN = 0.5; // share of a table's width that key columns may take

  /* Text as a keyboard writes it: with a hyphen for a minus sign, in small letters. */
  function typed(text) {
    return text.replaceAll("−", "-").toLowerCase();
  }

  /* What a cell is sorted by: its first number in a column of numbers, else its text. */
  function key(row, column, numeric) {
    const text = row.cells[column].textContent.trim();
    return numeric ? parseFloat(typed(text).replace(/[<,]/g, "")) : text;
  }

  function compare(one, other) {
    return typeof one === "string" ? one.localeCompare(other, "en", { numeric: true }) : one - other;
  }

  /* The head's order becomes the other one; rows without a number stay last. */
  function sort(table, rows, head) {
    const numeric = head.classList.contains("number");
    const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    table.querySelectorAll("th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    const keyed = rows.map((row) => [key(row, head.cellIndex, numeric), row]);
    const last = (value) => Number(Number.isNaN(value));
    keyed.sort(([one], [other]) => last(one) - last(other) || sign * compare(one, other) || 0);
    table.tBodies[0].append(...keyed.map(([, row]) => row));
  }

  function filter(rows, words, count) {
    const wanted = typed(words).split(/\s+/);
    const shown = rows.filter((row) => {
      row.hidden = !wanted.every((word) => typed(row.textContent).includes(word));
      return !row.hidden;
    });
    count.textContent = shown.length + " of " + rows.length + " rows";
  }

  /* Which of the columns before the first number stay at the left: the arm, without which no row says anything, and as
     many others as leave room for the numbers. */
  function keys(heads, room) {
    const numbers = heads.findIndex((head) => head.classList.contains("number"));
    const places = [...heads.keys()].slice(0, Math.max(numbers, 0));
    const arm = heads.findIndex((head) => head.textContent.trim() === "arm");
    const kept = [];
    for (const place of [...places.filter((one) => one === arm), ...places.filter((one) => one !== arm)]) {
      room -= heads[place].getBoundingClientRect().width;
      if (room < 0) break;
      kept.push(place);
    }
    return kept;
  }

  function freeze(table) {
    const heads = [...table.tHead.rows[0].cells];
    const kept = keys(heads, FROZEN * table.parentElement.clientWidth);
    let left = 0;
    heads.forEach((head, column) => {
      const frozen = kept.includes(column);
      for (const row of table.rows) {
        row.cells[column].classList.toggle("frozen", frozen);
        row.cells[column].style.left = frozen ? left + "px" : "";
      }
      left += frozen ? head.getBoundingClientRect().width : 0;
    });
  }

  function keepFrozen(table) {
    freeze(table);
    window.addEventListener("resize", () => freeze(table));
  }

  document.querySelectorAll("details.long").forEach((place) => {
    const table = place.querySelector("table");
    const rows = [...table.tBodies[0].rows];
    const tools = place.querySelector(".tools");
    const [input, count] = [tools.querySelector("input"), tools.querySelector("output")];
    for (const head of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, rows, head));
      head.append(button);
    }
    input.addEventListener("input", () => filter(rows, input.value, count));
    place.addEventListener("toggle", () => freeze(table));
    keepFrozen(table);
    filter(rows, "", count);
    tools.hidden = false;
  });
  document.querySelectorAll(".whole table").forEach(keepFrozen);
})();
