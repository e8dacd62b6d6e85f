import json
from dataclasses import replace

import keras
import numpy as np
import pytest

from facekit.commands.train import COURSE_NAMES
from facekit.datasets.catalogue import DATASETS
from facekit.networks.attributes import build_attribute_cnn
from facekit.training import command
from facekit.training.augmentation import Augmentation
from facekit.training.course import (
    COURSES,
    NETWORKS,
    Course,
    begin_network,
    build_network,
    choose_network,
    make_course,
    take_over_layers,
    wrap_network,
)
from facekit.training.loss_weighting import FixedWeighting, MultiTaskModel, UncertaintyWeighting
from facekit.training.tasks import TASKS

SMALL = (4, 4, 6, 8)
AGE, GENDER, EMOTION, ETHNICITY = (
    TASKS[name] for name in ("age", "gender", "emotion", "ethnicity")
)


class TestCourse:
    def test_there_is_one_preset_per_attribute_and_one_of_three(self):
        assert tuple(COURSES) == (*TASKS, "faces", "unified")
        assert set(COURSE_NAMES) == set(COURSES)  # the command cannot import Keras for its help
        for name, course in COURSES.items():
            assert course.name == name
            for task in course.tasks:
                assert any(task.name in DATASETS[source].labels for source in course.sources)
        for name, task in TASKS.items():
            assert COURSES[name].tasks == (task,)

    def test_it_cannot_be_changed(self):
        with pytest.raises(AttributeError):
            COURSES["age"].channels = 3

    @pytest.mark.parametrize("name", list(COURSES))
    def test_it_is_described_in_plain_values(self, name):
        described = COURSES[name].describe()
        assert json.loads(json.dumps(described)) == described
        assert described["tasks"] == list(COURSES[name].task_names)

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"tasks": ()}, "`tasks` must hold one or more different tasks; got none"),
            ({"tasks": (AGE, AGE)}, "`tasks` must hold one or more different tasks; got age, age"),
            (
                {"network": "huge"},
                "`network` must be one of small, full, mobilenet, ensemble, student, unified, "
                "pretrained, teacher; got 'huge'",
            ),
            ({"loss_weighting": "sum"}, "`loss_weighting` must be one of fixed, uncertainty"),
            ({"missing_labels": "guess"}, "`missing_labels` must be one of mask, drop"),
            ({"channels": 2}, "`channels` must be one of 1, 3; got 2"),
            ({"channels": 3, "equalise": True}, "`equalise` needs grey crops"),
        ],
    )
    def test_rules(self, fields, message):
        with pytest.raises(ValueError, match=message):
            Course(**{"name": "mine", "tasks": (GENDER,), "sources": ("utkface",), **fields})


class TestMakeCourse:
    def test_one_task_gives_its_defaults(self):
        course = make_course(EMOTION)
        for name in ("name", "sources", "channels", "equalise", "widths", "augmentation"):
            assert getattr(course, name) == getattr(EMOTION, name)

    def test_sources_are_those_of_all_tasks(self):
        course = make_course(
            replace(AGE, sources=("fairface", "utkface")), ETHNICITY, name="both",
            augmentation=Augmentation(),
        )  # fmt: skip
        assert (course.name, course.sources) == ("both", ("fairface", "utkface"))

    @pytest.mark.parametrize("order", [(AGE, EMOTION), (EMOTION, AGE)])
    def test_no_task_decides_for_the_others(self, order):
        with pytest.raises(
            ValueError, match="`augmentation` must be given, because it differs between"
        ):
            make_course(*order)
        given = {"equalise": True, "augmentation": Augmentation()}
        course = make_course(*order, **given)
        assert course.equalise
        assert course.augmentation == Augmentation()

    def test_without_tasks(self):
        with pytest.raises(ValueError, match="`tasks` must hold one or more"):
            make_course()


EQUALISED = replace(COURSES["emotion"], equalise=True)


@pytest.mark.parametrize(
    ("name", "course", "shape"),
    [
        ("small", COURSES["age"], (64, 64, 1)),
        ("pretrained", make_course(AGE, GENDER), (96, 96, 3)),
        ("teacher", COURSES["gender"], (112, 112, 3)),
        ("pretrained", EQUALISED, (64, 64, 1)),
        ("teacher", EQUALISED, (64, 64, 1)),
        ("full", COURSES["emotion"], (48, 48, 1)),
        ("mobilenet", COURSES["emotion"], (112, 112, 1)),
        ("mobilenet", COURSES["faces"], (112, 112, 3)),
        ("ensemble", COURSES["faces"], (134, 134, 3)),
    ],
)
def test_a_network_brings_its_input_form(name, course, shape):
    chosen = choose_network(course, name)
    network = build_network(chosen)
    assert (
        network.input_shape == (None, *shape) == (None, chosen.side, chosen.side, chosen.channels)
    )
    assert set(network.output) == set(course.task_names)
    assert chosen.network == name


