/** The desk: an answer is opened beside its page, corrected, saved, copied, downloaded. */
const isSecond = () => false;
const rows = new Map(); // corrections that no server keeps, by page and task
let opening = null; // what is about to be opened
async function start() {
  translate(); watchStage(); watchKeys(); watchPage();
  at("token").value = sessionStorage.getItem("token") ?? "";
  at("reviewer").value = app.reviewer = localStorage.getItem("reviewer") ?? "";
  await begin();
}
async function begin() {
  try { app.told = await get("start"); } catch (error) { return needToken(error.message); }
  app.tasks = app.told.tasks; queue.paused = false; say("");
  showTasks(); showNote(); showFiles(); work();
}
function needToken(message) { queue.paused = true; say(at("secret").hidden ? message || t("gone") : t("tokenNeeded"), "error"); if (!at("secret").hidden) at("token").focus(); }
function showTasks() {
  const chosen = new Set([...at("tasks").querySelectorAll("input:not(:checked)")].map(box => box.value));
  at("tasks").replaceChildren(at("tasks").firstElementChild, ...Object.keys(app.tasks).map(name => make("label", {}, make("input", { type: "checkbox", value: name, checked: !chosen.has(name) }), " " + named(name))));
}
function showNote() { at("note").hidden = app.told.saves; at("corrections").disabled = !rows.size; }
function clearPage() {
  Object.assign(app, { page: null, at: -1, candidates: [], base: -1, other: -1, dirty: false });
  showImage(null, ""); at("form").replaceChildren(); at("notes").replaceChildren(); at("name").textContent = "";
  fillSelect("from", []); fillSelect("against", []);
}
async function openPage(index, message = "", kind = "") {
  const item = app.items[index];
  if (!item) return;
  opening = item;
  clearTimeout(app.timer);
  const nothing = { base: "", status: item.status, candidates: item.corrected ? [{ source: "review", name: "", answer: item.corrected, doubts: [], confidence: {}, seen: item.seen }] : [] };
  let told = nothing;
  if (app.told.saves) try { told = await get(`page/${item.task}/${item.page_id}`); } catch { [message, kind] = [t("gone"), "error"]; }
  if (opening !== item) return;
  opening = null;
  if (told !== nothing) Object.assign(item, { base: told.base, status: told.status === "withdrawn" ? "" : told.status, corrected: told.candidates[0]?.answer ?? null });
  const model = { source: "student", name: app.told.model, answer: item.answer, doubts: [], confidence: item.checked.confidence_by_field, seen: item.seen };
  Object.assign(app, { page: item, candidates: [...told.candidates, model], accepted: new Set(), problems: [], reverted: null, dirty: false, opened: performance.now() });
  at("name").textContent = t("pageName", item.file.name, item.page);
  say(message, kind); showFiles();
  at("list").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  showImage(item.blob, at("name").textContent);
  at("source").hidden = app.candidates.length < 2;
  fillFrom(0);
  if (item.draft && !same(item.draft, form.answer)) { load(item.draft); app.dirty = true; mark(); }
  focusFirst();
}
/** What is not saved stays with its page, in this window alone. */
function keepLocally(page, answer) { page.draft = answer; }
const dropDraft = page => keepLocally(page, null);
async function keepDraft() { clearTimeout(app.timer); }
const listNotes = (item, base) => {
  const notes = base?.source === "student" && item.checked.needs_review ? item.checked.reasons.map(one => t(`why_${one}`)) : [];
  return Object.values(flatten(form.answer)).some(value => value !== null && value !== "" && value !== false) ? notes : [...notes, t("nothing")];
};
/** Save; of a document that the project has not yet, its file goes first. */
async function sendReview(body) {
  const item = app.page;
  let reply = await ask("save", body);
  if (reply.status === 428) {
    const file = new FormData();
    file.append("file", item.file.file);
    const kept = await fetch("/v1/keep", { method: "POST", body: file, headers: authorize() });
    if (!kept.ok) return kept;
    reply = await ask("save", body);
  }
  if (reply.ok && !app.told.saves) { rows.set(`${body.task} ${body.page_id}`, (await reply.clone().json()).row); showNote(); }
  return reply;
}
function showStatus(index, status) {
  const item = app.items[index];
  item.status = status;
  if (item === app.page) item.corrected = status === "answered" ? copy(form.answer) : null;
  if (!status) { rows.delete(`${item.task} ${item.page_id}`); item.corrected = null; }
  showNote(); showFiles();
  // after the common word for it
  if (status) queueMicrotask(() => { if (!app.told.saves) say(t("checked"), "good"); else if (item.file.password) say(t("lockedSaved"), "good"); });
}
const findSaved = async last => app.items.findIndex(one => one.page_id === last.page_id && one.task === last.task);
async function go(by) {
  const index = app.at + by;
  if (index < 0) return;
  if (index >= app.items.length) return by > 0 && app.items.length && at("state").className !== "good" ? say(t("lastPage")) : undefined;
  await openPage(index, at("state").textContent, at("state").className);
}
/** The answer as it is now, for what is copied and downloaded. */
const readAnswer = item => item === app.page ? form.answer : item.draft ?? item.corrected ?? item.answer;
function collectDocument(file) {
  const told = copy(file.document);
  for (const item of file.items) {
    const checked = told.pages.find(page => page.page === item.page && page.part === item.part).answers[item.task];
    Object.assign(checked, { answer: readAnswer(item) }, item.status === "answered" ? { needs_review: false, reasons: [] } : {});
  }
  return told;
}
const BOXES = { checkbox_checked: "☑ ", checkbox_empty: "☐ " };
const tableOf = lines => make("table", {}, make("tbody", {}, ...lines.map(cells => make("tr", {}, ...cells.map(textContent => make("td", { textContent }))))));
const isPageText = answer => Array.isArray(answer.blocks);
const pathWords = path => path.match(/[^.[\]]+/g).map(part => /^\d+$/.test(part) ? Number(part) + 1 : named(part)).join(" ");
/** An answer as plain text and as elements, for another program. */
function writeAnswer(answer) {
  const holder = make("div");
  if (!isPageText(answer)) {
    const lines = Object.entries(flatten(answer)).filter(([, value]) => value !== null && value !== "").map(([path, value]) => [pathWords(path), typeof value === "string" ? value : named(String(value))]);
    holder.append(tableOf(lines));
    return [lines.map(line => line.join("\t")).join("\n"), holder];
  }
  const texts = answer.blocks.map(block => {
    const found = block.kind === "table" && parseTable(block.text), text = (BOXES[block.kind] ?? "") + block.text;
    if (!found) { holder.append(make(block.kind === "heading" ? `h${Math.min(6, block.level ?? 1)}` : "p", { textContent: text, dir: "auto" })); return text; }
    const table = new DOMParser().parseFromString(writeTable(found), "text/html").querySelector("table");
    table.dir = readsRight(table.textContent) ? "rtl" : "ltr";
    holder.append(table);
    return [...table.rows].map(row => [...row.cells].map(cell => cell.textContent.replace(/\s+/g, " ")).join("\t")).join("\n");
  });
  return [texts.join("\n\n"), holder];
}
/** As `navigator.clipboard` is not there over plain HTTP. */
function copyAnswer() {
  if (!app.page) return;
  const [text, holder] = writeAnswer(form.answer), before = document.activeElement, html = new XMLSerializer().serializeToString(holder);
  const field = make("textarea", { value: text, className: "unseen" });
  const put = event => { event.preventDefault(); event.clipboardData.setData("text/plain", text); event.clipboardData.setData("text/html", html); };
  document.body.append(field); field.select();
  document.addEventListener("copy", put);
  const done = document.execCommand("copy");
  document.removeEventListener("copy", put);
  field.remove(); before.focus();
  say(t(done ? "copied" : "notCopied"), done ? "good" : "error");
}
function download(name, text) {
  const link = make("a", { download: name, href: URL.createObjectURL(new Blob([text], { type: "text/plain" })) });
  link.click(); URL.revokeObjectURL(link.href);
}
const chosenFiles = () => (at("all").checked ? queue.files : queue.files.filter(file => file === app.page?.file)).filter(file => file.document);
async function downloadAnswers(form) {
  const files = chosenFiles();
  if (!files.length) return say(t("nothingRead"), "error");
  const documents = files.map(collectDocument), name = files.length > 1 ? "warraq" : files[0].file.name;
  if (form === "json") return download(`${name}.json`, JSON.stringify(files.length > 1 ? documents : documents[0], null, 2));
  const texts = [];
  for (const told of documents) {
    const reply = await ask("markdown", told).catch(() => null);
    if (!reply?.ok) return say(reply ? (await reply.json()).error.message : t("gone"), "error");
    texts.push(await reply.text());
  }
  download(`${name}.md`, texts.join("\n"));
}
function translatePage() {
  if (!app.told) return;
  showTasks(); showFiles();
  if (app.page) at("name").textContent = t("pageName", app.page.file.name, app.page.page);
}
function watchPage() {
  KEYS.push(["KeyO", "A", () => at("file").click(), "keyChoose", "Alt+O", true], ["KeyX", "A", copyAnswer, "keyCopy", "Alt+X"]);
  Object.assign(ACTIONS, {
    files: () => at("file").click(), folder: () => at("folder").click(), copy: copyAnswer, markdown: () => downloadAnswers("markdown"), json: () => downloadAnswers("json"),
    corrections: () => { download("corrections.jsonl", [...rows.values()].map(row => JSON.stringify(row) + "\n").join("")); },
  });
  at("more").addEventListener("click", () => { at("filters").hidden = !at("filters").hidden; at("more").setAttribute("aria-expanded", String(!at("filters").hidden)); });
  for (const id of ["file", "folder"]) at(id).addEventListener("change", () => { addFiles([...at(id).files]); at(id).value = ""; });
  for (const kind of ["dragover", "dragleave", "drop"]) addEventListener(kind, event => {
    event.preventDefault();
    document.body.classList.toggle("over", kind === "dragover");
    if (kind === "drop") listDropped(event.dataTransfer).then(addFiles);
  });
  addEventListener("beforeunload", event => { if (queue.files.some(file => file.items.some(item => item.draft)) || rows.size) event.preventDefault(); });
}
