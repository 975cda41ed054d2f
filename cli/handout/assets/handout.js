// What the page does when scripts run: KaTeX in place of MathML, and equations that light up their lines.
(() => {
  "use strict";

  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const numbers = (text) => (text ? text.split(" ") : []);

  // ---- Formulas: MathML stays where KaTeX refuses ------------------------------------------------
  for (const box of all(".formula")) {
    const math = box.querySelector("math");
    const large = math.getAttribute("displaystyle") ? "\\displaystyle " : "";
    const set = document.createElement("span");
    try {
      katex.render(large + math.querySelector("annotation").textContent, set, { strict: "ignore" });
    } catch {
      continue;
    }
    box.replaceChildren(...set.childNodes);
  }
  // How many of its own ems the widest unbreakable part takes: print makes a formula small enough for it.
  Promise.all([...document.fonts].map((font) => font.load())).then(() => {
    for (const box of all(".equation .formula")) {
      const size = parseFloat(getComputedStyle(box).fontSize);
      const widest = Math.max(1, ...all(".base", box).map((base) => base.offsetWidth));
      box.style.setProperty("--ems", (widest / size).toFixed(2));
    }
  });

  // ---- Equations and their lines -----------------------------------------------------------------
  const equations = all(".equation");
  const lines = all(".line.linked");
  const handle = (row) => row.querySelector(".number, .ln");
  const rowOf = (target) => target instanceof Element && target.closest(".equation, .line.linked");
  const partners = (row) =>
    row.matches(".equation")
      ? numbers(row.dataset.lines).map((n) => document.getElementById(`L${n}`))
      : numbers(row.dataset.equations).map((n) => document.getElementById(`eq-${n}`));
  const state = { pinned: null, hovered: null, focused: null };
  const narrow = matchMedia("(max-width: 899px)");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const status = document.querySelector(".status");
  let shown = null;

  function show() {
    const row = state.pinned || state.hovered || state.focused;
    if (row === shown) return;
    shown = row;
    for (const lit of all(".lit")) lit.classList.remove("lit");
    if (!row) return;
    const found = partners(row);
    for (const each of [row, ...found]) each.classList.add("lit");
    if (found.length) reveal(found);
  }

  // Scrolls the pane that holds the rows, never the page, unless the pane is the page (on a phone).
  function reveal(rows) {
    const pane = rows[0].closest(".pane");
    const frame = pane.getBoundingClientRect();
    const first = rows[0].getBoundingClientRect();
    const last = rows[rows.length - 1].getBoundingClientRect();
    const behavior = calm.matches ? "auto" : "smooth";
    if (getComputedStyle(pane).overflowY === "visible" || pane.scrollHeight <= pane.clientHeight) {
      if (state.pinned) rows[0].scrollIntoView({ block: "center", behavior });
      return;
    }
    if (first.top >= frame.top + 40 && Math.min(last.bottom, first.bottom + 80) <= frame.bottom) return;
    const room = Math.max(48, (frame.height - (last.bottom - first.top)) / 3);
    pane.scrollTo({ top: pane.scrollTop + first.top - frame.top - room, behavior });
  }

  function pin(row) {
    if (state.pinned) {
      state.pinned.classList.remove("pinned");
      handle(state.pinned).setAttribute("aria-pressed", "false");
    }
    state.pinned = row;
    status.textContent = row ? handle(row).getAttribute("aria-label") : "";
    document.body.classList.toggle("sheet", Boolean(row) && narrow.matches);
    if (row) {
      row.classList.add("pinned");
      handle(row).setAttribute("aria-pressed", "true");
    }
    shown = undefined;
    show();
  }

  // One stop of the Tab key a column; the arrow keys walk within it.
  function current(row) {
    for (const each of row.matches(".equation") ? equations : lines) {
      const stops = [handle(each), ...all(".reason a", each)];
      for (const stop of stops) stop.tabIndex = each === row ? 0 : -1;
    }
  }

  function go(row) {
    current(row);
    handle(row).focus();
  }

  for (const row of [...equations, ...lines]) {
    handle(row).setAttribute("role", "button");
    handle(row).setAttribute("aria-pressed", "false");
  }
  for (const list of [equations, lines]) if (list.length) current(list[0]);

  document.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch") return;
    state.hovered = rowOf(event.target) || null;
    show();
  });
  document.documentElement.addEventListener("pointerleave", () => {
    state.hovered = null;
    show();
  });
  document.addEventListener("focusin", (event) => {
    const row = rowOf(event.target);
    state.focused = row && event.target.matches(":focus-visible") ? row : null;
    if (row) current(row);
    show();
  });
  document.addEventListener("focusout", () => {
    state.focused = null;
    show();
  });
  document.addEventListener("click", (event) => {
    const reference = event.target.closest(".reason a");
    const row = reference ? document.querySelector(reference.getAttribute("href")) : rowOf(event.target);
    if (event.target.closest(".close")) return pin(null);
    if (!row || String(getSelection())) return;
    event.preventDefault();
    pin(row === state.pinned ? null : row);
    if (reference) {
      go(row);
      reveal([row]);
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && state.pinned) return pin(null);
    const row = rowOf(event.target);
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
    const list = row.matches(".equation") ? equations : lines;
    const place = list.indexOf(row);
    const next = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: list.length - 1 }[event.key];
    if (next !== undefined) {
      event.preventDefault();
      if (list[next]) go(list[next]);
    } else if (event.key === " " && event.target === handle(row)) {
      event.preventDefault();
      pin(row === state.pinned ? null : row);
    }
  });
})();
