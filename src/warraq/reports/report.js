"use strict";
// What there is to choose from: the list of pages, and the documents' plot. page.js draws a page.

const PAGES = 50; // listed at once
const collator = new Intl.Collator(undefined, {numeric: true});
const signed = value => (value > 0 ? "+" : "") + number(value).replace("-", "−");
const better = score => (data.scores[score].lower ? -1 : 1);

/* The list of pages */

const fold = text => text.normalize("NFKD").replace(/[\p{Mn}\p{Cf}\u0640]/gu, "").replace(/\s+/g, " ").toLowerCase();
const tasksOf = page => page.tasks.filter(task => !at("task").value || task.task === at("task").value);

function haystack(page) {
  const texts = task => [task.text, ...(task.gold ?? []),
    ...Object.values(task.answers).flatMap(({text, raw, values}) => [text, raw, ...(values ?? [])])];
  return page.folded ??= fold([page.stem + page.suffix, page.id, ...page.tasks.flatMap(texts).map(whole)].join("\n"));
}

function sortKey(page, kind, score) {
  const [from, to] = kind === "gain" ? [page.scores.base[score], page.scores.merged[score]] : [0, page.scores[at("model").value][score]];
  return from === null || to === null ? NaN : (to - from) * better(score);
}

function select() {
  const words = fold(at("search").value.trim()), reason = at("reason").value, model = at("model").value;
  const found = data.pages.filter(page => {
    const tasks = tasksOf(page);
    return tasks.length && (!at("document").value || page.document === at("document").value)
      && (!reason || tasks.some(task => answerOf(task, model).issues.some(issue => issue[0] === reason)))
      && (!words || haystack(page).includes(words));
  });
  const way = at("reversed").checked ? -1 : 1, [kind, score] = at("sort").value.split(":");
  if (kind === "name") return found.sort((one, other) => way * (collator.compare(one.stem, other.stem) || one.page - other.page));
  const keys = new Map(found.map(page => [page, sortKey(page, kind, score)]));
  return found.sort((one, other) => {
    const [a, b] = [keys.get(one), keys.get(other)];
    return Number.isNaN(a) - Number.isNaN(b) || way * (a - b) || 0; // what has no such score comes last
  });
}

function sheet(page) {
  const scores = tasksOf(page).map(task => `${task.task} ` + variantsShown().map(name => number(task.answers[name].quality)).join(" → "));
  const summary = make("summary", {},
    make("h3", {}, make("bdi", {}, ...glyphs(page.stem)), ...glyphs(page.suffix), `, page ${page.page}`),
    make("span", {}, page.id, " · ", scores.join(" · ")));
  const one = make("details", {class: "sheet", "data-page": page.id}, summary);
  one.addEventListener("toggle", () => {
    if (!one.open || one.children.length > 1) return;
    const answers = tasksOf(page).map(task => make("div", {class: "answers"}, make("h4", {}, task.task),
      task.text === undefined ? showFields(task) : showTexts(task)));
    one.append(make("div", {class: "body"}, showImage(page), make("div", {}, ...answers)));
  });
  return one;
}

let start = 0;

function list(first = 0) {
  const found = select();
  start = first;
  at("sheets").replaceChildren(...found.slice(first, first + PAGES).map(sheet));
  const last = Math.min(first + PAGES, found.length);
  at("count").textContent = `${found.length} of ${data.pages.length} pages` + (found.length > PAGES ? `, ${first + 1} to ${last} shown` : "");
  at("before").disabled = !first;
  at("after").disabled = last >= found.length;
  at("pager").hidden = found.length <= PAGES;
}

function redraw() {
  const open = [...at("sheets").querySelectorAll("details[open]")].map(one => one.dataset.page);
  list(start);
  for (const one of at("sheets").children) one.open = open.includes(one.dataset.page);
}

function fill(id, options) {
  const chosen = at(id).value, kept = [...at(id).children].filter(one => !one.dataset.made);
  const made = options.map(([value, text]) => make("option", {value, "data-made": true}, text));
  at(id).replaceChildren(...kept, ...made);
  if ([...at(id).options].some(one => one.value === chosen)) at(id).value = chosen;
}

