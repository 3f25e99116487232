"use strict";
// All that a person or a model wrote goes into text nodes; nothing is ever parsed as HTML.

const data = JSON.parse(document.getElementById("data").textContent);
const at = id => document.getElementById(id);
const LONG = 300; // characters of a value that scrolls in its cell
const OUTCOMES = {c: "correct", w: "wrong", m: "missing", i: "invented", "-": ""};
const SPACES = /([\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+)/; // as Python splits words
const UNSEEN = /((?! )[\p{Cf}\p{Cc}\p{Default_Ignorable_Code_Point}\p{Zs}\p{Zl}\p{Zp}\u0640])/u;
const NAMES = {
  "\t": "TAB", "\xa0": "NBSP", "\xad": "SHY", "\u061c": "ALM", "\u0640": "TATWEEL", "\u200b": "ZWSP", "\u200c": "ZWNJ",
  "\u200d": "ZWJ", "\u200e": "LRM", "\u200f": "RLM", "\u202a": "LRE", "\u202b": "RLE", "\u202c": "PDF", "\u202d": "LRO",
  "\u202e": "RLO", "\u2066": "LRI", "\u2067": "RLI", "\u2068": "FSI", "\u2069": "PDI", "\u2060": "WJ", "\ufeff": "BOM",
};

function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "path"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

const whole = text => (Array.isArray(text) ? text[0] : text ?? "");
const number = value => (value === null ? "–" : value.toFixed(3));

/* Text: direction by most letters, so that a leading code decides nothing; marks isolated from their neighbours. */

function direction(text) {
  const letters = (text.match(/\p{L}/gu) || []).length;
  const right = (text.match(/(?=\p{L})[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}]/gu) || []).length;
  return 2 * right > letters || (!letters && /[\u0660-\u0669]/.test(text)) ? "rtl" : "ltr";
}

function glyphs(text) {
  if (!at("unseen").checked) return [text];
  return text.split(UNSEEN).filter(Boolean).flatMap(part => {
    if (!UNSEEN.test(part) || part === "\n") return [part];
    const code = "U+" + part.codePointAt().toString(16).toUpperCase().padStart(4, "0");
    return [part, make("bdi", {class: "unseen"}, [NAMES[part], code].filter(Boolean).join(" "))];
  });
}

function pieces(word, lengths) {
  const letters = Array.from(word);
  return lengths.map((length, place) => {
    const part = glyphs(letters.splice(0, length).join(""));
    return place % 2 ? make("b", {}, ...part) : make("span", {}, ...part);
  });
}

function leftOut(text) {
  return Array.isArray(text) ? [make("p", {class: "note"}, `${text[1]} more characters are left out here.`)] : [];
}

function showText(text, marks, kind, label) {
  const marked = new Map();
  for (const [start, size] of marks) {
    if (Array.isArray(size)) marked.set(start, size);
    else for (let word = start; word < start + size; word++) marked.set(word, null);
  }
  const box = make("div", {class: "text", tabindex: 0, role: "group", "aria-label": label});
  let word = 0;
  for (const line of whole(text).split("\n")) {
    const shown = make("p", {dir: direction(line)});
    let run = null, gap = "", last;
    line.split(SPACES).forEach((token, place) => {
      if (place % 2 || !token) return void (gap += token);
      const now = marked.has(word);
      if (!run || now !== last) {
        shown.append(...glyphs(gap), make("bdi"));
        run = now ? shown.lastChild.appendChild(make("mark", {class: kind})) : shown.lastChild;
      } else run.append(...glyphs(gap));
      const lengths = marked.get(word++);
      run.append(...(lengths ? pieces(token, lengths) : glyphs(token)));
      [gap, last] = ["", now];
    });
    shown.append(...glyphs(gap));
    box.append(shown);
  }
  box.append(...leftOut(text));
  return box;
}

function showValue(value) {
  if (value === null) return make("i", {class: "null"}, "null");
  const text = whole(value), long = text.length > LONG;
  const more = Array.isArray(value) ? ` … ${value[1]} more characters are left out here.` : "";
  return make("div", {dir: direction(text), class: "value", ...(long ? {tabindex: 0, role: "group", "aria-label": "long value"} : {})},
    ...glyphs(text), make("small", {}, more));
}

/* Answers of a page */

const answerOf = (task, variant) => task.answers[task.answers[variant].same ?? variant];
const variantsShown = () => data.variants.filter(name => ["base", "merged", at("model").value].includes(name));

function heading(task, variant) {
  const {same, quality} = task.answers[variant], {issues} = answerOf(task, variant);
  return [
    make("h5", {class: `who ${variant}`}, variant, " ", make("small", {}, number(quality))),
    make("p", {class: "flags", tabindex: issues.length ? 0 : undefined}, ...issues.flatMap(([reason, detail]) => [
      make("span", {class: "flag"}, make("bdi", {}, ...glyphs(detail ? `${reason}: ${detail}` : reason))), " ",
    ])),
    ...(same ? [make("p", {class: "note"}, `Letter for letter the answer of ${same}.`)] : []),
  ];
}

function showRaw(task, variant) {
  const {raw} = answerOf(task, variant);
  if (raw === undefined) return [];
  if (!whole(raw)) return [make("p", {class: "note"}, "Nothing was written.")];
  const box = make("pre", {tabindex: 0, role: "group", "aria-label": `${task.task}, ${variant}, as written`}, ...glyphs(whole(raw)), ...leftOut(raw));
  return [make("details", {class: "raw"}, make("summary", {}, "as written"), box)];
}

