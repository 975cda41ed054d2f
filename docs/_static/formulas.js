// Sets the formulas of a page with KaTeX; without scripts, and where KaTeX refuses, their MathML stays.
(() => {
  "use strict";
  for (const math of document.querySelectorAll("math")) {
    const source = math.querySelector("annotation");
    if (!source) continue;
    const large = math.getAttribute("displaystyle") || math.getAttribute("display") ? "\\displaystyle " : "";
    const set = document.createElement("span");
    try {
      katex.render(large + source.textContent, set, { strict: "ignore" });
    } catch {
      continue;
    }
    math.replaceWith(...set.childNodes);
  }
  // What is wider than its box can be reached, and so scrolled, by keyboard.
  document.fonts.ready.then(() => {
    for (const box of document.querySelectorAll(".lines, .numbers, .reason, .computed, .where, .highlight pre")) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    }
  });
})();
