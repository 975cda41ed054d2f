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
})();
