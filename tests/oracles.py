"""Other people's runtimes and networks, where they are at hand; tests skip with the reason where they are not."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
MODELS = SHARED / "models"
CAFFE_PYTHON = SHARED / "oracles" / "caffe-python"

_CAFFE_SCRIPT = """
import sys, numpy as np, caffe
prototxt, weights, source, target = sys.argv[1:]
net = caffe.Net(prototxt, weights, caffe.TEST)
inputs = np.load(source)
for name in inputs.files:
    net.blobs[name].reshape(*inputs[name].shape)
    net.blobs[name].data[...] = inputs[name]
outputs = net.forward()
np.savez(target, **{name: outputs[name].copy() for name in net.outputs})
"""


def model(path: str) -> Path:
    """A real network of the shared folder; skips the test where there is none."""
    found = MODELS / path
    if not found.exists():
        pytest.skip(f"the shared models are not here ({path})")
    return found


def caffe(prototxt: Path, weights: Path, inputs: Mapping[str, np.ndarray], folder: Path) -> dict[str, np.ndarray]:
    """The outputs that the real Caffe 1.0 computes, in its order."""
    if not CAFFE_PYTHON.exists():
        pytest.skip("the real Caffe is not here (shared/oracles)")
    script, source, target = folder / "caffe_run.py", folder / "in.npz", folder / "out.npz"
    script.write_text(_CAFFE_SCRIPT)
    np.savez(source, **dict(inputs))
    command = [str(item) for item in (CAFFE_PYTHON, script, prototxt, weights, source, target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(target) as file:
        return {name: file[name] for name in file.files}


def photo(name: str, size: int, *, bgr: bool, mean: tuple[float, ...], scale: float = 1.0) -> np.ndarray:
    """A photo as 1x3xHxW: the middle square, resized; then minus mean, times scale."""
    from PIL import Image

    image = Image.open(model(f"photos/{name}")).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.resize((size, size), Image.Resampling.BILINEAR, (left, top, left + side, top + side))
    pixels = np.asarray(square, np.float32)[:, :, :: -1 if bgr else 1]
    return np.ascontiguousarray(((pixels - np.float32(mean)) * np.float32(scale)).transpose(2, 0, 1)[None])
