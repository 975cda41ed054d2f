"""Runs examples/lectures.ipynb and writes its outputs into it: ``python docs/run_notebook.py``.

The outputs that are kept are those that code hosts show too: LaTeX, Markdown and text.  The kernel is the
interpreter that runs this file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "examples" / "lectures.ipynb"
KEPT = ("text/latex", "text/markdown", "text/plain")


def executed(path: Path) -> Any:
    """Return the notebook of a file, run from its folder, with the outputs that are kept.

    Raises nbclient's CellExecutionError for a cell that fails.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    search = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    client = NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    )
    client.execute(env={**os.environ, "PYTHONPATH": search})
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", ()):
            if "data" in output:
                output.data = {kind: text for kind, text in output.data.items() if kind in KEPT}
    notebook.metadata.pop("language_info", None)
    return notebook


def main() -> None:
    """Run the notebook and write it."""
    import nbformat

    notebook = executed(NOTEBOOK)
    nbformat.validate(notebook)
    NOTEBOOK.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
