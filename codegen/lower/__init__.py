"""From numbered equations to statements; ``lowering.lower`` is the door where symbolic tensors stop."""
