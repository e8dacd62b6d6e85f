// The view of webcam.py's WebcamAnalyzer.
//
// There is one `Live` per model: it owns the camera, sends frames and receives answers. There may be several `View`s, which draw its state.
// A frame is sent only after the answer to the last one (or, with `in_flight` 2, to the one before it), so that no queue builds up.

const STRIP_SECONDS = 20;
const BIN_SECONDS = 0.2; // of a strip: one column of it
const LONGEST_GAP = 5; // columns that one answer fills if the next one is late
const EXTRAPOLATION_SECONDS = 0.25; // boxes are extrapolated by the latency of the answer, at most this far
// Above this latency the picture waits for its boxes, because the head may have moved on. Waiting itself takes about 0.05 seconds.
const LATE_SECONDS = 0.2;
const PATIENCE_SECONDS = 5; // without an answer, after which the view reports it
const READ_OUT_SECONDS = 4; // between sentences for screen readers
const QUALITY = 0.7; // of the JPEG sent

const CAMERA_REMEDIES = {
  NotAllowedError: "The camera is blocked for this page: allow it at the camera symbol in the address bar and press Start",
  NotFoundError: "No camera was found: plug one in and press Start",
  OverconstrainedError: "The chosen camera is not connected: choose another one and press Start",
  NotReadableError: "Another program or page uses the camera: close it and press Start",
  Insecure: "Browsers allow the camera only on https pages and on localhost: open this page there",
};
const LOST_REMEDY = "The kernel stopped or was restarted: run this cell again.";
const WAITING = "Python is busy; waiting for it. If the kernel was restarted, run this cell again.";

const STRIPS = 6; // of the faces seen last

// A face's label in one line, without percentages and ages, which change too often.
const name = (face) => `#${face.number} ${face.lines.join(", ").replace(/^#\d+ +/, "").replace(/ \d+%| \(\d+ to \d+\)/g, "")}`;
const now = () => performance.now() / 1000;

// The picture of a canvas as JPEG, synchronously: `toBlob` waits until the page is idle.
const encode = (canvas) => Uint8Array.from(atob(canvas.toDataURL("image/jpeg", QUALITY).split(",")[1]), (byte) => byte.charCodeAt(0)).buffer;
const discard = async ({ picture }) => (await picture)?.close();

