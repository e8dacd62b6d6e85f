"""Which layers of a network are trained when: transfer learning by freezing and unfreezing.

A network that starts from weights of another task need not change all of them. Its trunk, all
layers below the heads, is divided into `PARTS` parts. A way of transfer is a list of stages: for a
share of the epochs, the heads and some parts from the top are trained. The other layers are frozen:
their weights and the statistics of their normalisations stay as they are, without weight decay, and
no gradient is computed for them. Each stage has an optimizer of its own, whose learning rate rises
and falls once.

| name | what is trained |
|---|---|
| `fine_tune` | all layers |
| `freeze` | the heads |
| `top` | the heads and the top part, as in the second paper |
| `gradual` | the heads, then one more part in each stage (Howard and Ruder, 2018) |

The second paper describes gates, which multiply the gradient of a layer: 0 freezes it, 1 trains it.
These gates are here: `top` has gates that stay, `gradual` has gates that open one by one. A gate
between 0 and 1 would change nothing under AdamW, which divides each gradient by the running mean of
its size, so a constant factor cancels.

References: Yosinski et al., 2014, How transferable are features in deep neural networks?, NeurIPS,
arXiv 1411.1792; Howard and Ruder, 2018, Universal Language Model Fine-tuning for Text
Classification, ACL, doi 10.18653/v1/P18-1031.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from facekit.networks.embedding import list_leaves

PARTS = 3  # of the trunk, each with about as many layers
# For each way its stages: the share of the epochs, and the number of parts that are trained.
TRANSFERS: dict[str, tuple[tuple[float, int], ...]] = {
    "fine_tune": ((1.0, PARTS),),
    "freeze": ((1.0, 0),),
    "top": ((1.0, 1),),
    "gradual": ((0.2, 0), (0.2, 1), (0.2, 2), (0.4, PARTS)),
}


@dataclass(frozen=True)
class Stage:
    """Some epochs in which the same layers are trained.

    Attributes:
        first_epoch: The first epoch, counted from 0.
        end_epoch: The epoch after the last one.
        open_parts: How many parts of the trunk are trained, from the top.

    Example:
        >>> Stage(first_epoch=2, end_epoch=4, open_parts=1).epochs
        2
    """

    first_epoch: int
    end_epoch: int
    open_parts: int

    @property
    def epochs(self) -> int:
        """The number of epochs."""
        return self.end_epoch - self.first_epoch


def plan_stages(transfer: str, epochs: int) -> list[Stage]:
    """Return the stages of a training, in order.

    Args:
        transfer: Key of `TRANSFERS`.
        epochs: Of the whole training, 1 or more. In a short training, stages that are left without
            an epoch are left out.

    Example:
        >>> [(stage.first_epoch, stage.open_parts) for stage in plan_stages("gradual", 10)]
        [(0, 0), (2, 1), (4, 2), (6, 3)]
    """
    stages, share, first = [], 0.0, 0
    for part, open_parts in TRANSFERS[transfer]:
        share += part
        end = round(share * epochs)
        if end > first:
            stages.append(Stage(first, end, open_parts))
        first = end
    return stages


def open_layers(network: keras.Model, heads: Sequence[str], open_parts: int = PARTS) -> None:
    """Let some layers of a network be trained, and freeze the others, in place.

    It takes effect when the network is compiled.

    Args:
        network: The network; networks inside it count as their layers.
        heads: Names of the layers that are always trained.
        open_parts: How many parts of the rest are trained, from the top, 0 to `PARTS`.

    Raises:
        ValueError: If layers are to be frozen and no head has weights.

    Example:
        >>> layers = [keras.layers.Dense(2, name=name) for name in ("low", "middle", "top", "age")]
        >>> network = keras.Sequential([keras.Input((2,)), *layers])
        >>> open_layers(network, ["age"], open_parts=1)
        >>> [layer.name for layer in network.layers if layer.trainable]
        ['top', 'age']
    """
    layers = [layer for layer in list_leaves(network) if layer.weights]
    trunk = [layer for layer in layers if layer.name not in heads]
    if open_parts < PARTS and len(trunk) == len(layers):
        raise ValueError(
            f"`network` must have heads with weights, layers named {', '.join(heads)}, if other "
            "layers are frozen; got none. Choose the transfer fine_tune."
        )
    for layer in layers:
        layer.trainable = True
    for layer in trunk[: len(trunk) * (PARTS - open_parts) // PARTS]:
        layer.trainable = False
