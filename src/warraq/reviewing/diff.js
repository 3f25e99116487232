const MOST_CELLS = 2e6; // of the table of two texts; beyond it they are compared word by word
/** Two texts letter by letter: a list of [sign, text], sign "=" in both, "-" in the first alone, "+" in the second alone. */
function compare(one, other) {
  let left = Array.from(one), right = Array.from(other), start = 0, end = 0;
  while (start < left.length && start < right.length && left[start] === right[start]) start++;
  while (end < left.length - start && end < right.length - start && left.at(-1 - end) === right.at(-1 - end)) end++;
  const head = left.slice(0, start), tail = left.slice(left.length - end);
  left = left.slice(start, left.length - end); right = right.slice(start, right.length - end);
  if (left.length * right.length > MOST_CELLS) { left = left.join("").match(/\s+|\S+/g) ?? []; right = right.join("").match(/\s+|\S+/g) ?? []; }
  const parts = head.length ? [["=", head.join("")]] : [];
  const put = (sign, text) => { if (parts.at(-1)?.[0] === sign) parts.at(-1)[1] += text; else parts.push([sign, text]); };
  if (left.length * right.length > MOST_CELLS) { put("-", left.join("")); put("+", right.join("")); }
  else {
    const width = right.length + 1, common = new Uint32Array((left.length + 1) * width);
    for (let i = left.length - 1; i >= 0; i--) for (let j = right.length - 1; j >= 0; j--)
      common[i * width + j] = left[i] === right[j] ? common[(i + 1) * width + j + 1] + 1 : Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
    let i = 0, j = 0;
    while (i < left.length || j < right.length) {
      if (i < left.length && j < right.length && left[i] === right[j]) { put("=", left[i++]); j++; }
      else if (i < left.length && (j === right.length || common[(i + 1) * width + j] >= common[i * width + j + 1])) put("-", left[i++]);
      else put("+", right[j++]);
    }
  }
  if (tail.length) put("=", tail.join(""));
  return parts;
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
/** For each item of a list the place of the item of another list that it stands for, in order, or null. */
function align(list, others, write) {
  if (list.length === others.length || list.length * others.length > 10000) return list.map((_, index) => index < others.length ? index : null);
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
  const line = make("p", { className: "diff", dir: "auto" }, make("bdi", { textContent: name + ": " }));
  for (const [sign, text] of compare(ours, theirs)) line.append(sign === "=" ? text : make(sign === "-" ? "del" : "ins", { textContent: text }));
  return line;
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
