// What the page does beyond being read: it filters laws, opens one of them beside the table, and copies.
"use strict";
document.documentElement.classList.add("js");

const table = document.getElementById("table");
const details = document.getElementById("details");
const filter = document.getElementById("filter");
const lines = [...table.querySelectorAll("tbody tr:not(.family)")];
const sectionOf = (line) => document.getElementById(line.querySelector("th a").hash.slice(1));

// --- the panel: a law that a fragment names, or one of its cells, or a verdict

const panel = document.createElement("dialog");
panel.id = "panel";
const bar = document.createElement("nav");
bar.setAttribute("aria-label", "Laws");
panel.append(bar, details);
document.querySelector("main").append(panel);

function button(words, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = words;
  made.addEventListener("click", act);
  bar.append(made);
}
button("Previous law", () => step(-1));
button("Next law", () => step(1));
button("Close", () => panel.close());

const named = () => document.getElementById(location.hash.slice(1));

function open() {
  const target = named();
  const section = target && target.closest(".law");
  if (!section) {
    panel.close();
    return;
  }
  details.querySelector(".open")?.classList.remove("open");
  section.classList.add("open");
  prepare(section);
  panel.setAttribute("aria-label", section.getAttribute("aria-label"));
  if (!panel.open) panel.showModal();
  panel.scrollTop = 0;
  const cell = target.closest(".cell");
  if (!cell) {
    section.querySelector("h2").focus();
    return;
  }
  for (const other of section.querySelectorAll(".cell")) other.open = other === cell;
  const verdict = target === cell ? cell.querySelector(".verdict") : target;
  if (verdict) verdict.open = true;
  (target.querySelector("summary") ?? target).focus({ preventScroll: target === cell });
}

function step(by) {
  const shown = lines.filter((line) => !line.hidden);
  const section = details.querySelector(".open");
  const next = shown[shown.findIndex((line) => sectionOf(line) === section) + by];
  if (next) location.hash = next.querySelector("th a").hash;
}

panel.addEventListener("close", () => {
  const section = details.querySelector(".open");
  if (named()?.closest(".law")) history.replaceState(null, "", location.pathname + location.search);
  const line = lines.find((other) => sectionOf(other) === section);
  (opener ?? line.querySelector("th a")).focus();
  opener = null;
});
panel.addEventListener("click", (event) => {
  if (event.target === panel) panel.close(); // what is beside it
});
addEventListener("hashchange", open);
// browsers take the focus away when they go to the fragment that a page is opened with
addEventListener("load", () => setTimeout(open));

let opener = null;
document.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link) return;
  if (!panel.contains(link)) opener = link; // from where to go on when the panel is closed
  if (link.hash === location.hash) open(); // which is no change: others may be open by now
});

// --- the filter

const letters = new Map(
  [...filter.elements.status].map((box) => [box.value, box.parentNode.textContent.trim()]),
);

/** For each law its words, and the letter of the verdict on each row in each column. */
const index = lines.map((line) => {
  const section = sectionOf(line);
  const of = { line, cells: [...line.cells].slice(1).map((cell) => cell.querySelector("a")), section };
  of.chips = of.cells.map((link) => link && [...link.childNodes]);
  return of;
});

function read(of) {
  if (of.rows) return;
  of.rows = [...of.section.querySelectorAll(".rows tbody tr")].map((row) => {
    const [name, ...cells] = row.cells;
    return [name.textContent, cells.map((cell) => cell.className)];
  });
  const parts = of.section.querySelectorAll("h2, code, .demand, .findings");
  of.words = [...parts].map((part) => part.textContent).join(" ").toLowerCase();
}

function show() {
  const { status, family, row, words } = filter.elements;
  const statuses = new Set([...status].filter((box) => box.checked).map((box) => box.value));
  const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  const counted = Boolean(statuses.size || row.value);
  let shown = 0;
  for (const of of index) {
    read(of);
    const right = (letter) => letter && (!statuses.size || statuses.has(letter));
    const rows = of.rows.filter(([name]) => !row.value || name === row.value);
    const isOf = !family.value || of.line.parentNode.dataset.family === family.value;
    const fits =
      isOf && wanted.every((word) => of.words.includes(word)) &&
      rows.some(([, found]) => found.some(right));
    of.line.hidden = !fits;
    shown += fits;
    if (!fits) continue;
    of.cells.forEach((link, i) => {
      if (!link) return;
      const found = counted ? rows.map(([, cells]) => cells[i]).filter(right) : [];
      link.hidden = counted && !found.length;
      link.replaceChildren(...(counted ? chips(found) : of.chips[i]));
    });
  }
  for (const body of table.tBodies) {
    body.hidden = ![...body.rows].some((line) => !line.hidden && !line.classList.contains("family"));
  }
  document.getElementById("found").textContent = `${shown} of ${index.length} law${index.length === 1 ? "" : "s"}`;
}

/** The words for letters, each with its number, as the cells have them. */
function* chips(found) {
  for (const [letter, word] of letters) {
    const count = found.filter((other) => other === letter).length;
    if (!count) continue;
    const chip = document.createElement("span");
    chip.className = letter;
    chip.textContent = `${count} ${word}`;
    yield chip;
    yield " ";
  }
}

filter.hidden = false;
filter.addEventListener("input", show);
filter.addEventListener("submit", (event) => event.preventDefault());
filter.addEventListener("reset", () => setTimeout(show));
addEventListener("pageshow", () => {
  if (filter.elements.words.value || filter.querySelector(":checked:not([value=''])")) show();
});

// --- copying, and all that a law needs when it is opened

const said = document.createElement("output");
said.className = "unseen";
panel.append(said);

/** Once for each law: what is wider than its place can be scrolled by keys, and code can be copied. */
function prepare(section) {
  if (section.dataset.ready) return;
  section.dataset.ready = "yes";
  for (const wide of section.querySelectorAll("pre, .wide")) wide.tabIndex = 0;
  for (const wide of section.querySelectorAll(".wide")) {
    wide.setAttribute("role", "region");
    wide.setAttribute("aria-label", "Every row");
  }
  for (const code of section.querySelectorAll(".code")) {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "copy";
    made.textContent = "Copy";
    made.setAttribute("aria-label", `Copy: ${code.previousElementSibling.textContent}`);
    made.addEventListener("click", () => copy(made, code));
    code.before(made);
  }
}

async function copy(pressed, code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    said.textContent = pressed.textContent = "Copied";
    setTimeout(() => (pressed.textContent = "Copy"), 2000);
  } catch {
    getSelection().selectAllChildren(code); // there is no clipboard: by hand, then
    said.textContent = pressed.textContent = "Selected: copy it by your keys";
  }
}

open();
