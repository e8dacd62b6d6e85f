"""Write support vector machines on embeddings as one ONNX file, from face crops to probabilities.

A machine is a few arrays, and its decision is a few matrix products: no pickle is needed, which
would run code when it is opened, and no operator beyond the standard ones. `svm` trains the
machines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx.compose
import onnx.helper
import onnx.numpy_helper

from facekit.taxonomy import AGES_YEARS
from facekit.training.tasks import AGE_SPREAD_YEARS

# Support vectors are stored as bytes in steps of this share of a standard deviation, up to 5.3 of
# them. The machine learns from the rounded vectors, so nothing is lost when they are stored.
STEP = 1 / 24
PREFIX = "embedder_"
BACKWARDS = np.iinfo(np.int64).min  # the end of a slice that runs to the first element


def round_vectors(vectors: np.ndarray) -> np.ndarray:
    """Return standardised embeddings as whole steps, int8.

    Example:
        >>> round_vectors(np.array([[0.0, 0.1, -99.0]]))
        array([[   0,    2, -127]], dtype=int8)
    """
    return np.clip(np.rint(vectors / STEP), -127, 127).astype(np.int8)


@dataclass(frozen=True, eq=False)
class Machine:
    """An SVM with a radial kernel, and what turns its decisions into probabilities.

    Attributes:
        mean: Of the embeddings that it learned, (dimensions,).
        scale: Their standard deviation, (dimensions,).
        gamma: Of the kernel exp(-gamma * squared distance).
        vectors: Support vectors as `round_vectors` returns them, (vectors, dimensions) int8.
        coefficients: (vectors, decisions).
        intercepts: (decisions,).
        slopes: For classes (decisions, classes): the probabilities are the softmax of
            decisions @ slopes + offsets. For age (1,), and so are the offsets: the decision is the
            years, and years * slopes + offsets the standard deviation of a normal distribution.
        offsets: (classes,) or (1,).

    Example:
        >>> zero, one = np.zeros(1), np.ones(1)
        >>> vectors = np.array([[0], [24]], np.int8)  # 0 and 1 standard deviations
        >>> machine = Machine(zero, one, 1.0, vectors, np.array([[1.0], [-1.0]]), zero, zero, zero)
        >>> machine.decide(np.array([[0.0], [0.5]])).round(3).tolist()  # 1 - 1/e, and 0
        [[0.632], [0.0]]
    """

    mean: np.ndarray
    scale: np.ndarray
    gamma: float
    vectors: np.ndarray
    coefficients: np.ndarray
    intercepts: np.ndarray
    slopes: np.ndarray
    offsets: np.ndarray

    def decide(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the decisions, (faces, decisions).

        Args:
            embeddings: (faces, dimensions).
        """
        standard, vectors = (embeddings - self.mean) / self.scale, self.vectors * STEP
        squares = (standard**2).sum(axis=1)[:, None] + (vectors**2).sum(axis=1)
        kernel = np.exp(-self.gamma * (squares - 2 * standard @ vectors.T))
        return kernel @ self.coefficients + self.intercepts


