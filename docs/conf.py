"""The documentation site: `make docs` builds it, warnings are errors."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "chainrule"
author = "the chainrule authors"
copyright = "the chainrule authors"

extensions = ["myst_parser", "sphinx.ext.autodoc", "derived"]
exclude_patterns = ["_ext", "_build"]
nitpicky = True
smartquotes = False
# Types in signatures are links where this site documents them, and plain words where it does not.
nitpick_ignore_regex = [("py:class", ".*")]
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
highlight_language = "text"

# Mathematics comes from the engine: no dollar signs, nothing that a page would have to load.
myst_enable_extensions = ["colon_fence", "deflist", "attrs_block"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "chainrule"
html_static_path = ["_static", str(ROOT / "cli/handout/assets/katex")]
html_css_files = ["chainrule.css"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5cad", "color-brand-content": "#0b5cad"},
    "dark_css_variables": {"color-brand-primary": "#7db8f5", "color-brand-content": "#7db8f5"},
}
