app.counts = {};
const SILENT = new Set(["no_review", "not_this_task", "no_text_layer"]); // reasons that tell a person nothing
const isSecond = () => at("queue").value === "second";
async function start() {
  translate(); watchStage(); watchKeys(); watchPage();
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
  at("left").title = at("left").textContent;
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
async function keepDraft(closing = false) {
  clearTimeout(app.timer);
  const page = app.page;
  if (closing && !app.dirty) return ask("release", { page_id: "", task: "", reviewer: "", tab: app.tab }).catch(() => {});
  if (!page || !app.dirty) return;
  const told = await ask("draft", { ...bodyOf(page), closing, draft: { answer: form.answer } }).then(reply => reply.json()).catch(() => ({}));
  if (told.holder && app.page === page) say(t("held", told.holder), "error");
}
/** In this browser, whatever becomes of the server. */
function keepLocally(page, answer) {
  if (answer) localStorage.setItem(keyOf(page), JSON.stringify({ answer })); else localStorage.removeItem(keyOf(page));
}
function dropDraft(page) {
  keepLocally(page, null);
  ask("draft", { ...bodyOf(page), draft: null }).catch(() => {});
}
const sendReview = body => ask("save", body);
function showStatus(index, status) {
  app.items[index].status = status;
  const button = at("list").querySelectorAll("button")[index];
  if (button) button.className = status;
  count();
}
function count() { get("queue?limit=0&" + queryOf(["queue", "task", "document", "reason", "sensitivity", "reviewer"])).then(showCounts).catch(() => {}); }
/** The place of what was saved, in another queue where this one has it no more. */
async function findSaved(last) {
  const find = () => app.items.findIndex(one => one.page_id === last.page_id && one.task === last.task);
  if ((last.status === "second") !== isSecond()) at("queue").value = last.status === "second" ? "second" : "all";
  else if (find() >= 0) return find();
  await loadQueue(false);
  return find();
}
/** The next page that nobody has open, or the one before. */
async function go(by) {
  if (app.stale) { app.stale = false; await loadQueue(false); say(t("renewed"), "good"); }
  const index = app.at + by;
  if (by > 0 && index >= app.items.length) return loadQueue();
  if (index < 0) return;
  await openPage(index, at("state").textContent, at("state").className);
  if (by > 0 && app.page?.holder && index + 1 < app.items.length) await go(1);
}
function listNotes(page, base) {
  return page.reason && base?.source !== "quarantined" && !SILENT.has(page.reason) ? [page.reason + (page.message ? `: ${page.message}` : "")] : [];
}
function translatePage() {
  for (const id of ["task", "document", "sensitivity", "reason"]) if (at(id).options[0]) at(id).options[0].textContent = t("all");
  for (const choice of at("task").options) if (choice.value) choice.textContent = named(choice.value);
  loadQueue(false);
}
function watchPage() {
  KEYS.splice(10, 0, ["KeyJ", "A", () => leave("skipped", t("skipWhy")), "keySkip", "Alt+J"]);
  ACTIONS.skip = () => leave("skipped", t("skipWhy"));
  at("more").addEventListener("click", () => showFilters(at("filters").hidden));
  for (const id of ["queue", "task", "document", "reason", "sensitivity"]) at(id).addEventListener("change", () => loadQueue());
  at("reviewer").addEventListener("change", () => loadQueue());
  addEventListener("focus", () => { if (app.page) count(); else if (app.told) loadQueue(); });
  addEventListener("pagehide", () => { keepDraft(true); });
}
