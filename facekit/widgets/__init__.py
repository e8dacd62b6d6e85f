"""Interactive parts of notebooks: sliders, uploads, cameras, labelling.

Each widget shows what a function of another module computes.
"""
