function isDark(node) {
  const [red, green, blue] = getComputedStyle(node).backgroundColor.match(/[\d.]+/g).map(Number);
  return 0.299 * red + 0.587 * green + 0.114 * blue < 128;
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const node = parentElement.querySelector(".watch");
  const look = () => {
    const dark = isDark(node);
    if (dark === data.dark || node.dataset.told === String(dark)) return; // told once: an app that cannot know does not loop
    node.dataset.told = String(dark);
    setTriggerValue("changed", dark);
  };
  if (isDark(node) === data.dark) delete node.dataset.told;
  node.ontransitionend = look;
  look();
}