def test_the_small_network_takes_one_size():
    with pytest.raises(ValueError, match="`side` must be 64 for the network small; got 96"):
        build_network(replace(COURSES["age"], side=96))


def test_published_weights_are_for_one_network(tmp_path):
    (tmp_path / "faceres-deep.json").touch()
    with pytest.raises(ValueError, match="holds weights of the network mobilenet; got small"):
        begin_network(COURSES["age"], [tmp_path / "faceres-deep.json"])


def test_networks_are_named_in_the_help():
    from facekit.commands.train import train

    (option,) = (each for each in train.params if each.name == "network")
    assert set(option.type.choices) == set(NETWORKS) - {"student"}  # predicts no attribute


@pytest.mark.parametrize(
    ("weighting", "kind"), [("fixed", FixedWeighting), ("uncertainty", UncertaintyWeighting)]
)
def test_several_tasks_have_a_weighted_loss(weighting, kind):
    course = make_course(AGE, GENDER, widths=SMALL, loss_weighting=weighting)
    model = wrap_network(build_network(course), course)
    assert isinstance(model, MultiTaskModel)
    assert isinstance(model.weighting, kind)
    alone = make_course(AGE, widths=SMALL)
    network = build_network(alone)
    assert wrap_network(network, alone) is network


def test_the_earlier_module_keeps_its_names():
    for name in (
        "DataChoice", "run_training", "load_data", "build_network", "begin_network", "blend",
        "run_fusion_fit", "cut_faces", "save_answers", "read_answers", "describe_command",
        "COURSES", "PRETRAINED",
    ):  # fmt: skip
        assert hasattr(command, name)


@pytest.fixture(
    scope="module", params=[("gender",), ("age", "gender", "ethnicity")], ids=["of one", "of three"]
)
def trained(request) -> keras.Model:
    """A network, not to be changed."""
    network = build_attribute_cnn(request.param, 3, SMALL)
    generator = np.random.default_rng(0)
    network.set_weights(
        [generator.uniform(0.1, 1, weights.shape) for weights in network.get_weights()]
    )
    return network


class TestTakeOver:
    def find_taken(self, network: keras.Model, source: keras.Model) -> dict[str, bool]:
        """Return for each layer with weights whether it has those of the layer of its name."""
        theirs = {layer.name: layer.get_weights() for layer in source.layers}
        return {
            layer.name: len(theirs.get(layer.name, [])) == len(layer.weights)
            and all(
                np.array_equal(*pair)
                for pair in zip(theirs[layer.name], layer.get_weights(), strict=True)
            )
            for layer in network.layers
            if layer.weights
        }

    def test_another_task_takes_the_trunk_but_not_the_head(self, trained):
        network = build_attribute_cnn(("emotion",), 3, SMALL)
        head = network.get_layer("emotion").get_weights()
        take_over_layers(network, trained)
        taken = self.find_taken(network, trained)
        assert not taken.pop("emotion")
        assert all(taken.values())
        assert len(taken) > 20
        for before, after in zip(head, network.get_layer("emotion").get_weights(), strict=True):
            np.testing.assert_array_equal(before, after)

    def test_the_same_task_takes_everything(self, trained):
        network = build_attribute_cnn(("gender",), 3, SMALL)
        take_over_layers(network, trained)
        assert all(self.find_taken(network, trained).values())

    @pytest.mark.parametrize(("channels", "stem"), [(3, True), (1, False)])
    def test_layers_of_other_shapes_stay(self, trained, channels, stem):
        network = build_attribute_cnn(("gender",), channels, (4, 4, 6, 10))
        take_over_layers(network, trained)
        taken = self.find_taken(network, trained)
        assert taken["stem_conv"] == stem
        assert taken["stage2b_second_norm"]
        assert not taken["stage3a_first_conv"]
        assert not taken["gender"]

    def test_a_missing_model_says_how_to_train_it(self, tmp_path):
        with pytest.raises(
            FileNotFoundError,
            match=r"gender\.keras: no such model; train it first with `facekit train gender`",
        ):
            begin_network(COURSES["age"], [tmp_path / "gender.keras"])