class Live {
  constructor(model) {
    this.model = model;
    this.page = Math.random().toString(36).slice(2); // answers go to every page that shows the notebook
    this.views = new Set();
    this.video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });
    this.paper = document.createElement("canvas"); // where frames are prepared
    this.cameras = [];
    this.sequence = 0;
    this.message = "";
    this.rows = 0;
    this.clear();
    model.on("change:running", () => (model.get("running") ? this.start() : this.stop()));
    model.on("change:camera", () => this.restart());
    model.on("change:message", () => this.report(model.get("message")));
    model.on("msg:custom", (message, buffers) => this.take(message, buffers));
    model.on("comm_live_update", () => {
      this.lost = true;
      this.stop();
      model.set("running", false); // in the page only: the Python side no longer exists
      this.report(LOST_REMEDY);
    });
    this.watch = setInterval(() => this.check(), 1000);
  }

  check() {
    const waits = Boolean(this.active) && this.sent.size > 0 && now() - this.answered > PATIENCE_SECONDS;
    if (waits ? !this.message : this.message === WAITING) this.report(waits ? WAITING : "");
  }

  clear() {
    this.sent?.forEach(discard);
    this.sent = new Map(); // sequence number -> {captured: time, picture: promise of the picture, if it is kept}
    this.faces = [];
    this.tracks = new Map(); // number -> {label, emotion, bins, seen}
    this.rate = this.latency = 0;
    this.answered = now();
    this.fresh = false;
  }

  // The picture to draw: the analysed one if it was kept, else the camera's present picture.
  get source() { return this.bitmap ?? (this.stream && this.video.videoWidth ? this.video : null); }

  changed() { this.views.forEach((view) => view.update()); }

  report(message) { this.message = message; this.changed(); }

  async start() {
    if (this.active || !this.views.size) return;
    this.active = {}; // distinguishes this start from later ones while promises are pending
    const active = this.active;
    this.clear();
    this.report("");
    if (this.model.get("film")) return this.send();
    try {
      const stream = await this.open();
      if (this.active !== active) return stream.getTracks().forEach((track) => track.stop());
      this.stream = stream;
      this.video.srcObject = stream;
      await this.video.play();
      this.cameras = (await navigator.mediaDevices.enumerateDevices()).filter((device) => device.kind === "videoinput");
    } catch (error) {
      if (this.active !== active) return;
      this.message = `${CAMERA_REMEDIES[error.name] ?? `The camera cannot be used (${error.message})`}, or ${this.model.get("instead")}`;
      this.model.set("message", this.message);
      return this.halt();
    }
    this.changed();
    const next = () => {
      if (this.active !== active) return;
      this.fresh = true;
      this.send();
      if (!this.bitmap) this.views.forEach((view) => view.draw());
      this.video.requestVideoFrameCallback(next);
    };
    this.video.requestVideoFrameCallback(next);
  }

  open() {
    if (!navigator.mediaDevices) throw Object.assign(new Error(), { name: "Insecure" });
    const chosen = this.model.get("camera");
    return navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { width: { ideal: 640 }, height: { ideal: 480 }, ...(chosen && { deviceId: { exact: chosen } }) },
    });
  }

  stop() {
    this.active = null;
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = this.video.srcObject = null;
    this.bitmap?.close();
    this.bitmap = null;
    this.faces = [];
    this.views.forEach((view) => view.clear());
    this.changed();
  }

  halt() { // from the page
    this.stop();
    this.model.set("running", false);
    this.model.save_changes();
  }

  close() {
    this.stop();
    clearInterval(this.watch);
  }

  restart() {
    if (this.active && !this.model.get("film")) { this.stop(); this.start(); }
  }

  send() {
    const film = this.model.get("film");
    if (!this.active || this.sent.size >= (film ? 1 : this.model.get("in_flight"))) return;
    if (!film && !this.fresh) return; // the camera's next frame calls this again
    this.fresh = false;
    const sent = { captured: now() };
    const content = { kind: "frame", page: this.page, sequence: ++this.sequence, seconds: sent.captured, latency: this.latency };
    this.sent.set(content.sequence, sent);
    if (film) return this.model.send(content);
    const { videoWidth, videoHeight } = this.video;
    this.paper.width = Math.min(this.model.get("width"), videoWidth);
    this.paper.height = Math.round((videoHeight * this.paper.width) / videoWidth);
    this.paper.getContext("2d", { willReadFrequently: true }).drawImage(this.video, 0, 0, this.paper.width, this.paper.height);
    if (this.latency > LATE_SECONDS) sent.picture = createImageBitmap(this.paper);
    this.model.send(content, undefined, [encode(this.paper)]);
  }

  async take(message, buffers) {
    if (message.kind === "snapshot") {
      const about = message.faces === 1 ? "1 face" : `${message.faces} faces`;
      return this.views.forEach((view) => view.note(`Snapshot ${message.count}, ${about}: snapshots[${message.count - 1}]`));
    }
    const sent = this.sent.get(message.sequence);
    if (message.page !== this.page || !sent) return;
    this.sent.delete(message.sequence);
    this.answered = now();
    this.rate = message.rate;
    this.rows = message.rows;
    if (!this.active || !message.faces) {
      discard(sent);
      return this.changed();
    }
    const { active } = this;
    const bitmap = await (buffers.length ? createImageBitmap(new Blob([buffers[0]], { type: "image/jpeg" })) : sent.picture);
    if (this.active !== active) return bitmap?.close();
    this.bitmap?.close();
    this.bitmap = bitmap;
    const latency = now() - sent.captured;
    this.latency = this.latency ? 0.8 * this.latency + 0.2 * latency : latency;
    this.size = message.size;
    this.faces = message.faces;
    this.captured = sent.captured;
    this.remember();
    if (this.bitmap) this.views.forEach((view) => view.draw());
    if (!this.model.get("film")) return this.send();
    setTimeout(() => this.send(), Math.max(0, 1000 * (1 / this.model.get("film_rate") - latency)));
  }

  // Add the faces' emotions to their strips, and delete faces that left the strips. While an emotion is not sure, the strip is blank.
  remember() {
    const bin = Math.floor(this.captured / BIN_SECONDS);
    const oldest = bin - STRIP_SECONDS / BIN_SECONDS;
    for (const face of this.faces.filter((each) => each.is_face)) {
      const track = this.tracks.get(face.number) ?? { number: face.number, bins: [] };
      this.tracks.set(face.number, Object.assign(track, { label: name(face), emotion: face.emotion, seen: bin }));
      if (!Object.keys(face.probabilities).length) continue; // emotion is not predicted
      if (track.bins.at(-1)?.bin === bin) track.bins.pop();
      track.bins.push({ bin, probabilities: face.emotion ? face.probabilities : {} });
      while (track.bins[0].bin < oldest) track.bins.shift();
    }
    for (const [number, track] of this.tracks) if (track.seen < oldest) this.tracks.delete(number);
  }

  // Extrapolate the boxes to the present.
  extrapolate() {
    const ahead = this.bitmap ? 0 : Math.min(now() - this.captured, EXTRAPOLATION_SECONDS);
    return this.faces.map((face) => ({ ...face, box: face.box.map((place, side) => place + ahead * face.velocity[side]) }));
  }
}

