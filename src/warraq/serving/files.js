/** The files that were chosen, in their order; one is read at a time, and each holds what was read of it. */
const queue = { files: [], running: null, paused: false };
const ENDED = new Set(["done", "refused", "failed", "cancelled"]);
const SIGNS_OF = { cancelFile: "×", removeFile: "×", again: "↻" };
const LOCKED = new Set(["encrypted", "wrong_password"]);
const UNDERWAY = new Set(["sending", "reading"]); // a password that was typed at once may have it wait again
function addFiles(found) {
  const shown = found.filter(one => !one.name.startsWith("."));
  for (const file of shown) queue.files.push({ file, name: file.path || file.webkitRelativePath || file.name, state: "waiting", words: ["waiting"], lost: [], items: [], total: 0, read: 0, document: null, password: "", abort: null });
  if (found.length > shown.length) say(t("hidden", found.length - shown.length));
  showFiles(); work();
}
/** The files below dropped folders, however deep. */
async function listDropped(transfer) {
  const files = [...transfer.files], entries = [...transfer.items].map(item => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some(entry => entry.isDirectory)) return files;
  const found = [];
  const walk = async entry => {
    if (entry.isFile) return found.push(await new Promise((done, fail) => entry.file(file => done(Object.assign(file, { path: entry.fullPath.slice(1) })), fail)));
    const reader = entry.createReader();
    for (let part; (part = await new Promise((done, fail) => reader.readEntries(done, fail))).length;) for (const inner of part) await walk(inner);
  };
  for (const entry of entries) await walk(entry);
  return found;
}
async function work() {
  if (queue.running || queue.paused) return;
  const next = queue.files.find(one => one.state === "waiting");
  if (!next) return;
  queue.running = next;
  try { await read(next); } finally { queue.running = null; }
  work();
}
function tell(file, state, ...words) { Object.assign(file, { state, words: words.length ? words : [state] }); showFiles(); }
/** Read one file: its pages and answers are shown as they come. */
async function read(file) {
  file.abort = new AbortController();
  for (const item of file.items) if (item === app.page) clearPage();
  Object.assign(file, { items: [], lost: [], document: null, total: 0, read: 0 });
  tell(file, "sending");
  const form = new FormData(), signal = file.abort.signal, tasks = [...at("tasks").querySelectorAll("input:checked")].map(box => box.value).join(",");
  form.append("file", file.file);
  if (file.password) form.append("password", file.password);
  const query = new URLSearchParams({ stream: "true", task: tasks, pages: at("pages").value.replaceAll(" ", "") });
  try {
    const reply = await fetch("/v1/read?" + query, { method: "POST", body: form, headers: authorize(), signal });
    if (reply.status === 401) { at("secret").hidden = false; needToken(); return tell(file, "waiting"); }
    if (reply.status === 429) return await waitForRoom(file, Number(reply.headers.get("Retry-After")) || 5, signal);
    if (!reply.ok) { const told = await reply.json().catch(() => ({})); return refuse(file, told.rejected ?? [{ message: told.error?.message ?? String(reply.status) }]); }
    await readLines(reply.body, event => take(file, event));
    if (UNDERWAY.has(file.state)) { file.lost = [{ page: null, message: t("stopped") }]; tell(file, "failed"); }
  } catch {
    if (signal.aborted) return tell(file, "cancelled", "cancelled", file.read);
    file.lost = [{ page: null, message: t("gone") }]; tell(file, "failed");
  }
}
async function readLines(body, take) {
  const stream = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = "";;) {
    const { value, done } = await stream.read(), lines = (rest + (value ?? "")).split("\n");
    rest = lines.pop();
    lines.filter(Boolean).forEach(line => take(JSON.parse(line)));
    if (done) return;
  }
}
/** Other clients have filled the server's queue. */
async function waitForRoom(file, seconds, signal) {
  tell(file, "waiting", "busy", seconds);
  await new Promise(done => { const timer = setTimeout(done, 1000 * seconds); signal.addEventListener("abort", () => { clearTimeout(timer); done(); }); });
  if (signal.aborted) tell(file, "cancelled", "cancelled", 0);
}
function refuse(file, rejected) {
  file.lost = rejected;
  const locked = rejected.find(row => LOCKED.has(row.reason));
  file.locked = !!locked;
  tell(file, "refused");
  if (!locked) return;
  file.password = "";
  if (at("form").contains(document.activeElement) || document.querySelector("dialog[open]")) say(t("locked", file.name), "error"); else askPassword(file, locked.reason === "wrong_password");
}
function take(file, event) {
  if (event.event === "pages") { file.total = event.pages.length; tell(file, "reading", "readingPages", 1, file.total); }
  if (event.event === "page") { Object.assign(file, { page: event, blob: makeBlob(event.image) }); tell(file, "reading", "readingPages", Math.min(file.read + 1, file.total), file.total); }
  if (event.event === "answer") {
    const { page_id, page, part } = file.page;
    if (file.items.at(-1)?.page_id !== page_id) file.read++;
    file.items.push({ file, page_id, page, part, task: event.task, answer: event.answer, checked: event, seen: event.seen, blob: file.blob, status: "", base: "", draft: null, corrected: null });
    showFiles();
    if (!app.page && !opening) openPage(app.items.indexOf(file.items.at(-1)));
  }
  if (event.event === "document") { file.document = event.document; file.lost = event.document.rejected; tell(file, "done", "done", event.document.pages.length, file.lost.length); }
  if (event.event === "rejected") refuse(file, event.rejected);
  if (event.event === "failed") { file.lost = [{ page: null, message: event.message }]; tell(file, "failed"); }
}
/** A data URL's bytes; `fetch` may not open one here. */
const makeBlob = url => new Blob([Uint8Array.from(atob(url.slice(url.indexOf(",") + 1)), letter => letter.charCodeAt(0))], { type: "image/jpeg" });
function cancelFile(file) {
  if (file === queue.running) file.abort.abort(); else tell(file, "cancelled", "cancelled", 0);
}
function removeFile(file) {
  if (file.items.some(item => item.draft) && !confirm(t("dropUnsaved"))) return;
  if (file.items.includes(app.page)) { app.dirty = false; clearPage(); }
  queue.files.splice(queue.files.indexOf(file), 1);
  showFiles();
  at("list").querySelector("button")?.focus();
}
function readAgain(file) { tell(file, "waiting"); work(); }
async function askPassword(file, wrong) {
  const dialog = at("lock");
  at("lockText").textContent = t(wrong ? "wrong" : "lock", file.name); at("password").value = "";
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise(done => dialog.addEventListener("close", done, { once: true }));
  file.password = dialog.returnValue ? at("password").value : "";
  at("password").value = "";
  if (file.password) readAgain(file);
}
/** Of an encrypted file the server's remedy is not this page's. */
const explain = row => t("pageNotRead", row.page, WORDS[language].reasons[row.reason] ?? row.message);
/** The list: each file with what becomes of it and what can be done, its pages below it. */
function showFiles() {
  const focused = document.activeElement.closest("#list button")?.dataset.key;
  app.items = queue.files.flatMap(file => file.items);
  app.at = app.items.indexOf(app.page);
  at("list").firstElementChild.replaceChildren(...queue.files.map((file, number) => {
    const tools = make("span", { className: "tools" }), add = (name, act) => {
      const button = make("button", { type: "button", textContent: SIGNS_OF[name] ?? t(name), title: t(name), onclick: act });
      button.setAttribute("aria-label", `${t(name)}, ${file.name}`); button.dataset.key = `${number} ${name}`;
      tools.append(button);
    };
    if (!ENDED.has(file.state)) add("cancelFile", () => cancelFile(file));
    else {
      if (file.locked && file.state === "refused") add("unlock", () => askPassword(file, false));
      else if (file.state !== "done") add("again", () => readAgain(file));
      add("removeFile", () => removeFile(file));
    }
    const pages = make("ol", {}, ...file.items.map((item, index) => make("li", {}, makeButton(item, `${number} item ${index}`))));
    const head = make("div", { className: "file" }, make("bdi", { textContent: file.name, title: file.name }), make("small", { textContent: t(...file.words) }), tools);
    return make("li", {}, head, ...file.lost.map(row => make("p", { className: "why", textContent: explain(row), dir: "auto" })), pages);
  }));
  const done = queue.files.filter(file => ENDED.has(file.state)).length, pages = file => ENDED.has(file.state) ? 1 : file.total ? file.read / file.total : 0;
  at("left").textContent = t("queueLeft", done, queue.files.length);
  Object.assign(at("bar"), { hidden: done === queue.files.length, max: queue.files.length || 1, value: queue.files.reduce((sum, file) => sum + pages(file), 0) });
  at("drop").hidden = queue.files.length > 0; at("desk").hidden = !queue.files.length;
  if (focused) at("list").querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}
function makeButton(item, key) {
  const button = make("button", { type: "button", className: item.status, onclick: () => openPage(app.items.indexOf(item)) }, make("span", { textContent: item.page + (item.part ? `/${item.part}` : "") }));
  if (Object.keys(app.tasks).length > 1) button.append(make("small", { className: "task", textContent: named(item.task) }));
  const doubtful = Object.values(item.checked.confidence_by_field).filter(value => value < UNSURE).length;
  if (item.checked.reasons.some(one => one !== "no_threshold") && !item.status) button.append(make("small", { textContent: "⚠", title: t("needsReview") }));
  if (doubtful && !item.status) button.append(make("small", { textContent: t("doubts", doubtful) }));
  if (item.draft) button.append(make("small", { textContent: t("draft") }));
  if (item === app.page) button.setAttribute("aria-current", "true");
  button.dataset.key = key;
  return button;
}
