/** The form of an answer, made of the JSON Schema of its class. `form` is what it holds and what is marked in it. */
const form = { schema: null, answer: null, changed: () => {} };
const resolve = part => part?.$ref ? form.schema.$defs[part.$ref.split("/").pop()] : part;
function describe(part) {
  part = resolve(part);
  if (!part.anyOf) return { ...part, nullable: false };
  return { ...resolve(part.anyOf.find(one => one.type !== "null")), nullable: true };
}
/** What a new object or an empty answer holds: nothing is chosen, nothing is said. */
function emptyValue(part) {
  const { type, properties, nullable, enum: choices } = describe(part);
  if (nullable || choices) return null;
  if (type === "object") return Object.fromEntries(Object.entries(properties).map(([name, inner]) => [name, emptyValue(inner)]));
  return { array: [], string: "", boolean: false }[type] ?? null;
}
/** `value` as far as the form can show it, with everything else that the schema has. */
function fitValue(part, value) {
  const about = describe(part), missing = emptyValue(part);
  if (about.type === "object") return value && typeof value === "object" && !Array.isArray(value) ? Object.fromEntries(Object.entries(about.properties).map(([name, inner]) => [name, fitValue(inner, value[name])])) : missing;
  if (about.type === "array") return Array.isArray(value) ? value.map(one => fitValue(about.items, one)) : missing;
  return value ?? missing;
}
function grow(field) {
  if (!CSS.supports("field-sizing", "content")) { field.rows = 1; field.rows = Math.min(20, Math.max(1, field.value.split("\n").length + Math.floor(field.value.length / 70))); }
}
function makeField(path, name, control, text) {
  const id = "f" + path;
  const field = make("div", { className: "field" });
  field.dataset.path = path;
  control.id = id; control.dataset.input = path;
  field.append(make("label", { htmlFor: id, textContent: text ?? named(name) }), control);
  return field;
}
function buildText(path, name, part, value, set) {
  const control = make("textarea", { rows: 1, value: value ?? "", dir: "auto" });
  control.addEventListener("input", () => { grow(control); set(part.nullable && control.value === "" ? null : control.value); form.changed(path); });
  grow(control);
  return makeField(path, name, control);
}
function buildNumber(path, name, part, value, set) {
  const control = make("input", { type: "text", inputMode: "numeric", value: value ?? "" });
  control.addEventListener("input", () => { set(control.value === "" ? null : /^-?\d+$/.test(control.value) ? Number(control.value) : control.value); form.changed(path); });
  return makeField(path, name, control);
}
function buildChoice(path, name, part, value, set) {
  const control = make("select", {}, make("option", { value: "", textContent: part.nullable ? "—" : t("choose") }));
  for (const choice of part.enum) control.append(make("option", { value: choice, textContent: named(choice) }));
  control.value = value ?? "";
  control.addEventListener("change", () => { set(control.value || null); form.changed(path); });
  return makeField(path, name, control);
}
function buildSwitch(path, name, part, value, set) {
  const control = make("input", { type: "checkbox", checked: !!value });
  control.addEventListener("change", () => { set(control.checked); form.changed(path); });
  const field = makeField(path, name, control);
  field.firstChild.prepend(control, " ");
  return field;
}
function buildChoices(path, name, items, list) {
  const field = make("fieldset", { className: "field" }, make("legend", { textContent: named(name) })), row = make("div", { className: "choices" });
  field.dataset.path = path;
  items.enum.forEach((choice, index) => {
    const control = make("input", { type: "checkbox", checked: list.includes(choice) });
    if (!index) control.dataset.input = path;
    control.addEventListener("change", () => {
      if (control.checked) list.push(choice); else list.splice(list.indexOf(choice), 1);
      list.sort((one, other) => items.enum.indexOf(one) - items.enum.indexOf(other));
      form.changed(path);
    });
    row.append(make("label", {}, control, named(choice)));
  });
  field.append(row);
  return field;
}
/** A list: its items in order, each with what can be done to it. */
function buildList(path, name, part, list) {
  const items = describe(part.items);
  if (items.enum) return buildChoices(path, name, items, list);
  const box = make("fieldset", { className: "list" }, make("legend", { textContent: named(name) }));
  box.dataset.list = path;
  const draw = focus => {
    box.replaceChildren(box.firstChild, ...list.map((_, index) => buildItem(path, name, items, list, index, change)));
    const add = make("button", { type: "button", textContent: `${t("add")}: ${named(name)}` });
    add.addEventListener("click", () => change("add", list.length - 1));
    box.append(add);
    const inner = `[data-input^="${path}[${focus}]"]`;
    if (focus !== undefined) (box.querySelector(`textarea${inner}`) ?? box.querySelector(inner) ?? add).focus();
  };
  const change = (what, index, value) => {
    if (what === "add") list.splice(index + 1, 0, value ?? newItem(part.items, list[index]));
    if (what === "remove") list.splice(index, 1);
    if (what === "up" || what === "down") {
      const other = index + (what === "up" ? -1 : 1);
      if (other < 0 || other >= list.length) return;
      [list[index], list[other]] = [list[other], list[index]];
    }
    form.changed(path);
    draw({ add: index + 1, remove: Math.min(index, list.length - 1), up: index - 1, down: index + 1 }[what] ?? index);
    form.mark();
  };
  draw();
  return box;
}
/** A new item; a block begins as a paragraph, whatever stands before it. */
function newItem(part) {
  const value = emptyValue(part), kind = describe(part).properties?.kind;
  if (kind && describe(part).properties.text) value.kind = describe(kind).enum.includes("paragraph") ? "paragraph" : null;
  return value;
}
function buildItem(path, name, items, list, index, change) {
  const inner = `${path}[${index}]`, card = make("div", { className: "item", role: "group" });
  card.setAttribute("aria-label", `${named(name)} ${index + 1}`);
  const isBlock = items.properties?.kind && items.properties?.level && items.properties?.text;
  const tools = make("div", { className: "tools" });
  const names = isBlock ? ["up", "down", "split", "merge", "after", "remove"] : ["up", "down", "remove"];
  const signs = { up: "↑", down: "↓", split: "✂", merge: "⇡", after: "+", remove: "×" };
  for (const what of names) {
    const button = make("button", { type: "button", textContent: signs[what], title: t(what), tabIndex: -1 });
    button.setAttribute("aria-label", `${t(what)}, ${named(name)} ${index + 1}`);
    button.addEventListener("click", () => card.command(what));
    tools.append(button);
  }
  card.command = what => {
    const at = card.querySelector("textarea")?.selectionStart ?? 0, block = list[index];
    if (what === "split" && isBlock) {
      const rest = { ...block, text: block.text.slice(at).replace(/^\s+/, "") };
      block.text = block.text.slice(0, at).replace(/\s+$/, "");
      return change("add", index, rest);
    }
    if (what === "merge" && isBlock) {
      if (!index) return;
      list[index - 1].text = [list[index - 1].text, block.text].filter(Boolean).join("\n");
      change("remove", index);
      return document.querySelector(`[data-input="${path}[${index - 1}].text"]`)?.focus();
    }
    if (what === "after") return change("add", index);
    if (what !== "split" && what !== "merge") change(what, index);
  };
  if (items.type !== "object") {
    card.append(buildPart(inner, String(index + 1), items, list[index], value => { list[index] = value; }), tools);
    return card;
  }
  if (!isBlock) {
    card.append(tools, ...Object.entries(items.properties).map(([key, one]) => buildPart(`${inner}.${key}`, key, one, list[index][key], value => { list[index][key] = value; })));
    return card;
  }
  fillBlock(card, tools, inner, items, list[index]);
  return card;
}
/** A block of a page: its kind, the level of a heading, its text or the cells of its table. */
function fillBlock(card, tools, path, items, block) {
  const kind = buildChoice(`${path}.kind`, "kind", describe(items.properties.kind), block.kind, value => {
    block.kind = value;
    if (value !== "heading") block.level = null; else block.level ??= 1;
    redraw();
  });
  const level = buildNumber(`${path}.level`, "level", describe(items.properties.level), block.level, value => { block.level = value; });
  const language = buildChoice(`${path}.language`, "language", describe(items.properties.language), block.language, value => { block.language = value; });
  tools.prepend(kind, level, language);
  card.kind = number => {
    const choice = describe(items.properties.kind).enum[number - 1];
    if (!choice) return;
    kind.querySelector("select").value = choice;
    kind.querySelector("select").dispatchEvent(new Event("change"));
  };
  const redraw = focus => {
    level.hidden = block.kind !== "heading" && block.level === null;
    level.querySelector("input").value = block.level ?? "";
    const had = focus ?? (card.contains(document.activeElement) && document.activeElement.tagName !== "SELECT");
    card.replaceChildren(tools);
    const grid = block.kind === "table" ? buildGrid(block.text, html => { block.text = html; form.changed(`${path}.text`); }) : null;
    if (grid) {
      const field = make("div", { className: "field wide" }, grid);
      field.dataset.path = `${path}.text`; grid.querySelector("textarea").dataset.input = `${path}.text`;
      card.append(field); card.grid = grid;
    } else {
      card.grid = null;
      if (block.kind === "table") card.append(make("p", { className: "why", textContent: t("rawTable") }));
      const field = buildText(`${path}.text`, "text", describe(items.properties.text), block.text, value => { block.text = value; });
      field.classList.add("wide");
      card.append(field);
    }
    if (had) card.querySelector("textarea")?.focus();
  };
  redraw(false);
}
function buildPart(path, name, part, value, set) {
  const about = describe(part);
  if (about.type === "array") return buildList(path, name, about, value);
  if (about.type === "object") {
    const box = make("fieldset", {}, make("legend", { textContent: named(name) }));
    for (const [key, inner] of Object.entries(about.properties)) box.append(buildPart(path ? `${path}.${key}` : key, key, inner, value[key], one => { value[key] = one; }));
    return box;
  }
  const build = about.enum ? buildChoice : { boolean: buildSwitch, integer: buildNumber, number: buildNumber }[about.type] ?? buildText;
  return build(path, name, about, value, set);
}
function buildForm(schema, answer) {
  form.schema = schema;
  form.answer = fitValue(schema, answer);
  at("form").replaceChildren(...Object.entries(schema.properties).map(([key, inner]) => buildPart(key, key, inner, form.answer[key], value => { form.answer[key] = value; })));
  at("form").scrollTop = 0;
}
