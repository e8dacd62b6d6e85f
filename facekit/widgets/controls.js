// The view of `Slider`, `Choice` and `Field`: an HTML input with its name, and the number of a slider beside it.

function render({ model, el }) {
  const has = (name) => model.get(name) !== undefined;
  const slides = has("min");
  const input = document.createElement(has("options") ? "select" : "input");
  const number = document.createElement("output");
  if (slides) {
    Object.assign(input, { type: "range", min: model.get("min"), max: model.get("max"), step: model.get("step") });
  } else if (has("options")) {
    input.append(...model.get("options").map((option) => new Option(option)));
  } else {
    input.type = "text";
  }
  const name = document.createElement("span");
  name.textContent = model.get("description");
  const field = document.createElement("label");
  field.className = "facekit-field";
  field.append(name, input);
  const root = document.createElement("div");
  root.className = "facekit-widget facekit-control";
  root.setAttribute("data-lm-suppress-shortcuts", "true"); // otherwise the notebook reads letters and arrows as commands
  number.setAttribute("aria-hidden", "true"); // screen readers announce the slider itself
  root.append(field);
  if (slides) root.append(number);
  el.append(root);

  const digits = slides ? Math.min(Math.max(-Math.floor(Math.log10(model.get("step")) + 1e-9), 0), 4) : 0;
  const writeNumber = () => { if (slides) number.textContent = Number(input.value).toFixed(digits); };
  const update = () => {
    input.value = model.get("value");
    writeNumber();
  };
  const send = () => {
    model.set("value", slides ? Number(input.value) : input.value);
    model.save_changes();
  };
  input.addEventListener("input", () => {
    writeNumber();
    if (model.get("continuous_update")) send();
  });
  input.addEventListener("change", send);
  input.addEventListener("keydown", (event) => event.stopPropagation());
  model.on("change:value", update);
  update();
  return () => model.off("change:value", update);
}

export default { render };
