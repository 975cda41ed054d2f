"""The program between equations and source text: statements on values, and what must hold of it."""
