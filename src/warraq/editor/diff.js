const MOST_CELLS = 4e6; // of the table of two lists; beyond it they have nothing in common
/** Two lists: [sign, entry] in order, sign "=" in both, "-" in the first alone, "+" in the second alone. */
function compareLists(left, right, key = one => one) {
  let start = 0, end = 0;
  const equal = (i, j) => key(left[i]) === key(right[j]);
  while (start < left.length && start < right.length && equal(start, start)) start++;
  while (end < left.length - start && end < right.length - start && equal(left.length - 1 - end, right.length - 1 - end)) end++;
  const height = left.length - start - end, width = right.length - start - end, parts = left.slice(0, start).map(one => ["=", one]);
  let i = 0, j = 0;
  if (height * width <= MOST_CELLS) {
    const common = new Uint32Array((height + 1) * (width + 1)), at = (row, column) => row * (width + 1) + column;
    for (let row = height - 1; row >= 0; row--) for (let column = width - 1; column >= 0; column--)
      common[at(row, column)] = equal(start + row, start + column) ? common[at(row + 1, column + 1)] + 1 : Math.max(common[at(row + 1, column)], common[at(row, column + 1)]);
    while (i < height && j < width) {
      if (equal(start + i, start + j)) { parts.push(["=", left[start + i++]]); j++; }
      else if (common[at(i + 1, j)] >= common[at(i, j + 1)]) parts.push(["-", left[start + i++]]);
      else parts.push(["+", right[start + j++]]);
    }
  }
  while (i < height) parts.push(["-", left[start + i++]]);
  while (j < width) parts.push(["+", right[start + j++]]);
  return parts.concat(left.slice(left.length - end).map(one => ["=", one]));
}
const splitWords = text => text.match(/\s+|\S+/g) ?? [];
/** Two texts word by word, and letter by letter where words differ; whatever space stands between words is alike. */
function compare(one, other) {
  const parts = [], put = (sign, text) => { if (parts.at(-1)?.[0] === sign) parts.at(-1)[1] += text; else parts.push([sign, text]); };
  let lost = "", added = "";
  const settle = () => {
    for (const [sign, letter] of compareLists(Array.from(lost), Array.from(added))) put(sign, letter);
    lost = added = "";
  };
  for (const [sign, word] of compareLists(splitWords(one), splitWords(other), word => word.trim() || " ")) {
    if (sign === "-") lost += word; else if (sign === "+") added += word; else { settle(); put("=", word); }
  }
  settle();
  return parts;
}
const squash = text => text.replace(/\s+/g, " ").trim();
const isTable = one => /^\s*<table/.test(one.text);
/** The texts of the blocks of a page as another source has them, whatever blocks that makes: what it says besides stands
    where it comes, and nowhere is nothing of it. A table stands for a table. */
function spreadText(ours, theirs) {
  const tables = theirs.filter(isTable), plain = ours.filter(one => !isTable(one)), written = plain.map(() => "");
  let block = 0, left = plain[0]?.text.length ?? 0;
  const join = list => list.map(one => one.text).join("\n");
  for (const [sign, text] of plain.length ? compare(join(plain), join(theirs.filter(one => !isTable(one)))) : []) {
    if (sign === "+") written[block] += text;
    else for (let place = 0; place < text.length; place++) {
      if (left) { left--; if (sign === "=") written[block] += text[place]; } else left = plain[++block].text.length;
    }
  }
  return ours.map(one => isTable(one) ? tables.shift()?.text : squash(written[plain.indexOf(one)]) === squash(one.text) ? one.text : written[plain.indexOf(one)].trim());
}
/** How much two texts share, 0 to 1, by their pairs of letters. */
function likeness(one, other) {
  if (one === other) return 1;
  const pairs = text => { const found = new Map(); for (let i = 0; i + 1 < text.length; i++) { const pair = text.slice(i, i + 2); found.set(pair, (found.get(pair) ?? 0) + 1); } return found; };
  const left = pairs(one.slice(0, 400)), right = pairs(other.slice(0, 400));
  let shared = 0, all = 0;
  for (const [pair, count] of left) { shared += Math.min(count, right.get(pair) ?? 0); all += count; }
  for (const count of right.values()) all += count;
  return all ? 2 * shared / all : 0;
}
/** For each item of a list the place of the item of another list that it stands for, in order, or null: by what the two
    say, or, where that is no text to speak of, by their place. */
function align(list, others, write, byText) {
  if (list.length === others.length && !byText || list.length * others.length > 10000) return list.map((_, index) => index < others.length ? index : null);
  const left = list.map(write), right = others.map(write), width = right.length + 1, best = new Float64Array((left.length + 1) * width);
  const value = (i, j) => Math.max(0, likeness(left[i], right[j]) - 0.3);
  for (let i = left.length - 1; i >= 0; i--) for (let j = right.length - 1; j >= 0; j--)
    best[i * width + j] = Math.max(best[(i + 1) * width + j], best[i * width + j + 1], best[(i + 1) * width + j + 1] + value(i, j));
  const places = left.map(() => null);
  for (let i = 0, j = 0; i < left.length && j < right.length;) {
    if (best[i * width + j] === best[(i + 1) * width + j]) i++;
    else if (best[i * width + j] === best[i * width + j + 1]) j++;
    else places[i++] = j++;
  }
  return places;
}
/** What of `theirs` (the other source) is not in `ours`, as marked letters. */
function showDifference(name, ours, theirs) {
  const line = make("p", { dir: "auto" });
  for (const [sign, text] of compare(ours, theirs)) line.append(sign === "=" ? text : make(sign === "-" ? "del" : "ins", { textContent: text }));
  return make("div", { className: "diff" }, make("small", { textContent: name }), line);
}
const SIGNS = {
  "\u00a0": "NBSP", "\u00ad": "SHY", "\u0640": "tatweel", "\u061c": "ALM", "\u200b": "ZWSP", "\u200c": "ZWNJ", "\u200d": "ZWJ", "\u200e": "LRM", "\u200f": "RLM",
  "\u202a": "LRE", "\u202b": "RLE", "\u202c": "PDF", "\u202d": "LRO", "\u202e": "RLO", "\u202f": "NNBSP", "\u2060": "WJ", "\u2066": "LRI", "\u2067": "RLI", "\u2068": "FSI", "\u2069": "PDI", "\ufeff": "BOM",
  "\t": "TAB",
};
const SIGN = new RegExp("[" + Object.keys(SIGNS).join("") + "\u0000-\u0008\u000b-\u001f\u007f-\u009f]", "u");
/** A text with the names of the characters that nobody sees. */
function showSigns(text) {
  const line = make("p", { className: "hidden-signs", dir: "auto" });
  for (const letter of text) line.append(SIGN.test(letter) ? make("i", { textContent: SIGNS[letter] ?? "U+" + letter.codePointAt(0).toString(16).padStart(4, "0") }) : letter);
  return line;
}
