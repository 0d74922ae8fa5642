const PARTS = ["icon", "name", "count", "word", "foot"];
const FOOT = ["bar", "rate"];

function node(tag, name) {
  const made = document.createElement(tag);
  made.className = name;
  return made;
}

function row() {
  const item = document.createElement("li");
  PARTS.forEach((part) => item.appendChild(node("span", part)));
  const foot = item.querySelector(".foot");
  FOOT.forEach((part) => foot.appendChild(node("span", part)));
  item.querySelector(".icon").setAttribute("aria-hidden", "true");
  item.querySelector(".bar").setAttribute("aria-hidden", "true");
  item.querySelector(".bar").appendChild(document.createElement("i"));
  item.querySelectorAll(".count, .rate").forEach((part) => part.classList.add("number", "quiet"));
  return item;
}

export default function (component) {
  const { data, parentElement } = component;
  const root = parentElement.querySelector(".stack");
  const list = root.querySelector("ol");
  root.classList.toggle("learning", data.learning);
  list.setAttribute("aria-label", "Layer groups, from the head down to the input");
  root.querySelector(".top").textContent = "↑ " + data.top;
  root.querySelector(".bottom").textContent = "↑ " + data.bottom;
  while (list.children.length > data.layers.length) list.lastChild.remove();
  data.layers.forEach((layer, index) => {
    const item = list.children[index] ?? list.appendChild(row());
    item.className = layer.state;
    item.querySelector(".name").textContent = layer.title;
    item.querySelector(".name").title = layer.name;
    item.querySelector(".word").textContent = layer.word;
    item.querySelector(".count").textContent = layer.parameters;
    item.querySelector(".count").title = layer.parameters + " parameters";
    item.querySelector(".rate").textContent = layer.rate;
    item.querySelector(".bar i").style.width = (100 * layer.level).toFixed(1) + "%";
  });
}
