"""Networks of tf.keras, saved in both ways that write a SavedModel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import netglot
from tests.keras_models import assert_near, predicted, stir, tf_keras
from tests.test_keras_networks import BATCH, OLDER, Make, results


@pytest.mark.parametrize("way", ["save", "export"])
@pytest.mark.parametrize("make", OLDER)
def test_saved_model_of_tf_keras(tmp_path: Path, make: Make, way: str) -> None:
    model = stir(make(tf_keras()))
    folder = tmp_path / "saved"
    if way == "save":
        model.save(folder, save_format="tf")
    else:
        model.export(folder)
    inputs, found = results(netglot.load(folder, batch=BATCH), "onnx", tmp_path / "onnx")
    expected = predicted(model, inputs)
    assert_near(sorted(found, key=np.shape), sorted(expected, key=np.shape))  # a signature's outputs have other names
