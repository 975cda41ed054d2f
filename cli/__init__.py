"""The command ``derive``."""
