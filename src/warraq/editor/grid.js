const PLAIN = new Set(["TABLE", "THEAD", "TBODY", "TFOOT", "TR", "TD", "TH", "BR"]);
const makeCell = (row, column, text = "") => ({ row, column, rows: 1, columns: 1, text, head: false });
/** Lines of text as a table: a row a line, cells where tabs, bars or wide gaps stand; nothing is two rows of two. */
function parseLines(text) {
  const lines = text.trim() ? text.trim().split("\n").map(line => line.trim().replace(/^\||\|$/g, "").split(/\t|\s*\|\s*|\s{2,}/)) : [["", ""], ["", ""]];
  const columns = Math.max(...lines.map(line => line.length));
  return { sections: lines.map(() => ""), columns, cells: lines.flatMap((line, row) => Array.from({ length: columns }, (_, column) => makeCell(row, column, line[column]?.trim()))) };
}
/** A table of HTML as cells on a grid, or null where that would lose some of its markup. */
function parseTable(html) {
  const body = new DOMParser().parseFromString(html, "text/html").body, table = body.querySelector("table");
  if (!table) return /<\w/.test(html) ? null : parseLines(html);
  const whole = [...body.querySelectorAll("*")].every(one => PLAIN.has(one.tagName) &&
    [...one.attributes].every(attribute => ["colspan", "rowspan"].includes(attribute.name)));
  if (!whole || body.querySelectorAll("table").length > 1 || body.textContent.trim() !== table.textContent.trim() || html.includes("<!--")) return null;
  const named = /<t(head|body|foot)/i.test(html), taken = new Set(), cells = [];
  const sections = [...table.rows].map(row => named ? row.parentElement.tagName.toLowerCase() : "");
  let columns = 0;
  [...table.rows].forEach((line, row) => {
    let column = 0;
    for (const cell of line.cells) {
      while (taken.has(`${row} ${column}`)) column++;
      const rows = Math.min(Math.max(1, cell.rowSpan), sections.length - row);
      for (let i = 0; i < rows; i++) for (let j = 0; j < cell.colSpan; j++) taken.add(`${row + i} ${column + j}`);
      const text = [...cell.childNodes].map(node => node.nodeName === "BR" ? "\n" : node.textContent.replace(/\s*\n\s*/g, " ")).join("");
      cells.push({ row, column, rows, columns: cell.colSpan, text, head: cell.tagName === "TH" });
      column += cell.colSpan;
      columns = Math.max(columns, column);
    }
  });
  return { sections, columns, cells };
}
const escapeText = text => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("\n", "<br>");
function writeTable(table) {
  let html = "<table>", open = "";
  table.sections.forEach((section, row) => {
    if (section !== open) { html += (open && `</${open}>`) + (section && `<${section}>`); open = section; }
    const line = table.cells.filter(cell => cell.row === row).sort((one, other) => one.column - other.column);
    html += "<tr>" + line.map(cell => {
      const tag = cell.head ? "th" : "td", spans = (cell.rows > 1 ? ` rowspan="${cell.rows}"` : "") + (cell.columns > 1 ? ` colspan="${cell.columns}"` : "");
      return `<${tag}${spans}>${escapeText(cell.text)}</${tag}>`;
    }).join("") + "</tr>";
  });
  return html + (open && `</${open}>`) + "</table>";
}
const ALONG = { row: ["rows", "sections"], column: ["columns", null] };
/** A new line after line `index`; cells that reach across it grow. */
function addLine(table, axis, index) {
  const span = ALONG[axis][0], across = axis === "row" ? "column" : "row", wide = ALONG[across][0], count = axis === "row" ? table.columns : table.sections.length;
  const covered = new Set();
  for (const cell of table.cells) {
    if (cell[axis] <= index && cell[axis] + cell[span] > index + 1) {
      cell[span]++;
      for (let i = 0; i < cell[wide]; i++) covered.add(cell[across] + i);
    } else if (cell[axis] > index) cell[axis]++;
  }
  for (let place = 0; place < count; place++) if (!covered.has(place)) {
    const model = table.cells.find(cell => cell[axis] + cell[span] === index + 1 && cell[across] <= place && place < cell[across] + cell[wide]);
    table.cells.push({ ...makeCell(0, 0), [axis]: index + 1, [across]: place, head: axis === "column" && !!model?.head });
  }
  if (axis === "row") table.sections.splice(index + 1, 0, table.sections[index] ?? ""); else table.columns++;
}
function dropLine(table, axis, index) {
  const span = ALONG[axis][0];
  if ((axis === "row" ? table.sections.length : table.columns) === 1) return;
  table.cells = table.cells.filter(cell => !(cell[axis] === index && cell[span] === 1));
  for (const cell of table.cells) {
    if (cell[axis] <= index && cell[axis] + cell[span] > index) cell[span]--;
    else if (cell[axis] > index) cell[axis]--;
  }
  if (axis === "row") table.sections.splice(index, 1); else table.columns--;
}
/** Join a cell with its neighbour along an axis, where the two make a rectangle. */
function mergeCells(table, cell, axis) {
  const span = ALONG[axis][0], across = axis === "row" ? "column" : "row", wide = ALONG[across][0];
  const neighbour = table.cells.find(one => one[axis] === cell[axis] + cell[span] && one[across] === cell[across] && one[wide] === cell[wide]);
  if (!neighbour) return;
  cell[span] += neighbour[span];
  cell.text = [cell.text, neighbour.text].filter(text => text.trim()).join(" ");
  table.cells.splice(table.cells.indexOf(neighbour), 1);
}
function splitCell(table, cell) {
  for (let i = 0; i < cell.rows; i++) for (let j = 0; j < cell.columns; j++) if (i || j)
    table.cells.push({ row: cell.row + i, column: cell.column + j, rows: 1, columns: 1, text: "", head: cell.head });
  cell.rows = cell.columns = 1;
}
/** The cells in their order, laid out in so many columns; one over the whole row stays so. Not where a cell is higher. */
function layCells(table, columns) {
  const cells = [...table.cells].sort((one, other) => one.row - other.row || one.column - other.column);
  if (columns < 1 || cells.some(cell => cell.rows > 1) || new Set(table.sections).size > 1) return;
  while (cells.length > 1 && !cells.at(-1).text && cells.at(-1).columns === 1) cells.pop();
  const laid = [];
  let row = 0, column = 0;
  const pad = () => { while (column && column < columns) laid.push(makeCell(row, column++)); if (column) { row++; column = 0; } };
  for (const cell of cells) {
    const span = cell.columns > 1 && cell.columns === table.columns ? columns : Math.min(cell.columns, columns);
    if (column + span > columns) pad();
    laid.push(Object.assign(cell, { row, column, columns: span }));
    column += span;
    if (column === columns) { row++; column = 0; }
  }
  pad();
  Object.assign(table, { cells: laid, columns, sections: Array.from({ length: row }, () => table.sections[0]) });
}
const readsRight = text => /^[^\p{L}]*[\p{Script=Arabic}\p{Script=Hebrew}]/u.test(text);
/** A table as a grid of fields; null where it can only be edited as HTML. */
function buildGrid(html, change) {
  const table = parseTable(html);
  if (!table) return null;
  const holder = make("div", { className: "grid", role: "group" });
  let focused = [0, 0];
  const cellAt = () => table.cells.find(cell => cell.row === focused[0] && cell.column === focused[1]) ?? table.cells[0];
  const commands = {
    row: cell => { addLine(table, "row", cell.row + cell.rows - 1); focused = [cell.row + cell.rows, cell.column]; },
    column: cell => { addLine(table, "column", cell.column + cell.columns - 1); focused = [cell.row, cell.column + cell.columns]; },
    dropRow: cell => { dropLine(table, "row", cell.row); focused[0] = Math.min(cell.row, table.sections.length - 1); },
    dropColumn: cell => { dropLine(table, "column", cell.column); focused[1] = Math.min(cell.column, table.columns - 1); },
    mergeRight: cell => mergeCells(table, cell, "column"), mergeDown: cell => mergeCells(table, cell, "row"),
    wider: cell => { layCells(table, table.columns + 1); focused = [cell.row, cell.column]; }, narrower: cell => { layCells(table, table.columns - 1); focused = [cell.row, cell.column]; },
    whole: cell => { cell.columns = table.columns; layCells(table, table.columns); focused = [cell.row, cell.column]; },
    splitCell: cell => splitCell(table, cell), head: cell => { cell.head = !cell.head; },
  };
  function draw(focus) {
    const grid = make("table"), tools = make("div", { className: "tools" });
    grid.setAttribute("role", "presentation");
    grid.dir = readsRight(table.cells.map(cell => cell.text).join(" ")) ? "rtl" : "ltr";
    table.sections.forEach((_, row) => {
      const line = grid.insertRow();
      for (const cell of table.cells.filter(one => one.row === row).sort((one, other) => one.column - other.column)) {
        const place = line.insertCell(), field = make("textarea", { value: cell.text, rows: 1, dir: "auto", className: cell.head ? "th" : "" });
        Object.assign(place, { rowSpan: cell.rows, colSpan: cell.columns });
        field.setAttribute("aria-label", `${t("row").slice(2)} ${row + 1}, ${t("column").slice(2)} ${cell.column + 1}`);
        field.addEventListener("focus", () => { focused = [cell.row, cell.column]; });
        field.addEventListener("input", () => { cell.text = field.value; change(writeTable(table)); });
        field.addEventListener("keydown", event => {
          if (event.key !== "Enter" || event.altKey || event.ctrlKey || event.shiftKey || event.metaKey) return;
          event.preventDefault();
          const below = [...grid.querySelectorAll("textarea")].find(one => one.cell.row === cell.row + cell.rows && one.cell.column + one.cell.columns > cell.column);
          if (below) below.focus(); else holder.command("row");
        });
        field.cell = cell;
        place.append(field);
      }
    });
    for (const name of Object.keys(commands)) tools.append(make("button", { type: "button", textContent: t(name), onclick: () => holder.command(name), tabIndex: -1 }));
    holder.replaceChildren(grid, tools);
    if (focus) [...grid.querySelectorAll("textarea")].find(field => field.cell === cellAt())?.focus();
  }
  holder.command = name => { commands[name](cellAt()); change(writeTable(table)); draw(true); };
  draw(false);
  return holder;
}