function showTexts(task) {
  const model = at("model").value;
  return make("div", {class: "columns"},
    make("div", {}, make("h5", {}, "reference ", make("small", {}, `marked: not in ${model}`)),
      showText(task.text, answerOf(task, model).lost, "lost", `reference of ${task.task}`)),
    ...variantsShown().map(variant => {
      const {text, added} = answerOf(task, variant);
      return make("div", {}, ...heading(task, variant), showText(text, added, "added", `${task.task}, ${variant}`), ...showRaw(task, variant));
    }));
}

function showFields(task) {
  const variants = variantsShown(), readable = variants.filter(name => answerOf(task, name).values);
  const table = make("table", {class: "tree"}), head = make("tr");
  for (const name of ["field", "reference", ...readable]) head.append(make("th", {scope: "col"}, name));
  table.append(make("thead", {}, head));
  let group = null, body = table.appendChild(make("tbody"));
  task.paths.forEach((path, row) => {
    const cut = path.lastIndexOf("."), parent = path.slice(0, Math.max(cut, 0));
    if (parent !== group && (parent || group)) {
      body = table.appendChild(make("tbody"));
      if (parent) body.append(make("tr", {class: "group"}, make("th", {scope: "rowgroup", colspan: 2 + readable.length}, parent)));
    }
    group = parent;
    const cells = readable.map(name => {
      const {values, outcomes} = answerOf(task, name), outcome = OUTCOMES[outcomes[row]];
      const note = ["", "correct"].includes(outcome) ? [] : [make("em", {}, outcome)];
      return make("td", {class: outcome, "data-of": name}, showValue(values[row]), ...note);
    });
    body.append(make("tr", {}, make("th", {scope: "row"}, ...path.slice(cut + 1).split(/(?<=_)/).flatMap(part => [part, make("wbr")])),
      make("td", {"data-of": "reference"}, showValue(task.gold[row])), ...cells));
  });
  const left = task.fields_left_out ? `${task.fields_left_out} more fields are left out here. ` : "";
  return make("div", {},
    make("div", {class: "columns"}, ...variants.map(name => make("div", {}, ...heading(task, name), ...showRaw(task, name)))),
    make("div", {class: readable.length ? "panel" : "panel alone", tabindex: 0, role: "group", "aria-label": `fields of ${task.task}`}, table),
    make("p", {class: "note"}, `${left}${task.nulls} fields are null everywhere.`));
}

/* The image: wheel once it has the focus, keys, buttons, drag */

function showImage(page) {
  const name = `Page ${page.page} of ${page.stem}${page.suffix}`;
  if (!page.image) {
    const path = page.path.split("/").map(encodeURIComponent).join("/");
    return make("p", {class: "note"}, "The image is left out of this file, whose room for images is used up: ",
      make("a", {href: path}, page.path));
  }
  const [src, width, height] = page.image;
  const image = make("img", {src, width, height, alt: name, draggable: "false"});
  const box = make("div", {class: "viewer", tabindex: 0, role: "group", "aria-label": `${name}: plus and minus zoom, arrows move, 0 shows all`}, image);
  const level = make("output", {}, "100 %");
  let [scale, left, top] = [1, 0, 0];
  const move = (x, y) => {
    left = Math.min(0, Math.max(box.clientWidth * (1 - scale), x));
    top = Math.min(0, Math.max(box.clientHeight * (1 - scale), y));
    image.style.transform = `translate(${left}px, ${top}px) scale(${scale})`;
    box.style.touchAction = scale > 1 ? "none" : "auto";
    level.textContent = `${Math.round(100 * scale)} %`;
  };
  const zoom = (factor, x = box.clientWidth / 2, y = box.clientHeight / 2) => {
    const next = Math.min(8, Math.max(1, scale * factor)), ratio = next / scale;
    scale = next;
    move(x - (x - left) * ratio, y - (y - top) * ratio);
  };
  const place = event => [event.clientX - box.getBoundingClientRect().left, event.clientY - box.getBoundingClientRect().top];
  const steps = {ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60]};
  box.addEventListener("wheel", event => {
    if (document.activeElement !== box) return;
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 400), ...place(event));
  }, {passive: false});
  box.addEventListener("dblclick", event => zoom(2, ...place(event)));
  box.addEventListener("pointerdown", event => box.setPointerCapture(event.pointerId));
  box.addEventListener("pointermove", event => box.hasPointerCapture(event.pointerId) && move(left + event.movementX, top + event.movementY));
  box.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (steps[event.key] && scale > 1) move(left + steps[event.key][0], top + steps[event.key][1]);
    else if (["+", "="].includes(event.key)) zoom(1.25);
    else if (event.key === "-") zoom(0.8);
    else if (event.key === "0") zoom(1 / scale);
    else return;
    event.preventDefault();
  });
  const button = (text, label, act) => {
    const one = make("button", {type: "button", "aria-label": label}, text);
    one.addEventListener("click", act);
    return one;
  };
  return make("div", {class: "picture"}, box, make("div", {class: "zoom"},
    button("−", "Zoom out", () => zoom(0.8)), button("+", "Zoom in", () => zoom(1.25)),
    button("Fit", "Show the whole page", () => zoom(1 / scale)), level,
    make("small", {}, "click it, then the wheel zooms and dragging moves")));
}
