"""Printed formulas read back: LaTeX, text and MathML become trees again, by the rules that a reader has.

Nothing of the writers is used.  ``grammar`` says what a formula means: Σ reaches to the next + or −, a bare
function takes one letter, a max before a + would be ambiguous and is refused.
"""
