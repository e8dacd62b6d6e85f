"""The parts of `facekit train` by their earlier module name, which stays importable."""

from facekit.training.course import (
    COURSES,
    PRETRAINED,
    Course,
    begin_network,
    build_network,
    choose_network,
    make_course,
)
from facekit.training.data import DataChoice, cut_faces, load_data
from facekit.training.fusion import run_fusion_fit
from facekit.training.loop import LabelledCrops, TrainingConfig, train_model
from facekit.training.runs import describe_command, run_training
from facekit.training.teachers import blend, read_answers, save_answers

__all__ = [
    "COURSES",
    "PRETRAINED",
    "Course",
    "DataChoice",
    "LabelledCrops",
    "TrainingConfig",
    "begin_network",
    "blend",
    "build_network",
    "choose_network",
    "cut_faces",
    "describe_command",
    "load_data",
    "make_course",
    "read_answers",
    "run_fusion_fit",
    "run_training",
    "save_answers",
    "train_model",
]
