function node(tag, name) {
  const made = document.createElement(tag);
  made.className = name;
  return made;
}

function segment() {
  const made = node("div", "segment");
  const track = made.appendChild(node("div", "track"));
  track.appendChild(document.createElement("i"));
  const text = made.appendChild(node("div", "text"));
  ["mark", "name", "epochs"].forEach((part) => text.appendChild(node("span", part)));
  text.querySelector(".epochs").classList.add("quiet", "number");
  return made;
}

function stateOf(part) {
  if (part.skipped) return ["skipped", "–"];
  if (part.filled >= 1) return ["done", "✓"];
  return part.filled > 0 ? ["now", "▶"] : ["later", "○"];
}

export default function (component) {
  const { data, parentElement } = component;
  const root = parentElement.querySelector(".line");
  while (root.children.length > data.segments.length) root.lastChild.remove();
  const words = { done: "finished", now: "running", later: "to come", skipped: "not trained" };
  const states = data.segments.map((part, index) => {
    const drawn = root.children[index] ?? root.appendChild(segment());
    const [state, mark] = stateOf(part);
    drawn.className = "segment " + state;
    drawn.style.flexGrow = part.weight;
    drawn.title = `${part.name}, ${part.epochs}, ${words[state]}`;
    drawn.querySelector(".track i").style.width = (100 * part.filled).toFixed(1) + "%";
    drawn.querySelector(".mark").textContent = mark;
    drawn.querySelector(".name").textContent = part.name;
    drawn.querySelector(".epochs").textContent = part.epochs;
    return `${part.name}: ${words[state]}`;
  });
  root.setAttribute("aria-label", "Phases. " + states.join(", "));
}
