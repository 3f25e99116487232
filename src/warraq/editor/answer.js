/** What is shown: the tasks, the answers in their order and the place among them, the page with all that is known of it.

    The page that includes this says how an answer is opened (`openPage`), what is told of it (`listNotes`), how it is kept
    before it is saved (`keepLocally`, `keepDraft`, `dropDraft`), sent (`sendReview`), marked as saved (`showStatus`) and found again
    (`findSaved`), what comes after it (`go`), whether it is a second reading (`isSecond`), and what another language changes
    (`translatePage`). */
const app = {
  tab: crypto.randomUUID?.() ?? String(Math.random()), tasks: {}, items: [], at: -1, page: null, candidates: [], base: -1, other: -1,
  accepted: new Set(), problems: [], reverted: null, dirty: false, signs: false, opened: 0, saved: [], timer: 0, reviewer: "", busy: false,
};
const PLAIN_TEXT = { textlayer: true, tesseract: true }; // sources that know no kinds and levels
const UNSURE = 0.9; // of a value: below it the model's confidence is a doubt
function say(text, kind = "") { at("state").textContent = text; at("state").className = kind; }
const authorize = () => at("token").value ? { Authorization: "Bearer " + at("token").value } : {};
async function ask(path, body) {
  const headers = authorize(), options = body === undefined ? { headers } : { method: "POST", body: JSON.stringify(body), headers, keepalive: JSON.stringify(body).length < 60000 };
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
function option(value, text) { return make("option", { value, textContent: text }); }
function fillSelect(id, pairs) {
  const before = at(id).value;
  at(id).replaceChildren(...pairs.map(([value, text]) => option(value, text)));
  if (pairs.some(([value]) => value === before)) at(id).value = before;
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
    const told = [...field.querySelectorAll(":scope > .why, :scope > .problem")];
    told.forEach((line, index) => { line.id = `${path} ${index}`.replaceAll(" ", "-"); });
    if (told.length) control?.setAttribute("aria-describedby", told.map(line => line.id).join(" ")); else control?.removeAttribute("aria-describedby");
  }
  const notes = [...listNotes(app.page, base), ...(base?.doubts ?? []).filter(one => !one.path).map(one => one.message)];
  const shown = new Set([...at("form").querySelectorAll("[data-path]")].map(field => field.dataset.path));
  at("notes").replaceChildren(...[...new Set(notes)].map(textContent => make("p", { textContent, dir: "auto" })),
    ...app.problems.filter(one => !shown.has(one.path)).map(one => make("p", { className: "bad", textContent: `${one.path}: ${one.message}` })));
}
const differs = (path, value) => app.others[path] !== undefined && squash(plain(app.others[path])) !== squash(plain(value));
form.mark = mark;
form.changed = path => {
  app.dirty = true; app.reverted = null; app.problems = app.problems.filter(one => one.path !== path);
  keepLocally(app.page, form.answer);
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
