"""Sliders, choices and fields with names that a screen reader can tell, in the look of `look.css`;
for `explorers`.

They stand wherever ipywidgets' own do. Those have no accessible name as of version 8.1, and a look
of their own.
"""

from __future__ import annotations

from pathlib import Path

import anywidget
from ipywidgets import ValueWidget
from traitlets import Bool, Float, List, TraitError, Unicode, validate

HERE = Path(__file__).parent


class Control(anywidget.AnyWidget, ValueWidget):
    """Something with a name and a value.

    Attributes:
        description: Its name.
        value: What it says.
        continuous_update: Whether the value changes while the slider is dragged, or the text is
            typed; otherwise once that is done.
    """

    _esm = HERE / "controls.js"
    _css = (HERE / "look.css").read_text(encoding="utf-8") + (HERE / "controls.css").read_text(
        encoding="utf-8"
    )

    description = Unicode("").tag(sync=True)
    continuous_update = Bool(True).tag(sync=True)


class Slider(Control):
    """A number from `min` to `max`, in steps."""

    min = Float(0.0).tag(sync=True)
    max = Float(1.0).tag(sync=True)
    step = Float(0.01, min=0).tag(sync=True)
    value = Float(0.0).tag(sync=True)

    @validate("value")
    def _check_value(self, proposal) -> float:
        if not self.min <= proposal["value"] <= self.max:
            raise TraitError(
                f"`value` must be from {self.min:g} to {self.max:g}; got {proposal['value']:g}."
            )
        return proposal["value"]


class Choice(Control):
    """One of several words."""

    options = List(Unicode(), minlen=1).tag(sync=True)
    value = Unicode("").tag(sync=True)

    @validate("value")
    def _check_value(self, proposal) -> str:
        if proposal["value"] not in self.options:
            raise TraitError(
                f"`value` must be one of {', '.join(self.options)}; got {proposal['value']!r}."
            )
        return proposal["value"]


class Field(Control):
    """A line of text."""

    value = Unicode("").tag(sync=True)
