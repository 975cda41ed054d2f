"""Makes equations_and_code.png: the derivation of mnist_mlp beside the program generated from it.

python docs/make_picture.py        needs the project installed, and chromium on the path
"""

import html
import re
import subprocess
import tempfile
from pathlib import Path

from chainrule.derive.deriving import derive_network
from chainrule.present import present
from chainrule.spec import load_spec

ROOT = Path(__file__).parent.parent
SIZE = (1330, 945)
STYLE = """
body { margin: 0; font: 15px/1.45 'DejaVu Sans', sans-serif; display: flex; gap: 28px; padding: 18px 24px; }
.derivation { width: 430px; flex: none; }
.derivation > p { margin: 0; color: #666; font-size: 12px; }
.preface { display: none; }
h2 { margin: 0 0 2px; font-size: 19px; }
h3 { margin: 12px 0 2px; font-size: 14px; color: #666; }
.equation { display: flex !important; justify-content: space-between; gap: 1em !important;
            padding: 3px 0; font-size: 16px; }
.number { color: #06c; font-size: 13px; }
pre { margin: 34px 0 0; font: 11.2px/1.62 'DejaVu Sans Mono', monospace; }
.c { color: #777; }
b { color: #06c; font-weight: normal; }
"""


def code() -> str:
    """Return forward, loss and backward of the generated program as HTML."""
    text = (ROOT / "generated/mnist_mlp/numpy_trainer.py").read_text(encoding="utf-8")
    start, stop = text.index("# ---- Forward"), text.index("# ---- Update")
    lines = []
    for line in text[start:stop].rstrip().splitlines():
        line = re.sub(r"-{20,}$", "-" * 20, line)
        line = re.sub(r"(?<=\S) {9,}# ", lambda m: " " * (len(m[0]) - 8) + "# ", line)
        line = html.escape(line, quote=False)
        line = re.sub(r"#.*", lambda m: f'<span class="c">{m[0]}</span>', line)
        lines.append(re.sub(r"(\(\d+\))(</span>)$", r"<b>\1</b>\2", line))
    return "\n".join(lines)


def main() -> None:
    derivation = derive_network(load_spec(ROOT / "examples/mnist_mlp.toml"))
    equations = present(derivation, "matrix", "html").split("<h3>Update")[0]
    page = f"<meta charset=utf-8><style>{STYLE}</style><body>{equations}</section><pre>{code()}</pre>"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        path.write_text(page, encoding="utf-8")
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        size = f"--window-size={SIZE[0]},{SIZE[1]}"
        shot = f"--screenshot={ROOT / 'docs/equations_and_code.png'}"
        command = ["chromium", *flags, "--hide-scrollbars", size, shot, path.as_uri()]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603


if __name__ == "__main__":
    main()
