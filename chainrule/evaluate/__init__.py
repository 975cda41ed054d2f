"""A network's equations in values, by NumPy, apart from any program: what a gradient check compares with."""
