"""Published weights of FaceNet's Inception-ResNet-v1: where they are, and how to load them.

All come from the checkpoints of David Sandberg's `facenet` (MIT), in one of two forms:

- HDF5 of Keras, from two projects that are both named keras-facenet. Files of 2017 have embeddings
  of 128 numbers, files of 2018 have 512.
- State dict of PyTorch, from facenet-pytorch, with 512 numbers. It can be converted to an `.npz`,
  which is read without PyTorch; the conversion is one line: `numpy.savez("vggface2.npz", **{name:
  tensor.numpy() for name, tensor in torch.load("20180402-114759-vggface2.pt").items()})`

They were trained on VGGFace2 (20180402-114759), CASIA-WebFace (20180408-102900, 20170511-185253)
and MS-Celeb-1M (20170512-110547, from which `facenet_keras.h5` was made). These datasets were
published for research only.
"""

from __future__ import annotations

import importlib
import pickle
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
from keras import layers

from facekit.files import hash_file
from facekit.networks.facenet import BLOCK8, BLOCK17, BLOCK35, BLOCKS, MIXED_6A, MIXED_7A

KERAS_FACENET = "https://github.com/faustomorales/keras-facenet/releases/tag/v0.3.1"
FIRST_KERAS_FACENET = "https://github.com/nyoki-mtl/keras-facenet"
FACENET_PYTORCH = "https://github.com/timesler/facenet-pytorch/releases/tag/v2.2.9"
# Of each file: its page, and its SHA-256 where one is known. KERAS_FACENET lists its checksums in
# `metadata.py`. FACENET_PYTORCH publishes none; the one of its first file is from other public
# projects that check their download with it, and agree.
PUBLISHED: dict[str, tuple[str, str | None]] = {
    "20180402-114759-weights.h5": (
        KERAS_FACENET,
        "8b71e7045497e841c00ee568f031d1a4d30908fceadf6884aef2dec4d545202b",
    ),
    "20180408-102900-weights.h5": (
        KERAS_FACENET,
        "af526097bd89ff84dda94dc071ff39c4cf39922cf0a9d9dea652853cda9616be",
    ),
    "20170511-185253-weights.h5": (
        KERAS_FACENET,
        "28db99aaafce0e62b2cdb1db5ac733ffa9e52a365e1a3ca0a13c5159bd4363c4",
    ),
    "20170512-110547-weights.h5": (
        KERAS_FACENET,
        "668e950140ad76f1e21e3a2bc1d3ad9c673734ea8ea1abbf4ecc44d1dbdd400b",
    ),
    "facenet_keras.h5": (FIRST_KERAS_FACENET, None),
    "facenet_keras_weights.h5": (FIRST_KERAS_FACENET, None),
    "20180402-114759-vggface2.pt": (
        FACENET_PYTORCH,
        "281cebca8662831adb987a874bdcb36e73f5b1c6dc5ee5878f305e985625d99b",
    ),
    "20180408-102900-casia-webface.pt": (FACENET_PYTORCH, None),
}
STEM = ("1a_3x3", "2a_3x3", "2b_3x3", "3b_1x1", "4a_3x3", "4b_3x3")
ENDINGS = (".h5", ".pt", ".pth", ".npz")


def load_published_weights(network: keras.Model, path: str | Path) -> keras.Model:
    """Load published weights into a network, in place: all layers up to the embedding.

    A last layer of the file that classifies people (`logits`) is ignored.

    Args:
        network: Of `build_facenet` or `build_facenet_tasks`, with as many dimensions as the file.
        path: One of the files in `PUBLISHED`, or another file of their forms: `.h5`, `.pt`, `.pth`,
            or `.npz`. If the name is in `PUBLISHED`, the file must have the checksum there. Any
            other file must have the same layers and shapes.

    Returns:
        The same network.

    Raises:
        FileNotFoundError: If there is no such file.
        ModuleNotFoundError: If the file needs PyTorch, and it is not installed.
        ValueError: If the file holds other weights, or the network has other layers.

    Example:
        >>> from facekit.networks.facenet import build_facenet
        >>> path = "20180402-114759-weights.h5"
        >>> network = load_published_weights(build_facenet(512), path)  # doctest: +SKIP
    """
    path, names = Path(path), _name_layers_in_torch()
    _check_file(path)
    convolutions = {layer.name for layer in network.layers if isinstance(layer, layers.Conv2D)}
    if convolutions != names.keys() - {"Bottleneck"}:
        raise ValueError(
            f"`network` must be of build_facenet or build_facenet_tasks with {BLOCKS} blocks; "
            f"{network.name!r} has other layers."
        )
    try:
        tensors = _read_h5(path) if path.suffix == ".h5" else _rename(_read_state(path), names)
        weights_by_layer = {
            layer: [tensors[f"{layer.name}/{variable.name}"] for variable in layer.weights]
            for layer in network.layers
            if layer.name.removesuffix("_BatchNorm") in names
        }
    except KeyError as error:
        raise ValueError(f"{path}: has no weights {error}; {_say_where(path)}.") from None
    for layer, weights in weights_by_layer.items():
        _check_shapes(path, layer, weights)
    for layer, weights in weights_by_layer.items():
        layer.set_weights(weights)
    return network


def _say_where(path: Path) -> str:
    pages = dict.fromkeys(page for page, _ in PUBLISHED.values())
    return f"download it from {PUBLISHED.get(path.name, (' or '.join(pages),))[0]}"


