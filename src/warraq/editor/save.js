/** What a person says of a page: saved, taken back, left. */
const bodyOf = page => ({ page_id: page.page_id, task: page.task, reviewer: app.reviewer, base: page.base, tab: app.tab });
async function save(next, extra = {}) {
  const page = app.page;
  if (!page || app.busy) return;
  if (!app.reviewer.trim()) { at("reviewer").focus(); return say(t("named"), "error"); }
  app.busy = true;
  clearTimeout(app.timer);
  const answer = extra.status ? null : form.answer, seen = app.candidates[app.base]?.seen ?? null, seconds = Math.round((performance.now() - app.opened) / 100) / 10;
  const status = extra.status ?? (isSecond() ? "second" : "answered");
  try {
    const reply = await sendReview({ ...bodyOf(page), answer, seen, seconds, ...extra, status }), told = await reply.json();
    if (reply.status === 422 && told.problems) {
      app.problems = told.problems; mark();
      say(t("fits", told.problems.length), "error");
      const first = at("form").querySelector(`[data-input="${CSS.escape(told.problems[0].path)}"]`);
      first?.focus(); return;
    }
    if (reply.status === 409) { page.base = told.base; return showConflict(told); }
    if (!reply.ok) return say(told.error?.message ?? reply.status, "error");
    page.base = told.base; app.dirty = false; app.start = copy(form.answer);
    keepLocally(page, null);
    app.saved.push({ page_id: page.page_id, task: page.task, status, base: told.base, index: app.at });
    showStatus(app.at, told.status);
    say(t("saved"), "good");
  } catch { keepLocally(page, form.answer); return say(t("gone"), "error"); } finally { app.busy = false; }
  if (next) await go(1);
}
/** Somebody else saved first: their answer is shown beside ours, and saving again puts ours in its place. */
function showConflict(told) {
  if (told.answer) { app.candidates.push({ source: "review", name: "", answer: told.answer, doubts: [], confidence: {}, seen: "review" }); app.other = app.candidates.length - 1; showSources(); mark(); }
  say(told.error.message, "error");
}
function revert() {
  if (app.reverted) { load(app.reverted); app.reverted = null; app.dirty = true; say(t("unreverted")); }
  else if (!same(form.answer, app.start)) { const mine = copy(form.answer); load(app.start); app.reverted = mine; app.dirty = false; dropDraft(app.page); say(t("reverted")); }
  mark(); focusFirst();
}
async function undo() {
  const last = app.saved.pop();
  if (!last) return say(t("noUndo"));
  const reply = await ask("undo", { ...last, index: undefined, reviewer: app.reviewer, tab: app.tab }).catch(() => null);
  if (!reply?.ok) return say(reply ? (await reply.json()).error.message : t("gone"), "error");
  const told = await reply.json(), index = await findSaved(last);
  if (index < 0) return say(t("undone"), "good");
  showStatus(index, told.status === "withdrawn" ? "" : told.status);
  await openPage(index, t("undone"), "good");
}
function prompt(question) {
  const dialog = at("ask");
  at("question").textContent = question; at("why").value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise(done => dialog.addEventListener("close", () => done(dialog.returnValue ? at("why").value : null), { once: true }));
}
async function leave(status, question) {
  if (isSecond()) return go(1); // what the first reader said stands
  const reason = await prompt(question);
  if (reason !== null) await save(true, { status, reason: reason || null });
}
function blank() {
  load(null);
  if (form.answer.physical && "is_blank" in form.answer.physical) form.answer.physical.is_blank = true;
  load(form.answer);
  return save(true);
}
