"""Keras definitions of every network, as plain functions that return an uncompiled `keras.Model`. Weights live in `models/`."""
