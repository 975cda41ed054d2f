"""From numbered equations to source text."""
