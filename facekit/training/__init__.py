"""Train the attribute networks with Keras and export them for ONNX Runtime.

A training in the order of its modules: a `course` says what one network learns (`tasks`), `data`
loads the faces, `loop` fits the network (with `augmentation`, `loss_weighting` and perhaps
`teachers`), `export` ships it (`packing` makes its files small, `origin` and `cards` describe it),
and `runs` puts these together. `crossvalidation` measures a task under a protocol.
"""

import os

# Without it TensorFlow uses oneDNN only on processors with AVX512. Read when TensorFlow is loaded.
# A step of `pretrained` and one of `mobilenet` take half the time with it (measured on a Zen 3).
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
