export default function ({ data, parentElement, setTriggerValue }) {
  const list = parentElement.querySelector('ol');
  while (list.children.length > data.steps.length) list.lastChild.remove();
  data.steps.forEach((step, i) => {
    let item = list.children[i];
    if (!item) {
      item = document.createElement('li');
      item.innerHTML = "<button type='button'><span class='node' aria-hidden='true'></span>"
        + "<span class='title'></span><span class='choice'></span></button>";
      list.appendChild(item);
    }
    const next = data.steps[i + 1];
    const last = !next || next.state === 'aside';
    item.className = step.name + ' ' + step.state + (step.here ? ' here' : '') + (last ? ' last' : '');
    const button = item.firstChild;
    button.title = step.choice ? `${step.title}: ${step.choice}` : step.title;
    if (step.here) button.setAttribute('aria-current', 'step'); else button.removeAttribute('aria-current');
    button.setAttribute('aria-label', `${step.title}${step.state === 'done' ? ', done' : ''}${
      step.choice ? ', ' + step.choice : ''}`);
    item.querySelector('.title').textContent = step.title;
    item.querySelector('.choice').textContent = step.choice;
    button.onclick = () => setTriggerValue('go', step.name);
  });
}
