"""Mathematics: index equations, their derivatives, networks, derivations and how they are shown."""
