const STEP = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

function node(tag, name, text = "") {
  const made = document.createElement(tag);
  made.className = name;
  made.textContent = text;
  return made;
}

function fit(parent, count, make) {
  while (parent.children.length > count) parent.lastChild.remove();
  while (parent.children.length < count) parent.appendChild(make());
}

function header(cell, phase, index) {
  cell.replaceChildren(
    node("span", "name", `${index + 1}. ${phase.name}`),
    node("span", "epochs number", phase.epochs),
    node("span", "notes quiet", phase.notes),
  );
}

function makeCell(editable) {
  const made = node(editable ? "button" : "div", "cell");
  if (editable) made.type = "button";
  ["icon", "word", "rate"].forEach((part) => made.appendChild(node("span", part)));
  made.querySelector(".icon").setAttribute("aria-hidden", "true");
  made.querySelector(".rate").classList.add("number");
  return made;
}

function drawCell(holder, cell, label, data) {
  const editable = data.editable && cell.state !== "unused";
  const fits = holder.firstChild && (holder.firstChild.tagName === "BUTTON") === editable;
  if (!fits) holder.replaceChildren(makeCell(editable));
  const drawn = holder.firstChild;
  drawn.className = "cell " + cell.state;
  drawn.title = cell.rate ? `${cell.word}, ${cell.rate}` : cell.word;
  drawn.querySelector(".word").textContent = cell.word;
  drawn.querySelector(".rate").textContent = cell.rate;
  if (editable) drawn.setAttribute("aria-label", label);
  return drawn;
}

function moveFocus(event, root, row, column) {
  const step = STEP[event.key];
  if (!step) return;
  const next = root.querySelector(`[data-at="${row + step[0]}:${column + step[1]}"]`);
  if (!next) return;
  event.preventDefault();
  next.focus();
}

function drawLegend(root) {
  const items = [["head", "New head: learns from scratch"], ["trainable", "Trainable: learns at this rate"], ["frozen", "Frozen: stays as it is"]];
  const legend = root.querySelector(".legend");
  if (legend.children.length) return;
  items.forEach(([state, text]) => {
    const item = node("span", state);
    item.style.display = "inline-flex";
    item.style.gap = "6px";
    item.append(node("span", "icon"), node("span", "", text));
    legend.appendChild(item);
  });
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const root = parentElement.querySelector(".grid");
  const head = root.querySelector("thead");
  const body = root.querySelector("tbody");
  const table = root.querySelector("table");
  table.style.setProperty("--phases", data.phases.length);
  fit(head, 1, () => node("tr", ""));
  fit(head.firstChild, data.phases.length + 1, () => node("th", ""));
  head.firstChild.firstChild.replaceChildren(node("span", "quiet", "Layer group"));
  data.phases.forEach((phase, index) => header(head.firstChild.children[index + 1], phase, index));
  fit(body, data.rows.length, () => node("tr", ""));
  data.rows.forEach((row, y) => {
    const line = body.children[y];
    if (!line.firstChild) line.appendChild(node("th", "")).scope = "row";
    line.firstChild.title = row.name;
    line.firstChild.replaceChildren(node("span", "name", row.title), node("span", "count number quiet", row.parameters));
    while (line.children.length > row.cells.length + 1) line.lastChild.remove();
    row.cells.forEach((cell, x) => {
      const holder = line.children[x + 1] ?? line.appendChild(node("td", ""));
      const label = `${row.title}, phase ${x + 1}: ${cell.word}${cell.rate ? ", rate " + cell.rate : ""}. Change`;
      const drawn = drawCell(holder, cell, label, data);
      const chosen = data.selected && data.selected.phase === x && data.selected.group === row.name;
      drawn.dataset.at = `${y}:${x}`;
      if (drawn.tagName !== "BUTTON") return;
      drawn.setAttribute("aria-pressed", String(Boolean(chosen)));
      drawn.onclick = () => setTriggerValue("opened", { phase: x, group: row.name });
      drawn.onkeydown = (event) => moveFocus(event, root, y, x);
    });
  });
  drawLegend(root);
}
