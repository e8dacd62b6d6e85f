// The view of `UploadAnalyzer`: takes pictures, sends them one by one in chunks, and shows the answers of Python.
// Each view keeps the pictures that it received; a new view says hello and receives all of them. Files stay in the browser until they are sent.

const PATIENCE = 15_000; // milliseconds without an answer to a chunk, after which the page reports a busy kernel
const BUSY = "The kernel is busy; waiting for it.";
const LOST = "The kernel stopped or was restarted: run this cell again.";

function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) node[name] = value;
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

const percent = (share) => `${Math.round(100 * share)}%`;
const count = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;
const button = (text, onclick, kind = "", more = {}) =>
  make("button", { type: "button", className: `facekit-button ${kind}`, onclick, ...more }, text);

// Whether the label of an attribute is shown; `answers` come from `name_answers` in Python.
const isSure = (answers, name) => Boolean(answers[name]) && !answers.unsure.includes(name);

function describe(answers) {
  const parts = isSure(answers, "age") ? [`about ${answers.age} years`] : [];
  for (const name of ["gender", "emotion", "ethnicity"]) if (isSure(answers, name)) parts.push(answers[name]);
  return [...parts, answers.note].filter(Boolean).join(", ");
}

function makeBar(name, share, { emotion = null, best = false, form = percent } = {}) {
  const track = make("span", { className: "facekit-track", "aria-hidden": "true" });
  track.style.setProperty("--share", share);
  const bar = make("div", { className: "facekit-bar", "data-emotion": emotion, "data-best": best, role: "listitem" });
  bar.append(make("span", {}, name), track, make("span", {}, form(share)));
  return bar;
}

// The confidence is no probability, so it has no percent sign.
const makeConfidence = (name, { confidence_score: score }) => makeBar(name, score, { form: (share) => share.toFixed(2) });
const makeChip = (emotion) => make("span", { className: "facekit-chip", "data-emotion": emotion }, emotion);