const TEMPLATE = `
  <div class="facekit-toolbar" role="toolbar" aria-label="Live analysis">
    <button class="facekit-button facekit-button-primary" data-part="run"></button>
    <button class="facekit-button" data-part="snapshot">Snapshot</button>
    <button class="facekit-button" data-part="record" aria-pressed="false">Record</button>
    <button class="facekit-button" data-part="mirror" aria-pressed="false">Mirror</button>
    <span class="facekit-quiet facekit-number facekit-push" data-part="pace"></span>
  </div>
  <div class="facekit-notice facekit-notice-error" role="alert" data-part="message" hidden></div>
  <figure class="webcam-stage" data-part="stage">
    <canvas class="webcam-picture" role="img" data-part="picture"></canvas>
    <p class="webcam-idle" data-part="idle"></p>
    <span class="facekit-badge webcam-recording" data-part="recording" hidden></span>
  </figure>
  <div class="facekit-hidden" role="status" data-part="spoken"></div>
  <div class="webcam-strips" data-part="strips" role="group" aria-label="Emotion over the last ${STRIP_SECONDS} seconds"></div>
  <div class="webcam-legend" data-part="legend" hidden></div>
  <div class="facekit-toolbar webcam-choices">
    <label class="facekit-field" data-part="cameras" hidden>Camera <select data-part="camera"></select></label>
    <span class="facekit-field" role="group" aria-label="Attributes to predict for each face" data-part="attributes"></span>
  </div>
  <p class="facekit-notice facekit-notice-privacy" role="status" data-part="privacy"></p>`;

const SWITCHES = ["running", "recording", "recorded", "mirror", "attributes"];

class View {
  constructor(model, live, el) {
    Object.assign(this, { model, live, part: {}, drawnBin: null, spokenAt: 0 });
    this.root = el.appendChild(document.createElement("div"));
    this.root.className = "facekit-widget webcam";
    this.root.innerHTML = TEMPLATE;
    this.root.querySelectorAll("[data-part]").forEach((node) => (this.part[node.dataset.part] = node));
    const { part } = this;
    part.legend.innerHTML = Object.keys(model.get("colours"))
      .map((emotion) => `<span class="facekit-chip" data-emotion="${emotion}">${emotion}</span>`).join("") +
      `<span class="webcam-span">blank: not sure · the last ${STRIP_SECONDS} s</span>`;
    part.attributes.innerHTML = "Predict" + model.get("choices")
      .map((name) => `<label class="facekit-field"><input type="checkbox" value="${name}">${name}</label>`).join("");
    const set = (name, value) => { model.set(name, value); model.save_changes(); };
    part.run.onclick = () => set("running", !model.get("running"));
    part.snapshot.onclick = () => model.send({ kind: "snapshot" });
    part.record.onclick = () => set("recording", !model.get("recording"));
    part.mirror.onclick = () => set("mirror", !model.get("mirror"));
    part.camera.onchange = () => set("camera", part.camera.value);
    part.attributes.onchange = () => {
      const chosen = [...part.attributes.querySelectorAll(":checked")].map((box) => box.value);
      if (chosen.length) set("attributes", chosen);
      else this.update();
    };
    this.listener = () => this.update();
    for (const name of SWITCHES) model.on(`change:${name}`, this.listener);
    live.views.add(this);
    this.update();
    if (model.get("running")) live.start();
  }

  close() {
    for (const name of SWITCHES) this.model.off(`change:${name}`, this.listener);
    this.live.views.delete(this);
    if (!this.live.views.size && this.live.active) this.live.halt();
  }

