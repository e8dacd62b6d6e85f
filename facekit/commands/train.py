"""The commands `facekit train` and `facekit crossvalidate`."""

from __future__ import annotations

from pathlib import Path

import click

from facekit.commands.data import DATA_OPTION
from facekit.registry import ModelError, get_models_dir
from facekit.taxonomy import ATTRIBUTES

TRAIN_HELP = """Train an attribute's network and put it into the models, or fit the constants of fusion.

The network is measured on its test split, which neither training nor the choice of the epoch saw. Needs: pip install 'facekit[train]'.
"""

NETWORK_OPTION = click.option(
    "--network", type=click.Choice(("small", "pretrained", "teacher")), default="small", show_default=True,
    help="One from scratch; one that begins with dlib's weights, as served; or that one whole, too slow to serve, to teach others.",
)  # fmt: skip


@click.command(help=TRAIN_HELP, short_help="Train a network, or fit fusion.")
@click.argument("task", type=click.Choice((*ATTRIBUTES, "faces", "fusion")))
@DATA_OPTION
@click.option(
    "--models",
    "models_dir",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Enter the model here.  [default: the run's folder]",
)
@click.option(
    "--run",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where to keep the run.  [default: runs/TASK]",
)
@NETWORK_OPTION
@click.option(
    "--sources",
    metavar="LIST",
    default="",
    help="Datasets to learn from, comma-separated.  [default: those of the task]",
)
@click.option(
    "--manifest",
    metavar="FILE.parquet",
    type=click.Path(path_type=Path),
    help="Learn from this manifest in place of datasets.",
)
@click.option(
    "--teacher",
    metavar="ANSWERS.npz",
    type=click.Path(path_type=Path),
    help="Learn from a teacher's answers, too.",
)
@click.option(
    "--start-from",
    metavar="MODEL.keras",
    type=click.Path(path_type=Path),
    help="Take over the layers of a trained model.",
)
@click.option("--epochs", type=click.IntRange(min=1), default=30, show_default=True)
@click.option("--learning-rate", type=float, default=2e-3, show_default=True)
@click.option(
    "--balance",
    type=float,
    default=0.0,
    show_default=True,
    help="Count rare classes more: 1 makes all classes count alike.",
)
@click.option(
    "--teacher-share",
    type=click.FloatRange(0, 1),
    default=0.7,
    show_default=True,
    help="Of a teacher's answer beside the label.",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--precision", type=click.Choice(("float32", "mixed_bfloat16")), default="float32", show_default=True,
    help="mixed_bfloat16 is faster on processors with AMX or AVX512-BF16.",
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped.")
def train(
    task,
    data_dir,
    models_dir,
    run,
    network,
    sources,
    manifest,
    teacher,
    start_from,
    resume,
    **options,
) -> None:
    """Hand over to `training.command`, which alone needs Keras."""
    try:
        from facekit.training.course import DataChoice, run_fusion_fit, run_training
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"Training needs {error.name}; run: pip install 'facekit[train]'"
        ) from None
    try:
        if task == "fusion":
            run_fusion_fit(data_dir, models_dir, options["seed"])
        else:
            run = run or Path("runs", task if network == "small" else f"{task}-{network}")
            chosen = DataChoice(data_dir, tuple(filter(None, sources.split(","))), manifest)
            run_training(
                task, chosen, models_dir, run, network, start_from, teacher, resume, **options
            )
    except (OSError, ValueError, ModelError) as error:
        raise click.ClickException(str(error)) from None


@click.command()
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
    type=click.Path(path_type=Path),
    help="Keep predictions here.  [default: models]",
)
@click.option(
    "--run",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="[default: runs/TASK-SOURCE-PROTOCOL]",
)
@click.option(
    "--start-from",
    metavar="MODEL.keras",
    type=click.Path(path_type=Path),
    help="A model that has not seen this dataset.",
)
@click.option("--photos", type=click.IntRange(min=100), help="Take only so many.")
@click.option("--epochs", type=click.IntRange(min=1), default=12, show_default=True)
@click.option("--learning-rate", type=float, default=1e-3, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--precision",
    type=click.Choice(("float32", "mixed_bfloat16")),
    default="float32",
    show_default=True,
)
def crossvalidate(
    task, network, source, protocol, data_dir, models_dir, run, start_from, photos, **options
) -> None:
    """Train and test once a fold under a protocol, and keep the predictions for `facekit evaluate`."""
    try:
        from facekit.training.crossvalidation import run_protocol
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"Training needs {error.name}; run: pip install 'facekit[train]'"
        ) from None
    run = run or Path("runs", f"{task}-{source}-{protocol}")
    try:
        models_dir = models_dir or get_models_dir()
        click.echo(
            run_protocol(
                task,
                network,
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
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None
