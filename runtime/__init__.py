"""Training, checking and reporting of generated programs; needs NumPy and no symbolic mathematics."""
