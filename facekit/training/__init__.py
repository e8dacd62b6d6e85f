"""Train the attribute networks with Keras and export them for ONNX Runtime.

A training in the order of its modules: a `course` says what one network learns (`tasks`), `data`
loads the faces, `loop` fits the network (with `augmentation`, `loss_weighting` and perhaps
`teachers`), `export` ships it (`packing` makes its files small, `cards` describes it), and `runs`
puts these together. `crossvalidation` measures a task under a protocol.
"""
