import pytest
from traitlets import TraitError

pytest.importorskip(
    "anywidget", reason="anywidget is not installed: pip install 'facekit[notebooks]'"
)

from ipywidgets import interactive

from facekit.widgets.controls import Choice, Field, Slider


def test_they_stand_where_those_of_ipywidgets_do():
    seen = []
    controls = {
        "size": Slider(value=0.5, description="the size"),
        "colour": Choice(options=["red", "blue"], value="red"),
        "word": Field(value="a"),
    }
    widget = interactive(lambda **values: seen.append(values), **controls)
    widget.kwargs_widgets[0].value = 0.75
    assert seen[-1] == {"size": 0.75, "colour": "red", "word": "a"}
    assert [control.description for control in widget.kwargs_widgets] == [
        "the size",
        "colour",
        "word",
    ]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Slider(value=1.5), "`value` must be from 0 to 1; got 1.5"),
        (lambda: Slider(min=12, max=20, value=11), "`value` must be from 12 to 20; got 11"),
        (
            lambda: Choice(options=["red", "blue"], value="green"),
            "`value` must be one of red, blue; got 'green'",
        ),
        (lambda: Choice(options=[]), "options"),
    ],
)
def test_values_beyond_the_rule_are_errors(make, message):
    with pytest.raises(TraitError, match=message):
        make()
