/** The page image: zoom 1 fits its width, and stays from page to page. */
const view = { zoom: 1, x: 0, y: 0, turn: 0, pointers: new Map(), spread: 0, url: null };
function turnedSize() {
  const { naturalWidth: width, naturalHeight: height } = at("image");
  return view.turn % 180 ? [height, width] : [width, height];
}
function drawPage() {
  const stage = at("stage"), [width, height] = turnedSize();
  if (!width) return;
  const scale = stage.clientWidth / width * view.zoom, size = [width * scale, height * scale], room = [stage.clientWidth, stage.clientHeight];
  for (const [axis, index] of [["x", 0], ["y", 1]]) {
    const least = Math.min(0, room[index] - size[index]);
    view[axis] = size[index] <= room[index] ? (axis === "x" ? (room[index] - size[index]) / 2 : 0) : Math.min(0, Math.max(least, view[axis]));
  }
  const shift = { 0: [0, 0], 90: [width, 0], 180: [width, height], 270: [0, height] }[view.turn];
  at("image").style.transform = `translate(${view.x}px, ${view.y}px) scale(${scale}) translate(${shift[0]}px, ${shift[1]}px) rotate(${view.turn}deg)`;
}
/** Zoom by a factor about a point of the stage; its middle by default. */
function zoomBy(factor, x = at("stage").clientWidth / 2, y = at("stage").clientHeight / 2) {
  const zoom = Math.min(12, Math.max(0.2, view.zoom * factor)), by = zoom / view.zoom;
  view.x = x - (x - view.x) * by; view.y = y - (y - view.y) * by; view.zoom = zoom;
  drawPage();
}
function panBy(x, y) { view.x += x; view.y += y; drawPage(); }
function turnPage() { view.turn = (view.turn + 90) % 360; drawPage(); }
/** The whole page at its place; once more its width. */
function fitPage() {
  const [width, height] = turnedSize(), whole = Math.min(1, at("stage").clientHeight / (height * at("stage").clientWidth / width));
  view.zoom = view.zoom === 1 ? whole : 1; view.x = view.y = 0;
  drawPage();
}
function showImage(blob, name) {
  if (view.url) URL.revokeObjectURL(view.url);
  view.url = blob ? URL.createObjectURL(blob) : null;
  const image = at("image");
  image.alt = name; view.y = 0; view.turn = 0;
  if (view.url) image.src = view.url; else image.removeAttribute("src");
}
function watchStage() {
  const stage = at("stage"), middle = () => { const points = [...view.pointers.values()]; return [points.reduce((sum, one) => sum + one[0], 0) / points.length, points.reduce((sum, one) => sum + one[1], 0) / points.length]; };
  const spread = () => { const [one, other] = [...view.pointers.values()]; return other ? Math.hypot(one[0] - other[0], one[1] - other[1]) : 0; };
  const place = event => { const box = stage.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  at("image").addEventListener("load", drawPage);
  new ResizeObserver(drawPage).observe(stage);
  stage.addEventListener("wheel", event => {
    event.preventDefault();
    if (event.shiftKey) panBy(-event.deltaX, -(event.deltaY || 0)); else zoomBy(Math.exp(-event.deltaY / 400), ...place(event));
  }, { passive: false });
  stage.addEventListener("pointerdown", event => { stage.setPointerCapture(event.pointerId); view.pointers.set(event.pointerId, place(event)); view.spread = spread(); });
  stage.addEventListener("pointermove", event => {
    if (!view.pointers.has(event.pointerId)) return;
    const before = middle();
    view.pointers.set(event.pointerId, place(event));
    const after = middle(), now = spread();
    if (now && view.spread) zoomBy(now / view.spread, ...after);
    view.spread = now;
    panBy(after[0] - before[0], after[1] - before[1]);
  });
  for (const kind of ["pointerup", "pointercancel"]) stage.addEventListener(kind, event => { view.pointers.delete(event.pointerId); view.spread = spread(); });
  stage.addEventListener("keydown", event => {
    const step = 80, move = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step], PageDown: [0, -4 * step], PageUp: [0, 4 * step] }[event.key];
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (move) panBy(...move); else if (event.key === "+" || event.key === "=") zoomBy(1.25); else if (event.key === "-") zoomBy(0.8);
    else if (event.key === "0") fitPage(); else if (event.key === "r") turnPage(); else return;
    event.preventDefault();
  });
}
