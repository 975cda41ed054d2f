"""Presentation: an equation or a derivation as LaTeX, plain text, Markdown, HTML or JSON."""
