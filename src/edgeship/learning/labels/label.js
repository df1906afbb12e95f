// The page for labelling: shows what the server says is next, and sends what was said of it.
"use strict";
const token = document.querySelector("meta[name=token]").content;
const part = (name) => document.getElementById(name);
const COLOURS = ["#3b6ea5", "#c4742c", "#4c8a4c", "#8a4c8a", "#8a8a2c", "#2c8a8a"];
let state = null;
let busy = false;

function element(tag, text, attributes = {}) {
  const made = tag === "svg" || tag === "polyline" ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  if (text) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function draw_curves(curves) {
  const all = curves.flat();
  const low = Math.min(...all), high = Math.max(...all), height = high - low || 1;
  const picture = element("svg", "", { viewBox: "0 0 1000 240", preserveAspectRatio: "none", role: "img" });
  curves.forEach((curve, number) => {
    const points = curve.map((value, place) => `${(1000 * place) / Math.max(1, curve.length - 1)},${235 - (230 * (value - low)) / height}`);
    picture.append(element("polyline", "", {
      points: points.join(" "), fill: "none", stroke: COLOURS[number % COLOURS.length], "stroke-width": "1.5", "vector-effect": "non-scaling-stroke",
    }));
  });
  return picture;
}

function draw_view(view) {
  if (view.kind === "picture") return element("img", "", { src: view.picture, alt: `sample, ${view.input}` });
  if (view.kind === "curves") return draw_curves(view.curves);
  const table = element("table");
  for (const [name, value] of view.values) {
    const row = element("tr");
    row.append(element("th", name), element("td", value));
    table.append(row);
  }
  return table;
}

function show(next) {
  state = next;
  document.title = `${state.done} of ${state.total} labelled`;
  part("progress").textContent = `${state.annotator}: ${state.done} of ${state.total} labelled${state.sample === null ? ", all done" : ""}`;
  part("bar").max = state.total;
  part("bar").value = state.done;
  part("views").replaceChildren(...state.views.map(draw_view));
  part("views").dataset.sample = state.sample ?? "";
  part("suspect").hidden = !state.suspect;
  if (state.suspect) part("suspect").textContent = `You said ${state.suspect.given}; the model is sure of ${state.suspect.likely}. Which is it?`;
  part("classes").replaceChildren(...(state.sample === null ? [] : state.classes.map((name, number) => {
    const button = element("button");
    button.append(element("kbd", state.keys[number]), document.createTextNode(name));
    button.addEventListener("click", () => label(name));
    return button;
  })));
  part("last").textContent = state.last ? `last: ${state.last[1]} (${state.last[0]})` : "";
}

async function send(path, content) {
  if (busy) return; // a key that is held down is one answer
  busy = true;
  try {
    const options = content === undefined ? {} : {
      method: "POST", body: JSON.stringify(content), headers: { "Content-Type": "application/json", "X-Label-Token": token },
    };
    const answer = await fetch(path, options);
    if (!answer.ok) throw new Error(await answer.text());
    show(await answer.json());
    part("error").hidden = true;
  } catch (error) {
    part("error").textContent = `not kept: ${error.message}`;
    part("error").hidden = false;
  } finally {
    busy = false;
  }
}

const label = (name) => state?.sample != null && send("label", { sample: state.sample, label: name });
const later = () => state?.sample != null && send("later", { sample: state.sample });
const undo = () => send("undo", {});

part("undo").addEventListener("click", undo);
part("later").addEventListener("click", later);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !state) return;
  const number = state.keys.indexOf(event.key);
  if (event.key === "u") undo();
  else if (event.key === "s") later();
  else if (number >= 0) label(state.classes[number]);
});
send("state");