function render({ model, el }) {
  const page = Math.random().toString(36).slice(2); // distinguishes this view's requests from those of other views
  const pictures = new Map(); // key: { name, file, state, error, rows, sizes, urls, figure }
  const queue = []; // of { key, draw }: pictures to analyse, or to draw in full size
  const takings = new Map(); // key: resolves when Python has received a chunk
  const endings = new Map(); // key: resolves when Python has finished with the picture
  let note = ""; // the last error, until the next action
  let sending = null; // the item of the queue that is being sent
  let done = 0;
  let opened = null; // the face in the dialog: [key, index]
  let opener = null; // the element that had the focus before

  // Send a message to Python; return whether that worked.
  function post(content, buffers = []) {
    try {
      model.send(content, undefined, buffers);
      return true;
    } catch { // the kernel stopped, and the Python side with it
      warn(LOST);
      return false;
    }
  }

  // === Elements ===

  const chooser = make("input", { type: "file", hidden: true, onchange: () => { add(chooser.files); chooser.value = ""; } });
  const choose = button("Choose pictures", () => chooser.click(), "facekit-button-primary");
  const paste = button("Paste", pasteFromClipboard);
  const drop = make("div", { className: "facekit-drop" },
    make("p", { className: "facekit-title" }, "Drop pictures here"),
    make("p", { className: "facekit-quiet" }, "or choose them, or paste a copied picture"),
    make("div", { className: "facekit-toolbar" }, choose, paste), chooser);
  const privacy = make("p", { className: "facekit-notice facekit-notice-privacy" },
    "Pictures go to this notebook’s kernel and nowhere else. Nothing is stored.");
  const stop = button("Stop", () => { for (const { key, draw } of queue.splice(0)) if (!draw) forget(key); report(); });
  const progress = make("progress", { className: "facekit-progress", "aria-label": "Pictures analysed" });
  const work = make("div", { className: "facekit-work", hidden: true }, progress, stop);
  const status = make("p", { className: "facekit-quiet", role: "status" });
  const csv = button("CSV", () => post({ kind: "table", form: "csv", page }), "", { ariaLabel: "Download the table as CSV" });
  const json = button("JSON", () => post({ kind: "table", form: "json", page }), "", { ariaLabel: "Download the table as JSON" });
  const clear = button("Clear", () => post({ kind: "clear" }), "facekit-button-quiet", { ariaLabel: "Remove all pictures" });
  const gallery = make("ul", { className: "facekit-gallery", ariaLabel: "Pictures" });
  const body = make("tbody");
  const heads = ["Face", "Picture", "Age", "Gender", "Emotion", "Confidence"];
  const table = make("table", { className: "facekit-table" },
    make("caption", { className: "facekit-hidden" }, "Faces"),
    make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))), body);
  const results = make("div", { className: "facekit-results", hidden: true }, gallery, make("div", { className: "facekit-scroll" }, table));
  const summary = make("div", { className: "facekit-toolbar", hidden: true }, status, make("span", { className: "facekit-push" }), csv, json, clear);
  const dialog = make("dialog", { className: "facekit-face" });
  const root = make("div", { className: "facekit-widget facekit-upload", tabIndex: -1, "data-lm-suppress-shortcuts": "true" },
    drop, privacy, work, summary, results, dialog);
  el.append(root);

  // === Taking pictures ===

  function add(files) {
    if (model.get("disabled")) return;
    note = "";
    for (const file of model.get("multiple") ? files : [...files].slice(0, 1)) {
      const key = `${page}-${pictures.size}-${Math.random().toString(36).slice(2)}`;
      pictures.set(key, { name: file.name || "pasted.png", file, state: "waiting", error: "", rows: [], urls: [] });
      drawPicture(key);
      queue.push({ key, draw: false });
    }
    if (!sending) sendAll();
    else report();
  }

  async function sendAll() {
    done = 0;
    while ((sending = queue.shift())) {
      const { key, draw } = sending;
      if (!draw) {
        pictures.get(key).state = "working";
        drawPicture(key);
      }
      report();
      await sendPicture(key, draw);
      done += 1;
    }
    sending = null;
    report();
  }

  async function sendPicture(key, draw) {
    const { name, file } = pictures.get(key);
    const about = { kind: "chunk", page, picture: key, name, type: file.type, size: file.size, last_modified: file.lastModified, draw };
    const step = model.get("chunk_bytes");
    let ended = false;
    const ending = new Promise((resolve) => endings.set(key, resolve)).then(() => { ended = true; });
    let start = 0;
    do {
      let chunk;
      try {
        chunk = await file.slice(start, start + step).arrayBuffer();
      } catch {
        const error = `${name}: the browser cannot read the file; it may be a folder, or it was moved.`;
        return draw ? warn(error) : take({ picture: key, name, rows: [], error }, []);
      }
      const taking = new Promise((resolve) => takings.set(key, resolve));
      if (!post({ ...about, start }, [chunk])) {
        return draw ? warn(LOST) : take({ picture: key, name, rows: [], error: `${name}: not analysed. ${LOST}` }, []);
      }
      const waiting = setTimeout(() => warn(BUSY), PATIENCE);
      await Promise.race([taking, ending]);
      clearTimeout(waiting);
      start += step;
    } while (start < file.size && !ended);
    await ending;
  }

  // Python has deleted the pixels: send the picture once more, before those that wait.
  function drawInFull(key) {
    note = "";
    queue.unshift({ key, draw: true });
    if (!sending) sendAll();
    else report();
  }

  async function pasteFromClipboard() {
    try {
      const files = [];
      for (const item of await navigator.clipboard.read()) {
        const type = item.types.find((each) => each.startsWith("image/"));
        if (type) files.push(new File([await item.getType(type)], `pasted.${type.slice(6)}`, { type }));
      }
      if (files.length) add(files);
      else warn("The clipboard holds no picture; copy a picture first.");
    } catch {
      warn("The browser does not let the page read the clipboard; click here and press Ctrl+V instead.");
    }
  }

  const stopEvent = (event) => { event.preventDefault(); event.stopPropagation(); };
  root.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) { stopEvent(event); add(event.clipboardData.files); }
  });
  root.addEventListener("dragover", (event) => { stopEvent(event); drop.classList.add("facekit-over"); });
  root.addEventListener("dragleave", (event) => { if (!root.contains(event.relatedTarget)) drop.classList.remove("facekit-over"); });
  root.addEventListener("drop", (event) => { stopEvent(event); drop.classList.remove("facekit-over"); add(event.dataTransfer.files); });

  // === Messages from Python ===

  function receive(message, buffers = []) {
    if (message.kind === "picture") take(message, buffers);
    if (message.kind === "removed") forget(message.picture);
    if (message.kind === "cleared") for (const [key, { state }] of pictures) if (state === "done") forget(key);
    if (message.kind === "file" && message.page === page && buffers.length) save(message.name, buffers[0]);
    if (message.kind === "explained") showMaps(message, buffers);
    if (message.kind === "more") takings.get(message.picture)?.();
    if (message.kind === "picture" || message.kind === "file") endings.get(message.picture)?.();
    if (message.kind === "file" && message.page === page) note = message.error;
    else if (note === BUSY) note = "";
    report();
  }

  function take({ picture: key, name, error, rows, labels, answers, size_hw, explains }, buffers) {
    const known = pictures.get(key) ?? {};
    const urls = error ? [] : buffers.map((buffer) => URL.createObjectURL(new Blob([buffer], { type: "image/jpeg" })));
    pictures.set(key, { ...known, name, error, rows, labels, answers, size_hw, explains, urls, state: "done" });
    drawPicture(key);
    drawRows();
  }

  function forget(key) {
    const picture = pictures.get(key);
    if (!picture) return;
    if (opened?.[0] === key) dialog.close();
    picture.urls.forEach((url) => URL.revokeObjectURL(url));
    picture.figure.remove();
    pictures.delete(key);
    drawRows();
  }

  function save(name, content) {
    const url = URL.createObjectURL(new Blob([content]));
    make("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  }

  // === Showing ===

  function warn(text) {
    note = text;
    report();
  }

  function report() {
    const all = [...pictures.values()];
    const faces = all.reduce((sum, { rows }) => sum + rows.length, 0);
    const failed = all.filter(({ error }) => error).length;
    const words = [count(all.length, "picture"), count(faces, "face")];
    if (failed) words.push(`${failed} could not be read`);
    const doing = sending?.draw ? "Drawing" : "Analysing";
    const current = sending && `${doing} ${pictures.get(sending.key)?.name}: ${done + 1} of ${done + 1 + queue.length}`;
    status.textContent = note || current || (all.length ? words.join(" · ") : "");
    work.hidden = !sending;
    progress.max = done + 1 + queue.length;
    progress.value = done;
    summary.hidden = !status.textContent;
    results.hidden = !all.length;
    table.hidden = !faces;
    csv.disabled = json.disabled = !all.some(({ state }) => state === "done");
    clear.disabled = Boolean(sending) || !all.length;
    stop.disabled = !queue.length;
  }

  function drawPicture(key) {
    const picture = pictures.get(key);
    const figure = make("li", { className: "facekit-picture facekit-card", "data-state": picture.error ? "error" : picture.state });
    let seen;
    if (picture.error) seen = make("p", { className: "facekit-notice facekit-notice-error" }, picture.error);
    else if (picture.state === "done") seen = makeFrame(key, picture);
    else seen = make("span", { className: "facekit-quiet" }, picture.state === "waiting" ? "Waiting" : "Analysing …");
    figure.append(make("div", { className: "facekit-stage" }, seen));
    const caption = make("div", { className: "facekit-caption" }, make("span", { className: "facekit-name", title: picture.name }, picture.name));
    if (picture.state === "done") {
      if (!picture.error) {
        caption.append(make("span", { className: "facekit-quiet" }, picture.rows.length ? count(picture.rows.length, "face") : "no faces"));
        const png = button("PNG", () => drawInFull(key), "facekit-button-quiet", { ariaLabel: `Download ${picture.name} annotated, as PNG` });
        if (picture.file) caption.append(png);
        const large = button("⤢", () => large.setAttribute("aria-pressed", figure.toggleAttribute("data-large")), "facekit-button-quiet",
          { ariaLabel: `Enlarge ${picture.name}`, "aria-pressed": "false" });
        caption.append(large);
      }
      caption.append(button("×", () => post({ kind: "remove", picture: key }), "facekit-button-quiet", { ariaLabel: `Remove ${picture.name}` }));
    }
    figure.append(caption);
    if (picture.figure) picture.figure.replaceWith(figure);
    else gallery.append(figure);
    picture.figure = figure;
  }

  function makeFrame(key, { name, rows, labels, answers, size_hw: [height, width], urls }) {
    const image = make("img", { src: urls[0], alt: `${name}, with ${count(rows.length, "face")} marked` });
    const frame = make("div", { className: "facekit-frame" }, image);
    frame.style.setProperty("--ratio", width / height);
    rows.forEach((row, face) => {
      const place = { left: row.x1 / width, top: row.y1 / height, width: (row.x2 - row.x1) / width, height: (row.y2 - row.y1) / height };
      const label = make("span", { className: "facekit-label", "aria-hidden": "true" }, rows.length > 1 ? `#${face} ` : "",
        make("span", {}, labels[face].join("\n")));
      const spot = make("button", { type: "button", className: "facekit-spot", "data-emotion": isSure(answers[face], "emotion") ? row.emotion : null,
        "data-doubted": answers[face].unsure.includes("face"), ariaLabel: `Face ${face}: ${describe(answers[face])}`,
        onclick: () => open(key, face) }, label);
      spot.classList.toggle("facekit-alone", rows.length === 1);
      spot.classList.toggle("facekit-above", place.top + place.height > 0.8);
      spot.classList.toggle("facekit-leftward", place.left > 0.66);
      for (const [side, share] of Object.entries(place)) spot.style[side] = `${100 * share}%`;
      frame.append(spot);
    });
    return frame;
  }

  function drawRows() {
    body.replaceChildren();
    for (const [key, { name, rows, labels, answers, urls }] of pictures) {
      rows.forEach((row, face) => {
        const show = make("button", { type: "button", className: "facekit-thumb", ariaLabel: `Open face ${face} of ${name}` },
          make("img", { src: urls[1 + face], alt: "" }),
          `#${face}${answers[face].unsure.includes("face") ? ` ${labels[face][0]}` : ""}`);
        const { age, age_range, gender, emotion } = answers[face];
        const range = isSure(answers[face], "age") ? make("span", { className: "facekit-quiet" }, ` (${age_range})`) : null;
        const cells = [show, name, make("span", {}, age, range), gender,
          isSure(answers[face], "emotion") ? makeChip(emotion) : emotion, makeConfidence("", row)];
        const line = make("tr", { onclick: () => open(key, face) }, ...cells.map((cell) => make("td", {}, cell)));
        body.append(line);
      });
    }
  }

  // === One face ===

  const listFaces = () => [...pictures].flatMap(([key, { rows }]) => rows.map((_, face) => [key, face]));

  function turn(by) {
    const faces = listFaces();
    const at = faces.findIndex(([key, face]) => key === opened[0] && face === opened[1]);
    open(...faces[(at + by + faces.length) % faces.length]);
  }

  function open(key, face) {
    const { name, rows, answers: { [face]: answers }, urls, explains } = pictures.get(key);
    const row = rows[face];
    opened = [key, face];
    const emotions = Object.keys(row).filter((column) => column.startsWith("emotion_") && column !== "emotion_probability" && row[column] !== null);
    const bars = make("div", { className: "facekit-bars", role: "list", ariaLabel: "Probabilities of emotions" });
    for (const column of emotions) {
      const emotion = column.slice("emotion_".length);
      bars.append(makeBar(emotion, row[column], { emotion, best: emotion === row.emotion && isSure(answers, "emotion") }));
    }
    const others = make("div", { className: "facekit-bars", role: "list", ariaLabel: "Other probabilities" });
    for (const attribute of ["gender", "ethnicity"]) {
      if (isSure(answers, attribute)) others.append(makeBar(row[attribute], row[`${attribute}_probability`]));
    }
    others.append(makeConfidence("confidence", row));
    const maps = make("div", { className: "facekit-maps", role: "status" });
    maps.append(make("p", { className: "facekit-quiet" }, explains ? "Computing …" : "Set the widget's `explain` to a function to see explanations such as Grad-CAM here."));
    if (explains) post({ kind: "explain", picture: key, face });
    const title = make("h2", { className: "facekit-title", id: `facekit-${page}` }, `Face ${face} of ${name}`);
    const close = button("×", () => dialog.close(), "facekit-button-quiet", { ariaLabel: "Close" });
    const previous = button("‹", () => turn(-1), "", { ariaLabel: "Previous face" });
    const next = button("›", () => turn(1), "", { ariaLabel: "Next face" });
    previous.disabled = next.disabled = listFaces().length < 2;
    const focused = dialog.querySelector(":focus")?.ariaLabel;
    dialog.setAttribute("aria-labelledby", title.id);
    dialog.replaceChildren(
      make("div", { className: "facekit-toolbar" }, title, make("span", { className: "facekit-push" }), previous, next, close),
      make("div", { className: "facekit-predictions" },
        make("div", { className: "facekit-seen" }, make("img", { src: urls[1 + face], alt: `The face, upright: ${describe(answers)}` }),
          isSure(answers, "age") ? makeAge(row, answers) : null, answers.note ? make("p", { className: "facekit-quiet" }, answers.note) : null),
        make("div", { className: "facekit-shares" }, bars, others)),
      maps);
    if (!dialog.open) {
      opener = document.activeElement;
      dialog.showModal();
    }
    ([previous, next].find((each) => each.ariaLabel === focused) ?? close).focus();
  }

  function makeAge(row, { age, age_range }) {
    const [low, high] = [row.age_low, row.age_high].map(Math.round);
    const line = make("span", { className: "facekit-span", "aria-hidden": "true" });
    line.style.setProperty("--low", row.age_low / 100);
    line.style.setProperty("--mean", row.age_years / 100);
    line.style.setProperty("--high", row.age_high / 100);
    return make("div", {}, make("p", {}, make("strong", {}, `${age} years`), ` · class ${age_range}`), line,
      make("p", { className: "facekit-quiet" }, `predicted range: ${low} to ${high} years`));
  }

  function showMaps({ picture, face, names, error }, buffers) {
    if (!opened || picture !== opened[0] || face !== opened[1]) return;
    const maps = dialog.querySelector(".facekit-maps");
    if (error) return maps.replaceChildren(make("p", { className: "facekit-notice facekit-notice-error" }, error));
    const urls = buffers.map((buffer) => URL.createObjectURL(new Blob([buffer], { type: "image/png" })));
    maps.replaceChildren(...names.map((name, index) => make("figure", {},
      make("img", { src: urls[index], alt: `Explanation of the predicted ${name}`, onload: () => URL.revokeObjectURL(urls[index]) }),
      make("figcaption", { className: "facekit-quiet" }, name))));
  }

  dialog.addEventListener("close", () => { opened = null; });
  dialog.addEventListener("close", () => (opener.isConnected ? opener : root).focus()); // otherwise JupyterLab moves the focus to its cell
  dialog.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "ArrowLeft") turn(-1);
    if (event.key === "ArrowRight") turn(1);
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

  // === Following the model ===

  function follow() {
    chooser.accept = model.get("accept");
    chooser.multiple = model.get("multiple");
    choose.disabled = paste.disabled = model.get("disabled");
    choose.textContent = model.get("multiple") ? "Choose pictures" : "Choose a picture";
    paste.hidden = !navigator.clipboard?.read; // exists for https and localhost only
  }

  for (const trait of ["accept", "multiple", "disabled"]) model.on(`change:${trait}`, follow);
  model.on("msg:custom", receive);
  follow();
  report();
  post({ kind: "hello" });

  return () => {
    for (const trait of ["accept", "multiple", "disabled"]) model.off(`change:${trait}`, follow);
    model.off("msg:custom", receive);
    for (const { urls } of pictures.values()) urls.forEach((url) => URL.revokeObjectURL(url));
  };
}

export default { render };