class _Graph:
    """Nodes and constants, gathered one by one."""

    def __init__(self, prefix: str):
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def hold(self, values) -> str:
        """Add a constant, and return its name."""
        array = np.asarray(values)
        array = array.astype(np.float32) if array.dtype == np.float64 else array
        name = f"{self.prefix}_constant{len(self.constants)}"
        self.constants.append(onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(self, operator: str, *inputs, output: str = "", **attributes) -> str:
        """Add a node, and return its output. Inputs that are not names are held as constants."""
        names = [each if isinstance(each, str) else self.hold(each) for each in inputs]
        output = output or f"{self.prefix}_{len(self.nodes)}"
        self.nodes.append(onnx.helper.make_node(operator, names, [output], **attributes))
        return output

    def close(self, like: onnx.ModelProto, inputs, outputs) -> onnx.ModelProto:
        """Return the model, with the operators' version of another one."""
        taken, given = (
            [onnx.helper.make_tensor_value_info(name, 1, shape) for name, shape in each.items()]
            for each in (inputs, outputs)
        )
        graph = onnx.helper.make_graph(self.nodes, self.prefix, taken, given, self.constants)
        model = onnx.helper.make_model(graph, opset_imports=like.opset_import)
        model.ir_version = like.ir_version
        return model


def build_svm(embedder: Path, mirror: bool, machines: Mapping[str, Machine]) -> onnx.ModelProto:
    """Join an embedding network and machines to one model.

    Args:
        embedder: ONNX file with the input `crops`, (batch, side, side, channels), and the output
            `embedding`.
        mirror: Whether an embedding is the mean over a crop and its mirror image.
        machines: By task.

    Returns:
        Model from crops to an output (batch, classes) for each task.

    Example:
        >>> build_svm(Path("models/dlib/dlib.onnx"), True, machines)  # doctest: +SKIP
    """
    network = onnx.load(embedder)
    (given,), (answer,) = network.graph.input, network.graph.output
    shape = [size.dim_value or "batch" for size in given.type.tensor_type.shape.dim]
    dimensions = answer.type.tensor_type.shape.dim[1].dim_value
    front = _Graph("views")
    views = "crops"
    if mirror:
        mirrored = front.add("Slice", "crops", *map(np.array, ([-1], [BACKWARDS], [2], [-1])))
        views = front.add("Concat", "crops", mirrored, axis=0)
    views = front.add("Identity", views, output="views")
    model = front.close(network, {"crops": shape}, {views: ["views", *shape[1:]]})
    model = onnx.compose.merge_models(
        model,
        onnx.compose.add_prefix(network, PREFIX),
        [(views, PREFIX + given.name)],
    )
    back = _Graph("svm")
    embedding = back.add("Reshape", "vectors", np.array([1 + mirror, -1, dimensions]))
    embedding = back.add("ReduceSum", embedding, np.array([0]), keepdims=0)
    embedding = back.add("Div", embedding, np.float32(1 + mirror))
    for task, machine in machines.items():
        _add_machine(back, embedding, task, machine)
    classes = {
        task: len(AGES_YEARS) if task == "age" else len(machine.offsets)
        for task, machine in machines.items()
    }
    model = onnx.compose.merge_models(
        model,
        back.close(
            network,
            {"vectors": ["views", dimensions]},
            {task: ["batch", count] for task, count in classes.items()},
        ),
        [(PREFIX + answer.name, "vectors")],
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def _add_machine(graph: _Graph, embedding: str, task: str, machine: Machine) -> None:
    vectors = machine.vectors * STEP
    standard = graph.add("Div", graph.add("Sub", embedding, machine.mean), machine.scale)
    squares = graph.add(
        "ReduceSum", graph.add("Mul", standard, standard), np.array([1]), keepdims=1
    )
    stored = graph.add("Cast", np.ascontiguousarray(machine.vectors.T), to=onnx.TensorProto.FLOAT)
    # -gamma * squared distance = 2 gamma x.v - gamma |x|^2 - gamma |v|^2
    products = graph.add("MatMul", standard, stored)
    products = graph.add("Mul", products, np.float32(2 * machine.gamma * STEP))
    products = graph.add("Sub", products, graph.add("Mul", squares, np.float32(machine.gamma)))
    products = graph.add("Sub", products, machine.gamma * (vectors**2).sum(axis=1))
    kernel = graph.add("Exp", products)
    decisions = graph.add(
        "Add", graph.add("MatMul", kernel, machine.coefficients), machine.intercepts
    )
    if task == "age":
        spread = graph.add("Add", graph.add("Mul", decisions, machine.slopes), machine.offsets)
        spread = graph.add("Max", spread, np.float32(AGE_SPREAD_YEARS))
        years = np.array(AGES_YEARS, np.float32)
        apart = graph.add("Div", graph.add("Sub", decisions, years), spread)
        logits = graph.add("Mul", graph.add("Mul", apart, apart), np.float32(-0.5))
    else:
        logits = graph.add("MatMul", decisions, machine.slopes)
        logits = graph.add("Add", logits, machine.offsets)
    graph.add("Softmax", logits, output=task, axis=-1)