  // Update texts and switches.
  update() {
    const { model, live, part } = this;
    const film = model.get("film");
    const running = model.get("running");
    part.run.textContent = running ? "Stop" : "Start";
    part.run.disabled = live.lost;
    part.record.disabled = part.snapshot.disabled = !running || live.lost;
    for (const [node, name] of [[part.record, "recording"], [part.mirror, "mirror"]]) node.setAttribute("aria-pressed", model.get(name));
    const message = live.message || model.get("message");
    part.message.hidden = !message;
    if (part.message.textContent !== message) part.message.textContent = message;
    part.idle.hidden = running && Boolean(live.source);
    part.idle.textContent = live.lost ? "Not connected" : running ? (film ? "Opening the film…" : "Waiting for the camera…")
      : `Press Start to ${film ? `play ${film}` : "use the camera"}.`;
    part.stage.classList.toggle("webcam-waits", !part.idle.hidden);
    const name = model.get("recorded").split(/[\\/]/).at(-1);
    const recording = model.get("recording");
    part.recording.hidden = !recording;
    part.recording.textContent = `● ${name}, ${live.rows} rows`;
    const done = name ? ` The last recording is in ${name}.` : "";
    const stored = film ? "This notebook stores one frame of the film, as a still picture, and nothing else." : "Nothing is stored.";
    const notice = `Frames go to this notebook's kernel and are deleted after analysis. ${
      recording ? `Recording: numbers and labels go to ${name}, pictures do not.` : `${stored}${done}`}`;
    if (part.privacy.textContent !== notice) part.privacy.textContent = notice;
    const chosen = model.get("attributes");
    part.attributes.querySelectorAll("input").forEach((box) => (box.checked = chosen.includes(box.value)));
    part.strips.hidden = !chosen.includes("emotion");
    part.legend.hidden = part.strips.hidden || !live.tracks.size;
    part.cameras.hidden = live.cameras.length < 2;
    if (part.camera.options.length !== live.cameras.length) {
      part.camera.replaceChildren(...live.cameras.map((device, place) => new Option(device.label || `camera ${place + 1}`, device.deviceId)));
      part.camera.value = model.get("camera") || live.cameras[0]?.deviceId;
    }
  }

  note(text) {
    this.part.spoken.textContent = text;
    this.part.pace.textContent = text;
    this.paceAt = now() + 3; // until then the note stays in place of the pace
    this.spokenAt = now();
  }

  // Draw each picture, and text less often.
  draw() {
    const { live, part } = this;
    if (!part.idle.hidden) this.update();
    this.drawPicture(live.source);
    const bin = Math.floor(now() / BIN_SECONDS);
    if (bin === this.drawnBin) return;
    this.drawnBin = bin;
    this.drawStrips(bin);
    if (bin % 3) return;
    if (!(now() < this.paceAt)) part.pace.textContent = `${live.rate.toFixed(1)} frames/s · ${(1000 * live.latency).toFixed(0)} ms`;
    if (this.model.get("recording")) this.update();
    this.say();
  }

  clear() {
    const { picture } = this.part;
    picture.getContext("2d").clearRect(0, 0, picture.width, picture.height);
    picture.setAttribute("aria-label", "No picture");
    this.part.pace.textContent = "";
  }

  // Announce changes to screen readers, not too often.
  say() {
    const { live, part } = this;
    const words = live.faces.map(name).join("; ");
    const count = live.faces.length === 1 ? "1 face" : `${live.faces.length} faces`;
    part.picture.setAttribute("aria-label", `Live picture, ${count}${words && ": "}${words}`);
    if (now() - this.spokenAt < READ_OUT_SECONDS || words === this.spoken || !this.model.get("running")) return;
    Object.assign(this, { spoken: words, spokenAt: now() });
    part.spoken.textContent = `${count}${words && ": "}${words}`;
  }