function fillReasons() {
  const counts = new Map(), model = at("model").value;
  for (const page of data.pages) {
    const own = tasksOf(page).flatMap(task => answerOf(task, model).issues.map(issue => issue[0]));
    for (const reason of new Set(own)) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  fill("reason", [...counts].sort(([a], [b]) => collator.compare(a, b)).map(([reason, count]) => [reason, `${reason} (${count})`]));
}

/* Documents: base against merged */

function drawPairs() {
  const score = Number(at("pair-score").value), rows = [];
  for (const {id, name, scores: {base, merged}} of data.documents) {
    if (base[score] !== null && merged[score] !== null) rows.push({id, name, from: base[score], to: merged[score]});
  }
  const gain = row => (row.to - row.from) * better(score);
  rows.sort((one, other) => gain(one) - gain(other) || collator.compare(one.name, other.name));
  const count = sign => rows.filter(row => Math.sign(gain(row)) === sign).length;
  at("pair-note").textContent = `${count(1)} better, ${count(-1)} worse, ${count(0)} the same; the greatest loss first. ` +
    `${data.documents.length - rows.length ? `${data.documents.length - rows.length} have no such score. ` : ""}Choose a document to see its pages.`;
  const dots = key => rows.map((row, place) => `M${100 * row[key]} ${place + 0.5}h.001`).join("");
  const lines = rows.map((row, place) => `M${100 * row.from} ${place + 0.5}H${100 * row.to}`).join("");
  const plot = make("svg", {viewBox: `0 0 100 ${rows.length || 1}`, preserveAspectRatio: "none", "aria-hidden": "true"},
    ...[["line", lines], ["base", dots("from")], ["merged", dots("to")]].map(([name, d]) => make("path", {class: name, d, "vector-effect": "non-scaling-stroke"})));
  plot.style.height = `${1.75 * rows.length}rem`; // a row's in report.css
  at("pairs").replaceChildren(plot, make("ol", {}, ...rows.map((row, place) => {
    const button = make("button", {type: "button", tabindex: place ? -1 : 0}, make("bdi", {}, row.name),
      make("span", {}, `${number(row.from)} → ${number(row.to)}`), make("b", {}, signed(row.to - row.from)));
    button.addEventListener("click", () => {
      at("document").value = row.id;
      list();
      at("pages").scrollIntoView();
    });
    return make("li", {}, button);
  })));
}

at("pairs").addEventListener("keydown", event => {
  const step = {ArrowDown: "nextSibling", ArrowUp: "previousSibling"}[event.key];
  const next = step && document.activeElement.closest("#pairs li")?.[step]?.firstChild;
  if (!next) return;
  event.preventDefault();
  next.focus();
});

const labels = data.scores.map(({label}, score) => [score, label]);
fill("model", data.variants.map(name => [name, name]));
fill("task", [...new Set(data.pages.flatMap(page => page.tasks.map(task => task.task)))].sort().map(name => [name, name]));
fill("document", data.documents.map(({id, name}) => [id, name]).sort(([, a], [, b]) => collator.compare(a, b)));
fill("pair-score", [...labels.filter(([score]) => data.primary.includes(score)), ...labels.filter(([score]) => !data.primary.includes(score))]);
at("by-score").append(...labels.map(([score, label]) => make("option", {value: `score:${score}`}, label)));
at("by-gain").append(...labels.map(([score, label]) => make("option", {value: `gain:${score}`}, `gain in ${label}`)));
at("model").value = "merged";
at("sort").value = "score:0";
for (const id of ["search", "task", "document", "reason", "sort", "reversed"]) at(id).addEventListener("input", () => list());
at("task").addEventListener("input", fillReasons);
at("model").addEventListener("input", () => { fillReasons(); redraw(); });
at("unseen").addEventListener("input", redraw);
at("before").addEventListener("click", () => list(start - PAGES));
at("after").addEventListener("click", () => list(start + PAGES));
at("pair-score").addEventListener("input", drawPairs);
fillReasons();
drawPairs();
list();
if (at("sheets").firstChild) at("sheets").firstChild.open = true;
