"""Modules over images with open sizes, exported by torch itself, at the sizes of the example and at others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from netglot.errors import UnsupportedError
from netglot.frontends.pytorch import load
from netglot.runtimes.onnxruntime import OnnxRuntime

torch = pytest.importorskip("torch")
F = torch.nn.functional


class Of(torch.nn.Module):
    def __init__(self, function: Callable[..., Any], **layers: torch.nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(self, x)


def up_and_down(m: Any, x: torch.Tensor) -> torch.Tensor:
    """What a feature pyramid does: the smaller map takes the larger one's size."""
    small = m.conv(x)
    return F.interpolate(small, size=x.shape[-2:], mode="bilinear", align_corners=False) + x


def whole_patches(m: Any, x: torch.Tensor) -> torch.Tensor:
    """Padded to whole patches of 4, by sizes that the network computes."""
    height, width = x.shape[-2:]
    return F.pad(x, (0, (-width) % 4, 0, (-height) % 4), mode=m.mode)


def cropped_back(m: Any, x: torch.Tensor) -> torch.Tensor:
    return F.pad(x, (-1, x.shape[-1] - 9, 2, 0), value=3.0)


MODULES: dict[str, Of] = {
    "pyramid": Of(up_and_down, conv=torch.nn.Conv2d(4, 4, 3, stride=2, padding=1)),
    "nearest": Of(lambda m, x: F.interpolate(x, scale_factor=2, mode="nearest")),
    "nearest odd": Of(lambda m, x: F.interpolate(x, scale_factor=1.3, mode="nearest-exact")),
    "bilinear": Of(lambda m, x: F.interpolate(x, scale_factor=(0.5, 3.0), mode="bilinear")),
    "bilinear odd": Of(lambda m, x: F.interpolate(x, scale_factor=(1.1, 0.7), mode="bilinear")),
    "bicubic odd": Of(lambda m, x: F.interpolate(x, scale_factor=(1.1, 0.7), mode="bicubic")),
    "corners": Of(lambda m, x: F.interpolate(x, scale_factor=1.5, mode="bilinear", align_corners=True)),
    "recomputed": Of(lambda m, x: F.interpolate(x, scale_factor=1.3, mode="bilinear", recompute_scale_factor=True)),
    "adaptive": Of(lambda m, x: F.adaptive_avg_pool2d(x, (3, 2))),
    "adaptive one": Of(lambda m, x: F.adaptive_max_pool2d(x, 1)),
    "adaptive own size": Of(lambda m, x: F.adaptive_avg_pool2d(x, (None, 2))),
    "max pool": Of(lambda m, x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True)),
    "avg pool": Of(lambda m, x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True)),
    "lp pool": Of(lambda m, x: F.lp_pool2d(x.abs() + 0.1, 2.0, 3, 2)),
    "lrn": Of(lambda m, x: F.local_response_norm(x, 3)),
    "unpool": Of(lambda m, x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2, output_size=x.shape)),
    "unfold": Of(lambda m, x: F.unfold(x, (3, 2), stride=2)),
    "fold": Of(lambda m, x: F.fold(F.unfold(x, 3, padding=1), x.shape[-2:], 3, padding=1)),
    "patches": Of(lambda m, x: x.unfold(2, 3, 2).unfold(3, 2, 2)),
    "shuffle": Of(lambda m, x: F.pixel_shuffle(x, 2)),
    "unshuffle": Of(lambda m, x: F.pixel_unshuffle(F.interpolate(x, scale_factor=3), 3)),
    "channels": Of(lambda m, x: F.channel_shuffle(x, 2)),
    "grid": Of(lambda m, x: F.grid_sample(x, F.affine_grid(x[:, 0, :2, :3], x.shape, False), align_corners=False)),
    "instance norm": Of(lambda m, x: F.instance_norm(x)),
    "group norm": Of(lambda m, x: m.norm(x), norm=torch.nn.GroupNorm(2, 4)),
    "weight norm": Of(
        lambda m, x: m.conv(x), conv=torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv2d(4, 3, 3))
    ),
    "spectral norm": Of(
        lambda m, x: m.conv(x), conv=torch.nn.utils.parametrizations.spectral_norm(torch.nn.Conv2d(4, 3, 3))
    ),
    "transposed": Of(lambda m, x: m.conv(x), conv=torch.nn.ConvTranspose2d(4, 3, 3, 2, 1, 1)),
    "transposed to size": Of(
        lambda m, x: m.up(m.down(x), output_size=x.shape[-2:]),
        down=torch.nn.Conv2d(4, 4, 3, 2, 1), up=torch.nn.ConvTranspose2d(4, 3, 3, 2, 1),
    ),
    "crop": Of(cropped_back),
}  # fmt: skip
for _mode in ("constant", "reflect", "replicate", "circular"):
    MODULES[f"pad {_mode}"] = Of(whole_patches)
    MODULES[f"pad {_mode}"].mode = _mode
# Those for which torch itself fixes the sizes of the example while it exports them.
FIXED = {"transposed to size", "grid"}


def _exported(name: str, *, decompose: bool) -> tuple[Any, Any]:
    torch.manual_seed(0)
    module = MODULES[name].eval()
    example = torch.randn(2, 4, 10, 13)
    axes = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC, 0: torch.export.Dim.DYNAMIC}
    shapes = None if name in FIXED else {"x": axes}
    program = torch.export.export(module, (example,), dynamic_shapes=shapes)
    return module, program.run_decompositions() if decompose else program


@pytest.mark.parametrize("decompose", [False, True], ids=["training", "core"])
@pytest.mark.parametrize("name", MODULES)
def test_open_sizes(name: str, decompose: bool) -> None:
    torch.set_num_threads(1)
    module, program = _exported(name, decompose=decompose)
    graph = load(program)
    graph.check()
    session = OnnxRuntime(graph)
    for shape in [(2, 4, 10, 13)] if name in FIXED else [(2, 4, 10, 13), (3, 4, 12, 10), (1, 4, 7, 16)]:
        x = torch.randn(shape)
        wanted = module(x).detach().numpy()
        (found,) = session.run({graph.inputs[0].name: x.numpy()}).values()
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_training_mode_is_refused() -> None:
    """It would update the running statistics, and normalise by those of the batch."""
    program = torch.export.export(torch.nn.BatchNorm1d(3).train(), (torch.randn(4, 3),))
    with pytest.raises(UnsupportedError, match="training mode"):
        load(program)