  drawPicture(source) {
    const canvas = this.part.picture;
    const width = source.videoWidth ?? source.width;
    const height = source.videoHeight ?? source.height;
    if (canvas.width !== width || canvas.height !== height) {
      Object.assign(canvas, { width, height });
      this.part.stage.style.setProperty("--shape", width / height);
    }
    const pen = canvas.getContext("2d");
    const mirror = this.model.get("mirror");
    pen.save();
    if (mirror) { pen.translate(width, 0); pen.scale(-1, 1); }
    pen.drawImage(source, 0, 0, width, height);
    pen.restore();
    const scale = this.live.size ? width / this.live.size[0] : 1;
    const shown = canvas.clientWidth ? width / canvas.clientWidth : 1; // canvas pixels per screen pixel
    const labels = []; // occupied places
    for (const face of this.live.extrapolate()) {
      let [left, top, right, bottom] = face.box.map((place) => place * scale);
      if (mirror) [left, right] = [width - right, width - left];
      const { colour } = face;
      pen.setLineDash(face.is_face ? [] : [8 * shown, 6 * shown]);
      for (const [style, line] of [["rgb(0 0 0 / 60%)", 5], [colour, 2.5]]) {
        pen.strokeStyle = style;
        pen.lineWidth = line * shown;
        pen.beginPath();
        pen.roundRect(left, top, right - left, bottom - top, 6 * shown);
        pen.stroke();
      }
      const size = (canvas.clientWidth < 480 ? 12 : 14) * shown;
      this.drawLabel(pen, face.lines, left, bottom + 6 * shown, top - 6 * shown, size, colour, labels);
    }
  }

  // Write a label below or above its box without covering another label; if there is no room, write its first line only, or nothing.
  drawLabel(pen, lines, left, below, above, size, colour, labels) {
    if (!lines.length) return;
    pen.font = `600 ${size}px system-ui, sans-serif`;
    pen.textBaseline = "top";
    const width = Math.max(...lines.map((line) => pen.measureText(line).width)) + 1.6 * size;
    const height = (1.3 * lines.length + 0.5) * size;
    const x = Math.max(0, Math.min(left, pen.canvas.width - width));
    const free = (y) => y >= 0 && y + height <= pen.canvas.height &&
      labels.every((other) => x >= other.x + other.width || x + width <= other.x || y >= other.y + other.height || y + height <= other.y);
    const y = [below, above - height].find(free);
    if (y === undefined) return lines.length > 1 && this.drawLabel(pen, lines.slice(0, 1), left, below, above, size, colour, labels);
    labels.push({ x, y, width, height });
    pen.fillStyle = "rgb(0 0 0 / 75%)";
    pen.beginPath();
    pen.roundRect(x, y, width, height, 0.35 * size);
    pen.fill();
    pen.fillStyle = colour;
    pen.fillRect(x, y + 0.35 * size, 0.25 * size, height - 0.7 * size);
    pen.fillStyle = "#fff";
    lines.forEach((line, row) => pen.fillText(line, x + 0.9 * size, y + (0.42 + 1.3 * row) * size));
  }

  // One row per face: its label, and the stacked probabilities of the last twenty seconds from left to right.
  drawStrips(bin) {
    const { strips, legend } = this.part;
    const tracks = [...this.live.tracks.values()].filter((track) => track.bins.length).sort((one, other) => other.seen - one.seen)
      .slice(0, STRIPS).sort((one, other) => one.number - other.number);
    while (strips.children.length > tracks.length) strips.lastChild.remove();
    while (strips.children.length < tracks.length) {
      const row = document.createElement("div");
      row.className = "webcam-strip";
      row.innerHTML = `<span class="facekit-chip"></span><canvas role="img"></canvas>`;
      strips.append(row);
    }
    const hues = {};
    legend.hidden = !tracks.length;
    for (const chip of legend.querySelectorAll("[data-emotion]")) hues[chip.dataset.emotion] = getComputedStyle(chip, "::before").backgroundColor;
    tracks.forEach((track, place) => {
      const [chip, canvas] = strips.children[place].children;
      if (chip.textContent !== track.label) chip.textContent = track.label;
      chip.dataset.emotion = track.emotion ?? "";
      canvas.setAttribute("aria-label", `Emotion of ${track.label}`);
      const columns = STRIP_SECONDS / BIN_SECONDS;
      Object.assign(canvas, { width: columns, height: 40 });
      const pen = canvas.getContext("2d");
      track.bins.forEach(({ bin: when, probabilities }, index) => {
        const wide = Math.min((track.bins[index + 1]?.bin ?? when + 1) - when, LONGEST_GAP);
        let top = 40;
        for (const [emotion, probability] of Object.entries(probabilities)) {
          pen.fillStyle = hues[emotion];
          pen.fillRect(columns - 1 - (bin - when), top - 40 * probability, wide, 40 * probability);
          top -= 40 * probability;
        }
      });
    });
  }
}

export default () => {
  let live;
  return {
    initialize({ model }) {
      live = new Live(model);
      return () => live.close();
    },
    render({ model, el }) {
      const view = new View(model, live, el);
      return () => view.close();
    },
  };
};
