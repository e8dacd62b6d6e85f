import click
import pytest
from click.testing import CliRunner

from facekit.commands.numbers import FiniteRange


@click.command()
@click.option("--share", type=FiniteRange(0, 1))
@click.option("--size", type=FiniteRange(min=12))
def show(share, size):
    click.echo(f"{share} {size}")


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [([], "None None"), (["--share", "0.5"], "0.5 None"), (["--size", "1e3"], "None 1000.0")],
)
def test_numbers(arguments, printed):
    assert CliRunner().invoke(show, arguments).stdout.strip() == printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--share", "nan"], "'nan' is not a finite number"),
        (["--size", "inf"], "'inf' is not a finite number"),
        (["--size", "-inf"], "not in the range"),
        (["--share", "2"], "not in the range"),
        (["--share", "half"], "not a valid float"),
    ],
)
def test_other_values(arguments, message):
    result = CliRunner().invoke(show, arguments)
    assert result.exit_code == 2
    assert message in result.stderr
