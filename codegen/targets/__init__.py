"""Targets: each package renders a program in one language."""
