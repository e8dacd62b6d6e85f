// The view of ShopBoard in view.py: a card for each face in view, the counts, and the picture of a folder.

const READ_OUT_SECONDS = 5; // between sentences for screen readers
const TITLES = { age_range: "Age", gender: "Gender", emotion: "Emotion" };

function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) node[name] = value;
    else if (value !== null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

const count = (number) => `${number} ${number === 1 ? "face" : "faces"}`;
const years = (range) => range && `${range.replace("-", "–")} years`;
const describe = ({ age_range, gender, emotion, unsure }) => [years(age_range), gender, emotion, unsure].filter(Boolean).join(", ");

function makeBar(name, share, number, emotion = null) {
  const track = make("span", { className: "facekit-track", "aria-hidden": "true" });
  track.style.setProperty("--share", share);
  return make("div", { className: "facekit-bar", role: "listitem", "data-emotion": emotion },
    make("span", {}, name), track, make("span", {}, number));
}

function makeCard(card) {
  const { age_range, gender, emotion, unsure } = card;
  const sure = age_range || gender || emotion;
  const node = make("li", { className: "facekit-card app-card", "data-emotion": emotion, "data-unsure": sure ? null : "" });
  node.append(make("span", { className: "facekit-quiet app-number" }, `#${card.number}`));
  if (age_range) node.append(make("p", { className: "app-age" }, years(age_range)));
  if (gender) node.append(make("p", { className: "app-gender" }, gender));
  if (emotion) node.append(make("p", { className: "app-emotion" }, make("span", { className: "facekit-chip" }, emotion)));
  if (unsure) node.append(make("p", { className: sure ? "app-unsure facekit-quiet" : "app-age" }, unsure));
  return node;
}

function render({ model, el }) {
  if (!document.querySelector("meta[name=viewport]")) {
    document.head.append(make("meta", { name: "viewport", content: "width=device-width, initial-scale=1" })); // otherwise a phone shows the page as wide as a desktop's
  }
  const message = make("p", { className: "facekit-notice facekit-notice-unsure", role: "status" });
  const image = make("img");
  const caption = make("figcaption", { className: "facekit-quiet" });
  const picture = make("figure", { className: "app-picture" }, image, caption);
  const heading = make("h2", { className: "facekit-title" });
  const cards = make("ul", { className: "facekit-cards app-cards" });
  const spoken = make("div", { className: "facekit-hidden", role: "status" });
  const total = make("p", { className: "app-total" });
  const counts = make("div", { className: "app-counts" });
  const since = make("h2", { className: "facekit-title" });
  const privacy = make("p", { className: "facekit-notice facekit-notice-privacy" },
    "Pictures go only to the computer that runs this page, and are deleted after analysis. Nothing is stored: counts are numbers "
    + "in memory, and are deleted when the page is closed; a face that leaves and returns is counted again. Age, gender and emotion are predicted from a "
    + "face, and can be wrong.");
  el.append(make("div", { className: "facekit-widget app-board" }, message, picture,
    make("section", { "aria-label": "Faces in view" }, heading, cards), spoken,
    make("section", { "aria-label": "Counts" }, since, total, counts), privacy));
  let url = "";
  let spokenAt = 0;

  function drawMessage() {
    message.textContent = model.get("message");
    message.hidden = !message.textContent;
  }

  function drawPicture() {
    const content = model.get("picture");
    picture.hidden = !content?.byteLength;
    if (picture.hidden) return;
    URL.revokeObjectURL(url);
    url = URL.createObjectURL(new Blob([content], { type: "image/jpeg" }));
    image.src = url;
    image.alt = `${model.get("caption")}, with its faces marked`;
    caption.textContent = model.get("caption");
  }

  function drawCards() {
    const shown = model.get("cards");
    heading.textContent = shown.length ? `In view: ${count(shown.length)}` : "Nobody in view";
    cards.replaceChildren(...shown.map(makeCard));
    if (Date.now() - spokenAt < 1000 * READ_OUT_SECONDS) return;
    spokenAt = Date.now();
    const words = shown.map(describe).join("; ");
    if (spoken.textContent !== words) spoken.textContent = words;
  }

  function drawCounts() {
    const shown = model.get("counts");
    since.textContent = shown.minutes === 1 ? "The last minute" : `The last ${shown.minutes} minutes`;
    total.replaceChildren(make("strong", {}, shown.faces), ` ${shown.faces === 1 ? "face" : "faces"}`);
    counts.hidden = !shown.faces;
    counts.replaceChildren(...Object.entries(TITLES).map(([name, title]) => {
      const labels = Object.entries(shown[name]);
      const sure = labels.reduce((sum, [, number]) => sum + number, 0);
      return make("div", { className: "facekit-card" },
        make("h3", { className: "facekit-quiet" }, `${title}: sure of ${sure} of ${shown.faces}`),
        make("div", { className: "facekit-bars", role: "list", ariaLabel: title }, ...labels.map(([label, number]) =>
          makeBar(name === "age_range" ? label.replace("-", "–") : label, number / Math.max(sure, 1), number, name === "emotion" ? label : null))));
    }));
  }

  const drawings = { message: drawMessage, picture: drawPicture, cards: drawCards, counts: drawCounts };
  for (const [name, draw] of Object.entries(drawings)) {
    model.on(`change:${name}`, draw);
    draw();
  }
  return () => {
    for (const [name, draw] of Object.entries(drawings)) model.off(`change:${name}`, draw);
    URL.revokeObjectURL(url);
  };
}

export default { render };
