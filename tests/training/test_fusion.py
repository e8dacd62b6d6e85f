import pandas as pd
import pytest

from facekit.fusion import load_constants
from facekit.taxonomy import ATTRIBUTES
from facekit.training.fusion import run_fusion_fit


# Made-up predictions need no calibration, which calibration mentions.
@pytest.mark.filterwarnings("ignore:The temperature of")
def test_fusion_is_fitted_and_measured(tmp_path, make_tables, save_utkface, capsys):
    data_dir, models_dir = tmp_path / "data", tmp_path / "models"
    save_utkface(data_dir, 40)
    tables = [make_tables(100, seed, split) for seed, split in enumerate(("calibration", "test"))]
    for name in ATTRIBUTES:
        (models_dir / name).mkdir(parents=True)
        pd.concat([each[name] for each in tables]).to_parquet(
            models_dir / name / "predictions.parquet"
        )
    run_fusion_fit(data_dir, models_dir, seed=3)
    constants = load_constants(models_dir)
    assert constants.temperatures.keys() == set(ATTRIBUTES)
    assert {("age", "gender"), ("age", "ethnicity"), ("gender", "ethnicity")} <= set(
        constants.lifts
    )
    assert (models_dir / "fusion.md").read_text().strip() in capsys.readouterr().out
