const el = (tag, cls, text) => {
  const node = document.createElement(tag);
  if (cls) node.className = cls;
  if (text) node.textContent = text;
  return node;
};
const holds = (branch, name) => branch.id === name || (branch.children ?? []).some((child) => holds(child, name));

function dot(state, share) {
  const mark = el('span', `dot ${state}`);
  mark.style.setProperty('--share', `${Math.round(360 * (share ?? 0.3))}deg`);
  return mark;
}

// Arrow keys: up and down within a column, left and right to the open button of the next one.
function walk(event, root) {
  const step = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
  const box = event.target.closest('.column');
  if (!step || !box) return;
  event.preventDefault();
  const columns = [...root.querySelectorAll('.column')];
  const next = columns[columns.indexOf(box) + step[0]];
  const siblings = [...box.children];
  const target = step[0] ? next?.querySelector('.open') ?? next?.firstElementChild
    : siblings[siblings.indexOf(event.target.closest('button')) + step[1]];
  target?.focus();
}

function column(items, open, kind, onpick, chosen) {
  const box = el('div', 'column');
  box.setAttribute('role', 'group');
  for (const item of items) {
    const button = el('button', [kind, item.state ?? '', item.id === open ? 'open' : '', item.fits ? '' : 'far'].join(' '));
    button.type = 'button';
    button.dataset.id = item.id;
    button.setAttribute('aria-pressed', String(item.id === open));
    if (kind === 'leaf') {
      const note = item.id === chosen ? 'chosen' : item.note;
      button.append(dot(item.state, item.share), el('span', 'title', item.title), el('span', 'note', note));
      button.title = `${item.title}: ${item.word}`;
      button.setAttribute('aria-label', [item.title, item.word, note].filter(Boolean).join(', '));
    } else {
      button.append(el('span', 'title', item.title));
      if (item.note) button.append(el('span', 'note', item.note));
    }
    button.onclick = () => onpick(item.id);
    box.append(button);
  }
  return box;
}

function join(root) {
  const svg = root.querySelector('svg');
  const home = root.getBoundingClientRect();
  svg.replaceChildren();
  const columns = [...root.querySelectorAll('.column')];
  columns.slice(0, -1).forEach((box, i) => {
    const from = box.querySelector('.open')?.getBoundingClientRect();
    if (!from) return;
    const targets = [...columns[i + 1].children].sort((a, b) => a.classList.contains('open') - b.classList.contains('open'));
    for (const target of targets) {
      const to = target.getBoundingClientRect();
      if (to.left < from.right) continue; // a narrow screen shows the models below their field
      const [x1, y1] = [from.right - home.left, from.top + from.height / 2 - home.top];
      const [x2, y2] = [to.left - home.left, to.top + to.height / 2 - home.top];
      const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
      path.setAttribute('d', `M${x1},${y1} C${(x1 + x2) / 2},${y1} ${(x1 + x2) / 2},${y2} ${x2},${y2}`);
      if (target.classList.contains('open')) path.classList.add('on');
      svg.append(path);
    }
  });
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector('.tree');
  const state = (root._state ??= {});
  if (state.selected !== data.selected) {
    state.selected = data.selected;
    const modality = data.branches.find((branch) => holds(branch, data.selected)) ?? data.branches[0];
    state.modality = modality.id;
    state.field = (modality.children.find((field) => holds(field, data.selected)) ?? modality.children[0])?.id;
  }
  const draw = () => {
    const focus = parentElement.activeElement?.dataset?.id;
    const modality = data.branches.find((branch) => branch.id === state.modality) ?? data.branches[0];
    const field = modality.children.find((child) => child.id === state.field) ?? modality.children[0];
    root.querySelector('.columns').replaceChildren(
      column(data.branches, modality.id, 'branch', (id) => {
        state.modality = id;
        state.field = data.branches.find((branch) => branch.id === id).children[0]?.id;
        draw();
      }),
      column(modality.children, field?.id, 'branch', (id) => { state.field = id; draw(); }),
      column(field?.children ?? [], data.selected, 'leaf', (id) => setTriggerValue('picked', id), data.chosen),
    );
    if (focus) root.querySelector(`[data-id="${CSS.escape(focus)}"]`)?.focus();
    join(root);
  };
  draw();
  root.onkeydown = (event) => walk(event, root);
  root.querySelector('.legend').replaceChildren(...data.legend.map((each) => {
    const item = el('li');
    item.append(dot(each.state), el('span', '', each.word));
    return item;
  }));
  const watcher = new ResizeObserver(() => join(root));
  watcher.observe(root);
  return () => watcher.disconnect();
}
