"""The handout of a network: one page with its diagram, notation, equations, program and checks.

``document.handout_of`` gathers what the page shows, ``document.page`` writes it as one HTML file that asks
the network for nothing; ``printing`` makes a PDF of that file.
"""
