"""Keras definitions of every network, as functions that return an uncompiled `keras.Model`.

Weights live in `models/`.
"""
