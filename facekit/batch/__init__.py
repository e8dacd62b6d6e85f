"""Analyze any number of files: find them, keep their rows safe, write tables and drawings.

`walk` finds the files, `outputs` decides where everything goes, `journal` keeps the rows of a run
while it lasts, `drawings` marks what facekit drew, `result` records what was done, `interrupts`
handles signals, and `run` joins them. One picture is the subject of `pipeline`.
"""

from facekit.batch.interrupts import stop_on_signals
from facekit.batch.outputs import OptionError
from facekit.batch.result import BatchResult, Failure
from facekit.batch.run import analyze_folder

__all__ = ["BatchResult", "Failure", "OptionError", "analyze_folder", "stop_on_signals"]