def _check_file(path: Path) -> None:
    if path.suffix not in ENDINGS:
        raise ValueError(f"`path` must end with one of {', '.join(ENDINGS)}; got {path}.")
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; {_say_where(path)}.")
    _, checksum = PUBLISHED.get(path.name, ("", None))
    if checksum and (own := hash_file(path)) != checksum:
        raise ValueError(
            f"{path}: its SHA-256 must be that of the published file, {checksum}; got {own}; "
            f"{_say_where(path)}, or rename it if it is your own."
        )


def _check_shapes(path: Path, layer: keras.Layer, weights: list[np.ndarray]) -> None:
    for variable, tensor in zip(layer.weights, weights, strict=True):
        if tensor.shape != tuple(variable.shape):
            of_embedding = layer.name.startswith("Bottleneck") and tensor.ndim
            remedy = f"dimensions={tensor.shape[-1]}" if of_embedding else "the default `width`"
            raise ValueError(
                f"{path}: {layer.name}/{variable.name} has shape {tensor.shape}, and in `network` "
                f"{tuple(variable.shape)}; build the network with {remedy}."
            )


def _name_layers_in_torch() -> dict[str, tuple[str, str | None]]:
    """Return facenet-pytorch's names of each convolution or dense layer, and of its norm."""
    blocks = {"Mixed_6a": ("mixed_6a", MIXED_6A), "Mixed_7a": ("mixed_7a", MIXED_7A)}
    for kind, place, count, branches in (
        ("Block35", "repeat_1", BLOCKS[0], BLOCK35),
        ("Block17", "repeat_2", BLOCKS[1], BLOCK17),
        ("Block8", "repeat_3", BLOCKS[2], BLOCK8),
    ):
        for block in range(count):
            blocks[f"{kind}_{block + 1}"] = f"{place}.{block}", branches
    blocks[f"Block8_{BLOCKS[2] + 1}"] = "block8", BLOCK8
    normalised = {f"Conv2d_{step}": f"conv2d_{step[:2]}" for step in STEM}
    for name, (theirs, branches) in blocks.items():
        for number, branch in enumerate(branches):
            for position, (step, _) in enumerate(branch):
                inside = f".{position}" if len(branch) > 1 else ""
                normalised[f"{name}_Branch_{number}_Conv2d_{step}"] = (
                    f"{theirs}.branch{number}{inside}"
                )
    return {
        **{name: (f"{theirs}.conv", f"{theirs}.bn") for name, theirs in normalised.items()},
        **{
            f"{name}_Conv2d_1x1": (f"{theirs}.conv2d", None)
            for name, (theirs, _) in blocks.items()
            if name.startswith("Block")
        },
        "Bottleneck": ("last_linear", "last_bn"),
    }


def _rename(
    state: dict[str, np.ndarray], names: dict[str, tuple[str, str | None]]
) -> dict[str, np.ndarray]:
    """Return the tensors of a state dict with Keras' names and order of axes.

    The networks here have no scale in their batch normalization, as the original. In PyTorch it is
    1 in the published files. A scale that was fine-tuned moves into the convolution before it.
    """
    tensors = {}
    for layer, (name, norm) in names.items():
        kernel = state[f"{name}.weight"]
        kernel = kernel.transpose(2, 3, 1, 0) if kernel.ndim == 4 else kernel.T
        if norm is None:
            tensors[f"{layer}/bias"] = state[f"{name}.bias"]
        else:
            scale = state[f"{norm}.weight"]
            kernel = kernel * scale
            tensors[f"{layer}_BatchNorm/beta"] = state[f"{norm}.bias"]
            tensors[f"{layer}_BatchNorm/moving_mean"] = state[f"{norm}.running_mean"] * scale
            tensors[f"{layer}_BatchNorm/moving_variance"] = state[f"{norm}.running_var"]
        tensors[f"{layer}/kernel"] = kernel
    return tensors


def _read_h5(path: Path) -> dict[str, np.ndarray]:
    """Return the weights by `layer/variable`, of a file with or without the model."""
    tensors = {}

    def read(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):  # layer/layer/variable:0
            tensors[f"{name.split('/')[0]}/{name.split('/')[-1].removesuffix(':0')}"] = item[()]

    try:
        with h5py.File(path) as file:
            file.get("model_weights", file).visititems(read)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read as HDF5; {_say_where(path)}.") from error
    return tensors


def _read_state(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of facenet-pytorch's state dict, or of an `.npz` made of it."""
    try:
        if path.suffix == ".npz":
            with path.open("rb") as file, np.load(file) as arrays:
                return dict(arrays)
        torch = importlib.import_module("torch")
        state = torch.load(path, map_location="cpu", weights_only=True)
        return {name: tensor.numpy() for name, tensor in state.items()}
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{path}: PyTorch is needed to read it; run: pip install torch. Or convert it to .npz "
            "where PyTorch is installed, as the docstring of facekit.networks.facenet_weights says."
        ) from error
    except (
        AttributeError, EOFError, OSError, RuntimeError, TypeError, ValueError,
        pickle.UnpicklingError, zipfile.BadZipFile,
    ) as error:  # fmt: skip
        raise ValueError(f"{path}: does not hold arrays by name; {_say_where(path)}.") from error
