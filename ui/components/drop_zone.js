const LANES = 4; // files sent in parallel: a small file waits longer for its answer than it takes to send
const PAUSE = 200; // milliseconds between two updates of the progress
const zones = new WeakMap(); // the state of each drop zone, kept over reruns

function size(bytes) {
  const units = ["B", "kB", "MB", "GB"];
  let step = 0;
  while (bytes >= 1000 && step < 3) { bytes /= 1000; step += 1; }
  return `${step < 3 ? Math.round(bytes) : bytes.toFixed(1)} ${units[step]}`;
}

function span(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return `${Math.round(seconds / 60)} min`;
}

function hidden(path) {
  return path.split("/").some((part) => part.startsWith(".") || part === "__MACOSX");
}

async function walk(entry, path, items) {
  const name = path + entry.name;
  if (entry.isFile) {
    items.push({ path: name, file: await new Promise((resolve, reject) => entry.file(resolve, reject)) });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const children = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!children.length) return;
    for (const child of children) await walk(child, `${name}/`, items);
  }
}

async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ path: file.name, file }));
  const items = [];
  for (const entry of entries) await walk(entry, "", items);
  return items;
}

function put(work, item, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const path = item.path.split("/").map(encodeURIComponent).join("/");
    work.open.add(request);
    request.open("PUT", `${work.data.url}/${work.data.ticket}/${path}`);
    request.upload.onprogress = (event) => onProgress(event.loaded);
    request.onloadend = () => work.open.delete(request);
    request.onload = () => {
      if (request.status < 300) return resolve();
      let message = "";
      try { message = JSON.parse(request.responseText).message; } catch { message = ""; }
      reject(new Error(message || "The file could not be sent. Try again."));
    };
    request.onerror = () => reject(new Error("The connection was lost. Is the app still running? Try again."));
    request.onabort = () => reject(new Error(""));
    request.send(item.file);
  });
}

function show(work, part) {
  ["zone", "sending"].forEach((name) => { work.root.querySelector(`.${name}`).hidden = name !== part; });
}

function showProblem(work, message) {
  const place = work.root.querySelector(".problem");
  place.textContent = message;
  place.hidden = !message;
}

function report(work, sent, total, started) {
  const now = Date.now();
  if (now - work.reported < PAUSE && sent < total) return;
  work.reported = now;
  const rate = sent / Math.max(1, now - started) * 1000;
  const rest = now - started > 3000 && sent < total ? `, about ${span((total - sent) / rate)} left` : "";
  work.root.querySelector("progress").value = total ? sent / total : 1;
  work.root.querySelector(".how").textContent = `${size(sent)} of ${size(total)}${rest}`;
}

async function send(work, all) {
  const items = all.filter((item) => !hidden(item.path));
  const total = items.reduce((sum, item) => sum + item.file.size, 0);
  showProblem(work, "");
  if (!items.length) return showProblem(work, "There are no files in this folder.");
  if (total > work.data.limit) return showProblem(work, `This is ${size(total)}. ${work.data.larger}`);
  const title = items.length > 1 ? `${items.length.toLocaleString("en")} files` : items[0].path;
  const started = Date.now(), sent = new Array(items.length).fill(0);
  let next = 0;
  work.busy = true;
  show(work, "sending");
  work.root.querySelector(".what").textContent = `Sending ${title}`;
  work.root.querySelector(".cancel").hidden = false;
  work.root.querySelector(".cancel").focus();
  let done = 0;
  const lane = async () => {
    while (next < items.length && work.busy) {
      const at = next++;
      await put(work, items[at], (loaded) => {
        done += loaded - sent[at];
        sent[at] = loaded;
        report(work, done, total, started);
      });
      done += items[at].file.size - sent[at];
      sent[at] = items[at].file.size;
      report(work, done, total, started);
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(LANES, items.length) }, lane));
    if (!work.busy) return;
    work.root.querySelector(".what").textContent = `${title}: received, now reading`;
    work.root.querySelector(".cancel").hidden = true;
    work.setTrigger("sent", work.data.ticket);
  } catch (error) {
    stop(work);
    showProblem(work, error.message);
  }
}

function stop(work) {
  if (!work.busy) return;
  work.busy = false;
  work.open.forEach((request) => request.abort());
  work.open.clear();
  show(work, "zone");
  work.setTrigger("gone", work.data.ticket);
}

function listen(work) {
  const { root } = work, zone = root.querySelector(".zone");
  const files = root.querySelector("input.files"), folder = root.querySelector("input.folder");
  root.querySelector(".pick").onclick = () => files.click();
  root.querySelector(".pick-folder").onclick = () => folder.click();
  root.querySelector(".cancel").onclick = () => { stop(work); root.querySelector(".pick").focus(); };
  [files, folder].forEach((input) => {
    input.onchange = () => {
      const items = [...input.files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
      input.value = "";
      if (items.length) send(work, items);
    };
  });
  zone.ondragover = (event) => { event.preventDefault(); zone.classList.add("over"); };
  zone.ondragleave = (event) => { if (!zone.contains(event.relatedTarget)) zone.classList.remove("over"); };
  zone.ondrop = async (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    try {
      send(work, await dropped(event.dataTransfer));
    } catch {
      showProblem(work, "The browser could not read this. Use a button instead.");
    }
  };
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const root = parentElement.querySelector(".drop");
  const work = zones.get(parentElement) ?? { open: new Set(), busy: false, reported: 0, data: {} };
  if (work.data.ticket !== data.ticket && work.data.ticket) {
    work.busy = false;
    show({ root }, "zone");
  }
  Object.assign(work, { root, data, setTrigger: setTriggerValue });
  zones.set(parentElement, work);
  root.querySelector(".lead").textContent = data.lead;
  root.querySelector(".limit").textContent = data.limitWords;
  root.querySelectorAll(".zone, .sending").forEach((part) => part.classList.toggle("small", data.small));
  listen(work);
  return () => { work.busy = false; work.open.forEach((request) => request.abort()); };
}
