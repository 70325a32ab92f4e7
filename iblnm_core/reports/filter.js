"use strict";
// Filters and sorts the table of sessions; without it the table is complete.
(function () {
  const table = document.getElementById("session-rows");
  if (!table) { return; }
  document.documentElement.classList.add("script");
  const field = document.getElementById("filter");
  const shown = document.getElementById("shown");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const texts = rows.map((row) => row.textContent.toLowerCase());
  function filter() {
    const wanted = field.value.toLowerCase().trim();
    let count = 0;
    rows.forEach((row, place) => {
      row.hidden = !texts[place].includes(wanted);
      count += row.hidden ? 0 : 1;
    });
    shown.textContent = count + " of " + rows.length + " sessions";
  }
  function value(row, column) {
    const text = row.cells[column].textContent.trim();
    const figure = Number(text.replace(/[\u202f %]/g, ""));
    return text !== "" && !Number.isNaN(figure) ? figure : text;
  }
  Array.from(table.tHead.rows[0].cells).forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = header.textContent;
    header.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = header.getAttribute("aria-sort") !== "ascending";
      for (const other of table.tHead.rows[0].cells) { other.removeAttribute("aria-sort"); }
      header.setAttribute("aria-sort", up ? "ascending" : "descending");
      const sorted = rows.map((row) => [value(row, column), row]).sort(([a], [b]) => {
        const kinds = (typeof a === "string") - (typeof b === "string");
        return (kinds || (a < b ? -1 : a > b ? 1 : 0)) * (up ? 1 : -1);
      });
      body.append(...sorted.map(([, row]) => row));
    });
  });
  field.addEventListener("input", filter);
  filter();
})();
