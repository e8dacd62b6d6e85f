// The view of `Labeler`: shows one face, its labels and their keys, and sends every key to Python, which knows what it means.

const TOUCHES = { left: "ArrowLeft", right: "ArrowRight", undo: "z", skip: "k", reject: "x", accept: "Enter" };
const SPEAKING = /^([0-9a-z]|Backspace|Enter|ArrowLeft|ArrowRight)$/i;
const STATE_BADGES = { open: "to do", labelled: "labelled", skipped: "skipped", "not a face": "not a face" };

function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

function render({ model, el }) {
  const press = (key) => model.send({ press: key, position: model.get("position") });
  const makeButton = (key, text, shown = key.toUpperCase(), kind = "") =>
    make("button", { type: "button", className: `facekit-button ${kind}`, onclick: () => press(key), "aria-keyshortcuts": key },
      make("kbd", { ariaHidden: "true" }, shown), text);

  // === Elements ===

  const title = make("h3", { className: "facekit-title" });
  const badge = make("span", { className: "facekit-badge" });
  const where = make("span", { className: "facekit-quiet facekit-name" });
  const progress = make("progress", { className: "facekit-progress", ariaLabel: "Faces judged" });
  const face = make("img", { className: "facekit-labeler-face" });
  const photo = make("img", { alt: "" });
  const frame = make("span", { className: "facekit-labeler-frame" });
  const context = make("div", { className: "facekit-labeler-photo" }, photo, frame);
  const broken = make("p", { className: "facekit-notice facekit-notice-error", hidden: true });
  const age = make("input", { type: "text", inputMode: "numeric", size: 4, maxLength: 3, autocomplete: "off", placeholder: " ", ariaLabel: "Age in years" });
  const buttons = new Map(); // label: its button
  const rows = model.get("choices").map(({ attribute, labels }) => {
    const group = make("div", { className: "facekit-toolbar", role: "group", ariaLabel: attribute });
    if (attribute === "age") group.append(make("label", { className: "facekit-field" }, make("kbd", { ariaHidden: "true" }, "0–9"), age, "years"));
    for (const [label, key] of labels) {
      buttons.set(`${attribute} ${label}`, makeButton(key, label));
      group.append(buttons.get(`${attribute} ${label}`));
    }
    return [make("span", { className: "facekit-labeler-name", ariaHidden: "true" }, attribute), group];
  });
  const left = makeButton(TOUCHES.left, "Back", "←");
  const right = makeButton(TOUCHES.right, "Forward", "→");
  const undo = makeButton(TOUCHES.undo, "Undo");
  const skip = makeButton(TOUCHES.skip, "Skip");
  const reject = makeButton(TOUCHES.reject, "Not a face");
  const accept = makeButton(TOUCHES.accept, "Accept", "Enter", "facekit-button-primary");
  const labels = make("div", { className: "facekit-labeler-labels" }, ...rows.flat());
  const judge = make("div", { className: "facekit-toolbar" }, accept, skip, reject);
  const picture = make("figure", { className: "facekit-labeler-picture" }, face, context, broken);
  const hint = make("p", { className: "facekit-quiet" });
  const work = make("div", { className: "facekit-labeler-work" }, picture, make("div", { className: "facekit-labeler-side" }, labels, judge, hint));
  const summary = make("p");
  const train = make("code", {}, `facekit train ${model.get("choices")[0].attribute} --manifest ${model.get("file")}`);
  const end = make("div", { className: "facekit-notice facekit-labeler-end", hidden: true }, summary,
    make("p", {}, "Train a network on them: ", train), make("p", {}, "Export them: ", make("code", {}, "labeler.export_dataturks(FOLDER)")));
  const message = make("p", { className: "facekit-notice facekit-notice-unsure", hidden: true });
  const status = make("p", { className: "facekit-hidden", role: "status" });
  const privacy = make("p", { className: "facekit-notice facekit-notice-privacy" },
    "Labels are saved to ", make("b", {}, model.get("file")), " after each key. Photos stay where they are; nothing else is stored.");
  const root = make("section", { className: "facekit-widget facekit-labeler", tabIndex: 0, ariaLabel: "Labeler", "data-lm-suppress-shortcuts": "true" },
    make("div", { className: "facekit-toolbar" }, title, badge, where, make("span", { className: "facekit-push" }), left, right, undo),
    progress, work, end, message, privacy, status);
  el.append(root);

  // === Keys ===

  root.addEventListener("keydown", (event) => {
    event.stopPropagation(); // otherwise the notebook reads letters as commands
    const pressing = event.target.tagName === "BUTTON" && event.key === "Enter"; // Enter presses the focused button
    if (pressing || event.altKey || event.metaKey || (event.ctrlKey && event.key !== "z") || !SPEAKING.test(event.key)) return;
    event.preventDefault();
    if (!event.repeat || event.key === "Backspace") press(event.key);
  });
  root.addEventListener("click", (event) => {
    // After a mouse click, move the focus away from the button, because Enter would press it again.
    if (event.detail && event.target !== age && !getSelection().toString()) root.focus({ preventScroll: true });
  });
  age.addEventListener("input", () => { // keyboards on screens do not name their keys
    model.send({ age: age.value, position: model.get("position") });
  });

  // === Updates from Python ===

  let urls = [];
  let shown = -1;

  function update() {
    const [position, count, state, known, judged] = ["position", "count", "state", "labels", "judged"].map((name) => model.get(name));
    const done = position === count;
    const total = Object.values(judged).reduce((sum, number) => sum + number, 0);
    title.textContent = done ? `All ${count} faces are done` : `Face ${position + 1} of ${count}`;
    badge.textContent = STATE_BADGES[state];
    badge.hidden = done;
    badge.dataset.state = state;
    where.textContent = model.get("name");
    progress.max = count;
    progress.value = total;
    const proposes = state === "open" && Object.keys(known).length > 0;
    root.classList.toggle("facekit-proposes", proposes);
    for (const [name, button] of buttons) {
      const [attribute, label] = name.split(" ");
      button.ariaPressed = String(known[attribute] === label);
    }
    age.value = known.age ?? "";
    accept.lastChild.textContent = proposes ? "Accept" : "Next";
    work.hidden = done;
    right.disabled = done;
    left.disabled = position === 0;
    end.hidden = !done;
    const counts = Object.entries(judged).filter(([, number]) => number).map(([name, number]) => `${number} ${name}`).join(", ");
    summary.textContent = `${counts}.`;
    hint.textContent = proposes ? "Dashed labels are proposals: Enter accepts them, other keys change them."
      : "Type the age, and set labels with their keys; the same key again removes a label. Enter shows the next open face.";
    message.textContent = model.get("message");
    message.hidden = !message.textContent;
    const spoken = Object.entries(known).map(([name, value]) => (name === "age" ? `${value} years` : value)).join(", ");
    status.textContent = `${title.textContent}. ${message.textContent || `${STATE_BADGES[state]}${spoken ? `: ${spoken}` : ""}`}`;
    if (!done && position !== shown) {
      picture.classList.add("facekit-waiting");
      model.send({ show: true, position });
    }
    shown = position;
  }

  function take(content, buffers) {
    if (content.position !== shown) return; // of a face that is no longer shown
    urls.forEach((url) => URL.revokeObjectURL(url));
    urls = buffers.map((buffer) => (buffer.byteLength ? URL.createObjectURL(new Blob([buffer], { type: "image/jpeg" })) : ""));
    picture.classList.remove("facekit-waiting");
    broken.textContent = content.error && `${content.error} Skip this face to continue.`;
    broken.hidden = !content.error;
    face.hidden = Boolean(content.error);
    face.src = urls[0] ?? "";
    face.alt = `Face ${shown + 1} of ${model.get("count")}, in ${model.get("name")}`;
    context.hidden = !content.box.length;
    photo.src = urls[1] ?? "";
    ["left", "top", "width", "height"].forEach((side, index) => { frame.style[side] = `${100 * (content.box[index] ?? 0)}%`; });
  }

  model.on("change", update);
  model.on("msg:custom", take);
  update();
  return () => {
    model.off("change", update);
    model.off("msg:custom", take);
    urls.forEach((url) => URL.revokeObjectURL(url));
  };
}

export default { render };
