const item = () => document.activeElement.closest(".item");
const inGrid = () => item()?.grid && document.activeElement.closest(".grid") ? item().grid : null;
const onItem = (what, grid) => () => { const cells = inGrid(); if (cells && grid) cells.command(grid); else if (what) item()?.command(what); };
/** The language of the block that has the focus, for all blocks that have none. */
function spreadLanguage() {
  const path = document.activeElement.closest("[data-path]")?.dataset.path, index = path?.match(/^blocks\[(\d+)\]/)?.[1];
  if (index === undefined || !form.answer.blocks[index].language) return;
  for (const block of form.answer.blocks) block.language ??= form.answer.blocks[index].language;
  load(form.answer); form.changed("blocks"); mark();
  at("form").querySelector(`[data-input="${CSS.escape(path)}"]`)?.focus();
}
/** Every key: its code, the modifiers (C Ctrl, A Alt, S Shift), what it does, its line in the help, and whether it works without
    a page. */
const KEYS = [
  ["Enter", "C", () => save(true), "keySaveNext", "Ctrl+Enter"], ["KeyS", "C", () => save(false), "keySave", "Ctrl+S"], ["Escape", "", revert, "keyRevert", "Esc"],
  ["ArrowDown", "A", () => step(inputs(), 1), "keyField", "Alt+↓ Alt+↑"], ["ArrowUp", "A", () => step(inputs(), -1)],
  ["F8", "", () => step([...at("form").querySelectorAll(".doubt")], 1) || say(t("noDoubt")), "keyDoubt", "F8 Shift+F8"], ["F8", "S", () => step([...at("form").querySelectorAll(".doubt")], -1) || say(t("noDoubt"))],
  ["KeyT", "A", () => takeOther(false), "keyTake", "Alt+T"], ["KeyT", "AS", () => takeOther(true)], ["KeyA", "A", acceptAll, "keyAccept", "Alt+A"],
  ["KeyB", "A", blank, "keyBlank", "Alt+B"], ["KeyU", "A", () => leave("unreadable", t("unreadableWhy")), "keyUnreadable", "Alt+U"],
  ["KeyZ", "A", undo, "keyUndo", "Alt+Z"],
  ["PageDown", "A", () => go(1), "keyPage", "Alt+PageDown Alt+PageUp"], ["PageUp", "A", () => go(-1)],
  ["KeyI", "A", () => { app.signs = !app.signs; mark(); }, "keySigns", "Alt+I"],
  ["Enter", "A", onItem("after", "row"), "keyAdd", "Alt+Enter"], ["Enter", "AS", onItem(null, "column")],
  ["Backspace", "A", onItem("remove", "dropRow"), "keyRemove", "Alt+Backspace"], ["Backspace", "AS", onItem("remove", "dropColumn")],
  ["ArrowUp", "AS", onItem("up"), "keyMove", "Alt+Shift+↑ Alt+Shift+↓"], ["ArrowDown", "AS", onItem("down")],
  ["KeyS", "A", onItem("split", "splitCell"), "keySplit", "Alt+S"], ["KeyM", "A", onItem("merge", "mergeRight"), "keyMerge", "Alt+M"], ["KeyM", "AS", onItem("merge", "mergeDown")],
  ["KeyC", "A", onItem(null, "wider"), "keyWider", "Alt+C"], ["KeyC", "AS", onItem(null, "narrower")], ["KeyW", "A", onItem(null, "whole"), "keyWhole", "Alt+W"],
  ["KeyL", "A", spreadLanguage, "keyLanguage", "Alt+L"],
  ["KeyH", "A", onItem(null, "head"), "keyHead", "Alt+H"],
  ...Array.from({ length: 9 }, (_, n) => [`Digit${n + 1}`, "A", () => item()?.kind?.(n + 1), ...(n ? [] : ["keyKind", "Alt+1 … Alt+9"])]),
  ["Equal", "A", () => zoomBy(1.25), "keyZoom", "Alt+= Alt+- Alt+0"], ["Minus", "A", () => zoomBy(0.8)], ["Digit0", "A", fitPage], ["KeyR", "A", turnPage, "keyTurn", "Alt+R"],
  [null, "", null, "keyPan", "← ↑ → ↓"], ["F6", "", () => (document.activeElement === at("stage") ? focusFirst() : at("stage").focus()), "keySwitch", "F6"],
  ["F1", "", () => showKeys(), "keyHelp", "? F1", true],
];
function showKeys() {
  at("keys").querySelector("tbody").replaceChildren(...KEYS.filter(key => key[3]).map(key =>
    make("tr", {}, make("td", {}, ...key[4].split(" ").flatMap(one => [one === "…" ? "…" : make("kbd", { textContent: one, dir: "ltr" }), " "])), make("td", { textContent: t(key[3]) }))));
  at("keys").showModal();
}
const ACTIONS = {
  zoomIn: () => zoomBy(1.25), zoomOut: () => zoomBy(0.8), fit: fitPage, turn: turnPage, takeAll: () => takeOther(true), saveNext: () => save(true), save: () => save(false), blank, revert, undo,
  unreadable: () => leave("unreadable", t("unreadableWhy")), close: () => at("keys").close(),
};
function watchKeys() {
  addEventListener("keydown", event => {
    if (document.querySelector("dialog[open]")) return;
    if (["?", "؟"].includes(event.key) && !event.target.matches("input:not([type=checkbox]), textarea")) { event.preventDefault(); return showKeys(); }
    const held = (event.ctrlKey || event.metaKey ? "C" : "") + (event.altKey ? "A" : "") + (event.shiftKey ? "S" : "");
    const key = KEYS.find(one => one[0] === event.code && one[1] === held);
    if (!key) return;
    event.preventDefault();
    if (app.page || key[5]) key[2]();
  });
  document.addEventListener("click", event => ACTIONS[event.target.closest?.("[data-do]")?.dataset.do]?.());
  at("form").addEventListener("submit", event => event.preventDefault());
  at("help").addEventListener("click", showKeys);
  at("language").addEventListener("click", () => {
    language = language === "ar" ? "en" : "ar"; localStorage.setItem("language", language);
    translate();
    translatePage();
    if (app.page) { load(form.answer); showSources(); mark(); }
  });
  at("from").addEventListener("change", () => { fillFrom(Number(at("from").value)); app.dirty = true; focusFirst(); });
  at("against").addEventListener("change", () => { app.other = Number(at("against").value); mark(); });
  at("reviewer").addEventListener("change", () => { app.reviewer = at("reviewer").value.trim(); localStorage.setItem("reviewer", app.reviewer); });
  at("token").addEventListener("change", () => { sessionStorage.setItem("token", at("token").value); begin(); });
}
