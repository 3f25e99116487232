/** What is shown: the tasks, the queue and the place in it, the page with all that is known of it. */
const app = {
  tab: crypto.randomUUID?.() ?? String(Math.random()), tasks: {}, items: [], counts: {}, at: -1, page: null, candidates: [], base: -1, other: -1,
  accepted: new Set(), problems: [], reverted: null, dirty: false, signs: false, opened: 0, saved: [], timer: 0, reviewer: "", busy: false,
};
const SILENT = new Set(["no_review", "not_this_task", "no_text_layer"]); // reasons that tell a person nothing
const PLAIN_TEXT = { textlayer: true, tesseract: true }; // sources that know no kinds and levels
const UNSURE = 0.9; // of a value: below it the model's confidence is a doubt
function say(text, kind = "") { at("state").textContent = text; at("state").className = kind; }
async function ask(path, body) {
  const headers = at("token").value ? { Authorization: "Bearer " + at("token").value } : {};
  const options = body === undefined ? { headers } : { method: "POST", body: JSON.stringify(body), headers, keepalive: JSON.stringify(body).length < 60000 };
  const reply = await fetch("/v1/" + path, options);
  if (reply.status === 401) at("secret").hidden = false;
  return reply;
}
async function get(path) {
  const reply = await ask(path), value = await reply.json();
  if (!reply.ok) throw new Error(value.error?.message ?? reply.status);
  return value;
}
const copy = value => structuredClone(value);
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
const isSecond = () => at("queue").value === "second";
function option(value, text) { return make("option", { value, textContent: text }); }
function fillSelect(id, pairs) {
  const before = at(id).value;
  at(id).replaceChildren(...pairs.map(([value, text]) => option(value, text)));
  if (pairs.some(([value]) => value === before)) at(id).value = before;
}
async function start() {
  translate(); watchStage(); watchKeys();
  at("token").value = sessionStorage.getItem("token") ?? "";
  await begin();
}
async function begin() {
  let told;
  try { told = await get("start"); } catch (error) { return say(error.message || t("gone"), "error"); }
  at("reviewer").value = app.reviewer = localStorage.getItem("reviewer") || told.reviewer;
  fillLists(told);
  for (const task of [...Object.keys(told.tasks), ""]) { // the first that has something to be labelled
    at("task").value = task;
    await loadQueue();
    if (app.items.length) return;
  }
  const first = told.queues.find(name => app.counts[name]);
  if (first) { at("queue").value = first; await loadQueue(); }
}
function fillLists(told) {
  Object.assign(app, { tasks: told.tasks, told });
  fillSelect("task", [["", t("all")], ...Object.keys(told.tasks).map(name => [name, named(name)])]);
  fillSelect("document", [["", t("all")], ...told.documents]);
  fillSelect("sensitivity", [["", t("all")], ...told.sensitivities.map(one => [one, one])]);
  fillSelect("queue", told.queues.map(name => [name, t(name)]));
}
const queryOf = names => new URLSearchParams(Object.fromEntries(names.map(name => [name, at(name).value])));
async function loadQueue(open = true) {
  const told = await get("queue?" + queryOf(["queue", "task", "document", "reason", "sensitivity", "reviewer"])).catch(error => { say(error.message, "error"); });
  if (!told) return;
  if (told.version !== app.version) await renew(told.version);
  app.items = told.items;
  showCounts(told);
  fillSelect("reason", [["", t("all")], ...told.reasons.map(one => [one, one])]);
  at("list").firstElementChild.replaceChildren(...app.items.map((item, index) => {
    const button = make("button", { type: "button", className: item.status, title: `${item.file}, ${item.page}`, onclick: () => openPage(index) }, make("bdi", { textContent: item.file }), make("span", { textContent: item.page }));
    if (!at("task").value) button.append(make("small", { textContent: named(item.task) }));
    if (item.reason) button.append(make("small", { textContent: item.reason }));
    return make("li", {}, button);
  }));
  if (!open) { app.at = app.items.findIndex(one => one.page_id === app.page?.page_id && one.task === app.page.task); return markPlace(); }
  if (app.items.length) { if (!app.page) showFilters(false); await openPage(0); } else { app.at = -1; app.page = null; clearPage(); say(t("nothingLeft")); showFilters(true); }
}
/** Pages, labels or answers of a model have come since the lists were filled. */
async function renew(version) {
  if (app.version !== undefined) fillLists(await get("start"));
  app.version = version;
}
function showCounts(told) {
  if (told.version !== app.version) { app.stale = true; say(t("renewed"), "good"); }
  app.counts = told.counts;
  for (const choice of at("queue").options) choice.textContent = `${t(choice.value)} (${told.counts[choice.value]})`;
  const pace = told.pace_s, all = told.left_s / 60;
  at("left").textContent = t("left", told.left, pace && (pace < 60 ? t("seconds", Math.ceil(pace)) : t("minutes", (pace / 60).toFixed(1))), all < 100 ? t("minutes", Math.ceil(all)) : t("hours", (all / 60).toFixed(1)));
}
function showFilters(shown) {
  at("filters").hidden = !shown; at("more").setAttribute("aria-expanded", String(shown));
  if (shown) showProgress();
}
function clearPage() {
  showImage(null, ""); at("form").replaceChildren(); at("notes").replaceChildren(); showText(""); at("name").textContent = "";
  fillSelect("from", []); fillSelect("against", []);
}
function markPlace() {
  for (const current of at("list").querySelectorAll("[aria-current]")) current.removeAttribute("aria-current");
  const button = at("list").querySelectorAll("button")[app.at];
  button?.setAttribute("aria-current", "true"); button?.scrollIntoView({ block: "nearest" });
}
/** Whether a draft is of today's schema; of an earlier one the server's copy is taken, which it brings into shape. */
const fits = (answer, schema) => same(Object.keys(answer), Object.keys(schema.properties));
const keyOf = page => `draft ${page.task} ${page.page_id} ${app.reviewer}`;
/** Open a page of the list, and say what came of the one before. */
async function openPage(index, message = "", kind = "") {
  const item = app.items[index];
  if (!item) return;
  await keepDraft();
  const query = new URLSearchParams({ tab: app.tab, reviewer: app.reviewer, second: isSecond() });
  let page;
  try { page = await get(`page/${item.task}/${item.page_id}?${query}`); } catch (error) { return say(error.message || t("gone"), "error"); }
  Object.assign(app, { at: index, page, candidates: page.candidates, accepted: new Set(), problems: [], reverted: null, dirty: false, opened: performance.now(), base: -1, other: -1 });
  markPlace();
  at("name").textContent = `${page.file}, ${page.page}`;
  showText(page.text);
  if (page.holder) say(t("held", page.holder), "error"); else say(message, kind);
  ask("image/" + page.page_id).then(reply => reply.blob()).then(blob => { if (app.page === page) showImage(blob, `${page.file}, ${page.page}`); });
  const local = localStorage.getItem(keyOf(page)), draft = local && fits(JSON.parse(local).answer, app.tasks[page.task]) ? JSON.parse(local) : page.draft;
  fillFrom(app.candidates.length ? 0 : -1);
  if (draft && !same(draft.answer, form.answer)) { load(draft.answer); app.dirty = true; say(t("draftFound")); mark(); }
  focusFirst();
  if (!app.candidates.some(one => one.source === "review" || one.source === "label" || one.source === "quarantined") && app.told.machine.includes(page.task)) askMachine(page, !draft);
  prefetch(index + 1);
}
function showText(text) { at("text").hidden = !text; at("text").querySelector("p").textContent = text; }
/** The next page is read while a person reads this one. */
function prefetch(index) {
  const item = app.items[index];
  if (item && app.told.machine.includes(item.task) && !item.status) ask(`machine/${item.task}/${item.page_id}`).catch(() => {});
}
async function askMachine(page, fill) {
  const empty = !app.candidates.length;
  if (empty && !at("state").textContent) say(t("reading"));
  const told = await get(`machine/${page.task}/${page.page_id}`).catch(() => ({ candidates: [] }));
  if (app.page !== page) return;
  if (empty && at("state").textContent === t("reading")) say("");
  if (told.text) showText(told.text);
  if (!told.candidates.length) return;
  const proved = app.candidates.filter(one => !isUnproved(one)), rest = app.candidates.filter(one => !proved.includes(one));
  const better = told.candidates[0], old = app.candidates[app.base];
  app.candidates = [...proved, ...told.candidates, ...rest];
  if (fill && !app.dirty && (!old || rest.includes(old))) { const inForm = document.activeElement === document.body || at("form").contains(document.activeElement); fillFrom(app.candidates.indexOf(better)); if (inForm) focusFirst(); }
  else { app.base = app.candidates.indexOf(old); showSources(); mark(); }
}
function load(answer) { buildForm(app.tasks[app.page.task], copy(answer)); }
/** Fill the form with a source; -1 is an empty form. */
function fillFrom(index) {
  app.base = index; app.accepted.clear(); app.problems = []; app.dirty = false;
  app.other = app.candidates.findIndex((one, place) => place !== index && !isUnproved(one) && !same(one.answer, app.candidates[index]?.answer));
  load(app.candidates[index]?.answer ?? null);
  app.start = copy(form.answer);
  showSources(); mark();
}
const isUnproved = one => one.source === "textlayer" && one.doubts.length > 0;
const nameOf = one => t(one.source) + (one.name ? `, ${one.name}` : "");
function showSources() {
  fillSelect("from", [["-1", t("empty")], ...app.candidates.map((one, index) => [String(index), nameOf(one)])]);
  fillSelect("against", [["-1", t("empty")], ...app.candidates.map((one, index) => [String(index), nameOf(one)])]);
  at("from").value = app.base; at("against").value = app.other;
}
/** The fields of an answer by path, as the form has them. */
function flatten(value, path = "", found = {}) {
  if (value !== null && typeof value === "object") {
    for (const [key, inner] of Object.entries(value)) flatten(inner, Array.isArray(value) ? `${path}[${key}]` : path ? `${path}.${key}` : key, found);
  } else found[path] = value;
  return found;
}
/** The other source's answer with the items of its lists at the places of those that they stand for in ours. */
function lineUp(ours, theirs) {
  if (Array.isArray(ours) && Array.isArray(theirs)) {
    const write = one => typeof one === "object" && one ? one.text ?? Object.values(flatten(one)).join(" ") : String(one);
    const isPage = ours.some(one => one && "level" in one && "text" in one), texts = isPage ? spreadText(ours, theirs) : [];
    return align(ours, theirs, write, isPage).map((place, index) => {
      const found = place === null ? {} : lineUp(ours[index], theirs[place]);
      return isPage ? { ...found, text: texts[index] } : place === null ? undefined : found;
    });
  }
  if (ours && theirs && typeof ours === "object" && typeof theirs === "object") return Object.fromEntries(Object.keys(ours).map(key => [key, lineUp(ours[key], theirs[key])]));
  return theirs;
}
const plain = value => value === null || value === undefined ? "" : /^\s*<table/.test(value) ? [...new DOMParser().parseFromString(value, "text/html").querySelectorAll("td, th")].map(cell => cell.textContent).join(" | ") : String(value);
/** Mark what is doubtful, what differs from the other source, what does not fit. */
function mark() {
  const base = app.candidates[app.base], other = app.candidates[app.other], doubts = new Map();
  const doubt = (path, why) => doubts.set(path, [...(doubts.get(path) ?? []), why]);
  for (const one of base?.doubts ?? []) if (one.path) doubt(one.path, one.message);
  for (const [path, value] of Object.entries(base?.confidence ?? {})) if (value < UNSURE) doubt(path, t("unsureOf", Math.round(100 * value)));
  app.others = other ? flatten(lineUp(form.answer, fitValue(form.schema, other.answer))) : {};
  if (other && other.source in PLAIN_TEXT) app.others = Object.fromEntries(Object.entries(app.others).filter(([path]) => path.endsWith(".text")));
  const ours = flatten(form.answer);
  for (const old of at("form").querySelectorAll(".why:not(.item > .why), .problem, .diff, .hidden-signs")) old.remove();
  for (const field of at("form").querySelectorAll("[data-path]")) {
    const path = field.dataset.path, accepted = app.accepted.has(path), value = ours[path];
    field.classList.toggle("doubt", !accepted && doubts.has(path) || differs(path, value) && !accepted);
    if (!accepted) for (const why of doubts.get(path) ?? []) field.append(make("p", { className: "why", textContent: why }));
    if (differs(path, value)) field.append(showDifference(nameOf(other), ...(field.querySelector("select") ? ["", named(String(app.others[path]))] : [plain(value), plain(app.others[path])])));
    if (app.signs && typeof value === "string" && SIGN.test(value)) field.append(showSigns(value));
    const problem = app.problems.find(one => one.path === path), control = field.querySelector("[data-input]");
    if (problem) control?.setAttribute("aria-invalid", "true"); else control?.removeAttribute("aria-invalid");
    if (problem) field.append(make("p", { className: "problem", textContent: control?.matches("select") ? t("choose") : problem.message }));
  }
  const page = app.page, notes = [...(base?.doubts ?? []).filter(one => !one.path).map(one => one.message)];
  if (page.reason && base?.source !== "quarantined" && !SILENT.has(page.reason)) notes.unshift(page.reason + (page.message ? `: ${page.message}` : ""));
  const shown = new Set([...at("form").querySelectorAll("[data-path]")].map(field => field.dataset.path));
  at("notes").replaceChildren(...[...new Set(notes)].map(textContent => make("p", { textContent, dir: "auto" })),
    ...app.problems.filter(one => !shown.has(one.path)).map(one => make("p", { className: "bad", textContent: `${one.path}: ${one.message}` })));
}
const differs = (path, value) => app.others[path] !== undefined && squash(plain(app.others[path])) !== squash(plain(value));
form.mark = mark;
form.changed = path => {
  app.dirty = true; app.reverted = null; app.problems = app.problems.filter(one => one.path !== path);
  localStorage.setItem(keyOf(app.page), JSON.stringify({ answer: form.answer }));
  clearTimeout(app.timer);
  app.timer = setTimeout(() => { mark(); keepDraft(); }, 400);
};
const inputs = () => [...at("form").querySelectorAll("textarea, select, input")].filter(one => one.offsetParent);
function focusFirst() {
  const control = at("form").querySelector(".doubt [data-input]") ?? at("form").querySelector(".wide textarea") ?? inputs()[0] ?? at("form").querySelector("button");
  control?.focus({ preventScroll: true }); control?.setSelectionRange?.(0, 0);
  const place = control?.closest(".item") ?? control?.closest(".field");
  if (place) place.scrollIntoView({ block: place.offsetHeight > at("form").clientHeight ? "start" : "nearest" });
}
function step(list, by) {
  if (!list.length) return false;
  const active = document.activeElement, place = list.findIndex(one => one === active || one.contains(active));
  const after = place >= 0 ? place + by : by > 0 ? list.findIndex(one => active.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING && at("form").contains(active)) : -1;
  const target = list[(after + list.length) % list.length] ?? list[0];
  (target.matches("textarea, select, input") ? target : target.querySelector("[data-input], textarea"))?.focus();
  target.scrollIntoView({ block: "nearest" });
  return true;
}
/** The other source's value in the field that has the focus, or all of it. */
function takeOther(all) {
  const other = app.candidates[app.other];
  if (!other) return;
  if (all) { load(other.answer); form.changed(""); mark(); return focusFirst(); }
  const path = document.activeElement.closest("[data-path]")?.dataset.path;
  if (!path || app.others[path] === undefined) return;
  const parts = path.match(/[^.[\]]+/g), last = parts.pop();
  parts.reduce((value, key) => value[key], form.answer)[last] = app.others[path];
  load(form.answer); form.changed(path); mark();
  at("form").querySelector(`[data-input="${CSS.escape(path)}"]`)?.focus();
}
function acceptAll() {
  for (const field of at("form").querySelectorAll(".doubt")) app.accepted.add(field.dataset.path);
  mark(); say(t("accepted"));
}
async function showProgress() {
  const told = await get("progress").catch(() => null);
  if (!told) return;
  const lines = [`${t("gold")}: ${Object.entries(told.gold).map(([name, count]) => `${named(name)} ${count}`).join(", ")}`, t("validation", told.validation_documents, told.validation_needed)];
  for (const [key, title] of [["teacher", "teacherError"], ["people", "agreement"]]) for (const one of told[key]) {
    const { value, lo, hi, documents } = one.estimate, limits = lo === null ? "" : ` [${lo.toFixed(3)}, ${hi.toFixed(3)}]`;
    lines.push(`${t(title)}: ${named(one.task)} ${one.score === "cer" ? "CER" : "F1"} ${value.toFixed(3)}${limits}, ${t("on", one.pages, documents)}`);
  }
  lines.push(`${t("next")}: ${told.next}`);
  at("progress").replaceChildren(...lines.map(textContent => make("p", { textContent })));
}
