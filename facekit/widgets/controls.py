"""Sliders, choices and text fields for explorers, with names that screen readers announce.

They can replace the controls of ipywidgets anywhere. Those have no accessible name (as of version
8.1), and do not have the look of `look.css`.
"""

from __future__ import annotations

from pathlib import Path

import anywidget
from ipywidgets import ValueWidget
from traitlets import Bool, Float, List, TraitError, Unicode, validate

HERE = Path(__file__).parent


class Control(anywidget.AnyWidget, ValueWidget):
    """A control with a name and a value.

    Attributes:
        description: Name of the control.
        value: Its value.
        continuous_update: Whether the value changes while the user drags the slider or types the
            text, or only afterwards.

    Example:
        >>> Control(description="threshold").description
        'threshold'
    """

    _esm = HERE / "controls.js"
    _css = (HERE / "look.css").read_text(encoding="utf-8") + (HERE / "controls.css").read_text(
        encoding="utf-8"
    )

    description = Unicode("").tag(sync=True)
    continuous_update = Bool(True).tag(sync=True)


class Slider(Control):
    """A number from `min` to `max`, in steps.

    Raises:
        TraitError: If the value is out of its range.

    Example:
        >>> Slider(value=0.3, description="threshold").value
        0.3
    """

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
    """One of several words.

    Raises:
        TraitError: If the value is not one of `options`.

    Example:
        >>> Choice(options=["red", "blue"], value="red").value
        'red'
    """

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
    """A line of text.

    Example:
        >>> Field(value="0, 18").value
        '0, 18'
    """

    value = Unicode("").tag(sync=True)
