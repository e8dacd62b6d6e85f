"""One network for all attributes: task tokens that read the maps of a convolutional trunk.

The trunk is a shortened form of dlib's network. Each task has a learned token. In each decoder
layer the tokens attend to each other, so that one task can use what another has found, and then to
the cells of three maps of the trunk. A token then holds what its task needs, and its head predicts
from it. The softmax of the second attention says where a token looked.

References: Vaswani et al., 2017, Attention Is All You Need, arXiv 1706.03762; Carion et al., 2020,
DETR, doi 10.1007/978-3-030-58452-8_13 (learned queries that read a map); Narayan et al., 2025,
FaceXFormer, arXiv 2403.12960, and Qin et al., 2024, SwinFace, doi 10.1109/TCSVT.2023.3304724
(tokens and attention for tasks on faces).
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers, ops

from facekit.networks.attributes import DROPOUT, check_tasks
from facekit.networks.embedding import SHORT_STAGES, extract_maps
from facekit.taxonomy import LABELS

SIDE = 112  # of the crops, pixels
SCALE = 1.2  # of the crops, as for `images.cut_crops`: the face and a little of its hair
# The stages whose maps are read: 13, 6 and 3 cells per side.
MAPS = {"fine": -3, "middle": -2, "coarse": -1}
WIDTH = 128  # numbers in a token
HEADS = 4  # parts of a token that attend on their own
LAYERS = 2


def build_unified_network(
    tasks: Sequence[str],
    side: int = SIDE,
    channels: int = 3,
    stages: tuple[tuple[int, int, bool], ...] = SHORT_STAGES,
    decoder_layers: int = LAYERS,
) -> keras.Model:
    """Build the network of several attributes.

    Args:
        tasks: Keys of `taxonomy.LABELS`.
        side: Side of the crops, pixels.
        channels: Of the crops, 1 or 3.
        stages: Of the trunk, as for `networks.embedding.build_pretrained_network`.
        decoder_layers: Number of decoder layers.

    Returns:
        Untrained model from crops (batch, side, side, channels), normalised from -1 to 1, to a dict
        of class probabilities (batch, classes).

    Raises:
        ValueError: If there are no tasks, or one of them is unknown.

    Example:
        >>> network = build_unified_network(["age", "gender"], stages=((4, 1, False),) * 3)
        >>> [output.shape for output in network.outputs]
        [(None, 101), (None, 2)]
    """
    check_tasks(tasks)
    inputs = keras.Input((side, side, channels), name="crops")
    # === Trunk ===
    maps = extract_maps(inputs, side, stages)
    memory = layers.Concatenate(axis=1, name="memory")(
        [_read_map(maps[stage], name) for name, stage in MAPS.items()]
    )  # (batch, cells, WIDTH)
    # === Decoder ===
    tokens = _learn_rows(memory, len(tasks), "tokens")  # (batch, tasks, WIDTH)
    for layer in range(1, decoder_layers + 1):
        tokens = _decode(tokens, memory, f"decoder{layer}")
    tokens = layers.LayerNormalization(name="tokens_norm")(tokens)
    # === Heads ===
    answers = {}
    for place, task in enumerate(tasks):
        own = layers.Dropout(DROPOUT, name=f"{task}_dropout")(tokens[:, place])
        head = layers.Dense(len(LABELS[task]), activation="softmax", dtype="float32", name=task)
        answers[task] = head(own)
    return keras.Model(inputs, answers, name="unified")


def build_attention_model(network: keras.Model) -> keras.Model:
    """Return a model that shows where the tokens of a unified network look.

    Args:
        network: Of `build_unified_network`.

    Returns:
        Model from crops to the attention of the last decoder layer, the mean over its heads: for
        each map of `MAPS` (batch, tasks, rows, columns). The cells of all maps together sum to 1
        for each task.

    Example:
        >>> stages = ((4, 1, False), (8, 1, True), (8, 1, True))
        >>> network = build_unified_network(["gender"], stages=stages)
        >>> [output.shape for output in build_attention_model(network).outputs]
        [(None, 1, 6, 6), (None, 1, 26, 26), (None, 1, 13, 13)]
    """
    names = [layer.name for layer in network.layers if layer.name.endswith("_read_softmax")]
    attention = ops.mean(network.get_layer(names[-1]).output, axis=1)  # (batch, tasks, cells)
    maps, start = {}, 0
    for name in MAPS:
        _, rows, columns, _ = network.get_layer(f"{name}_project").input.shape
        part = attention[:, :, start : start + rows * columns]
        maps[name] = ops.reshape(part, (-1, attention.shape[1], rows, columns))
        start += rows * columns
    return keras.Model(network.input, maps, name="attention")


def _read_map(x, name: str):
    """Turn the cells of a map into rows with learned places, (batch, cells, WIDTH)."""
    x = layers.Conv2D(WIDTH, 1, name=f"{name}_project")(x)
    x = layers.Reshape((-1, WIDTH), name=f"{name}_cells")(x)
    x = layers.LayerNormalization(name=f"{name}_norm")(x)
    return layers.Add(name=f"{name}_placed")([x, _learn_rows(x, x.shape[1], f"{name}_places")])


def _learn_rows(x, count: int, name: str):
    """Return learned rows, the same for each item of the batch of `x`, (batch, count, WIDTH)."""
    ones = ops.ones_like(ops.cast(ops.repeat(x[:, :1, 0], count, axis=1), "int32"))
    return layers.Embedding(count, WIDTH, name=name)(ops.cumsum(ones, axis=1) - 1)


def _decode(tokens, memory, name: str):
    """Let tokens attend to each other, then to the memory, then change each alone."""
    if tokens.shape[1] > 1:
        x = layers.LayerNormalization(name=f"{name}_share_norm")(tokens)
        tokens = layers.Add(name=f"{name}_shared")([tokens, _attend(x, x, f"{name}_share")])
    x = layers.LayerNormalization(name=f"{name}_read_norm")(tokens)
    tokens = layers.Add(name=f"{name}_done")([tokens, _attend(x, memory, f"{name}_read")])
    x = layers.LayerNormalization(name=f"{name}_widen_norm")(tokens)
    x = layers.Dense(2 * WIDTH, activation="relu", name=f"{name}_widen")(x)
    x = layers.Dense(WIDTH, name=f"{name}_narrow")(x)
    return layers.Add(name=f"{name}_out")([tokens, x])


def _attend(queries, memory, name: str):
    """Return the values of the memory's rows, weighted by how well they fit each query.

    Attention(Q, K, V) = softmax(Q K^T / sqrt(d)) V, for each of `HEADS` parts of the numbers.
    """

    def split(x, role: str):  # (batch, HEADS, rows, WIDTH / HEADS)
        x = layers.Dense(WIDTH, name=f"{name}_{role}")(x)
        return ops.transpose(ops.reshape(x, (-1, x.shape[1], HEADS, WIDTH // HEADS)), (0, 2, 1, 3))

    query, key, value = split(queries, "query"), split(memory, "key"), split(memory, "value")
    fits = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))) / (WIDTH // HEADS) ** 0.5
    shares = layers.Softmax(name=f"{name}_softmax", dtype="float32")(fits)
    mixed = ops.matmul(ops.cast(shares, value.dtype), value)
    mixed = ops.reshape(ops.transpose(mixed, (0, 2, 1, 3)), (-1, queries.shape[1], WIDTH))
    return layers.Dense(WIDTH, name=f"{name}_join")(mixed)
