// Reads one JSON string of LaTeX a line from stdin; answers each with one JSON line:
// null where KaTeX accepts it, else the message. Strict: what is not LaTeX is an error, not a warning, and so
// is a command that would need trust (links, images, HTML), which KaTeX alone would only print in red.
import readline from "node:readline";
import katex from "katex";

function refuse({ command }) {
  throw new Error(`${command} needs trust`);
}

const options = { displayMode: true, throwOnError: true, strict: "error", trust: refuse, maxExpand: 1000 };

function problem(latex) {
  try {
    katex.renderToString(latex, options);
    return null;
  } catch (error) {
    return String(error.message ?? error);
  }
}

for await (const line of readline.createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  if (line !== "") process.stdout.write(JSON.stringify(problem(JSON.parse(line))) + "\n");
}
