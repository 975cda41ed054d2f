"""Passes over a program; none of them does mathematics."""
