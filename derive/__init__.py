"""Mathematics: index equations, their derivatives, rewrites, layers, networks, derivations."""
