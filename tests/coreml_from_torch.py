"""Writes Core ML files with coremltools' own converter from small torch networks, with their inputs and outputs.

    python coreml_from_torch.py FOLDER

It is a process of its own, because here coremltools must see torch, and in the tests' process it must not have.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

logging.getLogger("coremltools").setLevel(logging.ERROR)

KINDS: dict[str, dict[str, Any]] = {
    "iOS15": {"minimum_deployment_target": ct.target.iOS15, "compute_precision": ct.precision.FLOAT32},
    "iOS18": {"minimum_deployment_target": ct.target.iOS18, "compute_precision": ct.precision.FLOAT32},
    "fp16": {"minimum_deployment_target": ct.target.iOS16, "compute_precision": ct.precision.FLOAT16},
    "network": {"convert_to": "neuralnetwork"},
}


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm = nn.Conv2d(3, 8, 3, 2, padding=1), nn.BatchNorm2d(8)
        self.conv2, self.dense = nn.Conv2d(8, 12, 3, padding=2, dilation=2, groups=4), nn.Linear(12 * 4 * 5, 10)
        self.norm.running_mean, self.norm.running_var = torch.randn(8) * 0.1, torch.rand(8) + 0.5

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.relu(self.norm(self.conv1(x))), 2, ceil_mode=True)
        x = F.avg_pool2d(F.relu6(self.conv2(x)), 3, 1, padding=1, count_include_pad=False)
        return F.softmax(self.dense(x.flatten(1)), 1)


class Mobile(nn.Module):
    """Depthwise convolution, squeeze and excitation, hard swish."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.depth = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False)
        self.down, self.up = nn.Conv2d(6, 3, 1), nn.Conv2d(3, 6, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.hardswish(self.depth(F.silu(self.wide(x))))
        return x * F.hardsigmoid(self.up(F.relu(self.down(x.mean((2, 3), keepdim=True)))))


class Decoder(nn.Module):
    """Everything that makes images larger."""

    def __init__(self) -> None:
        super().__init__()
        self.transposed, self.shuffled = nn.ConvTranspose2d(3, 4, 4, 2, padding=1), nn.Conv2d(3, 8, 3, padding=1)
        self.prelu = nn.PReLU(4, 0.2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b = self.prelu(self.transposed(x)), F.pixel_shuffle(self.shuffled(F.pad(x, (0, 0, 0, 0))), 2)
        c = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        d = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        e = F.interpolate(x, scale_factor=2, mode="nearest")
        return F.leaky_relu(torch.cat([a, b, c, d, e], 1), 0.1)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.qkv, self.out = nn.LayerNorm(16), nn.Linear(16, 48), nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (part.reshape(2, 5, 4, 4).transpose(1, 2) for part in self.qkv(self.norm(x)).chunk(3, -1))
        y = F.softmax(q @ k.transpose(-1, -2) / 2.0, -1) @ v
        return x + F.gelu(self.out(y.transpose(1, 2).reshape(2, 5, 16)))


class Shapes(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        a, b = x[:, 1:, ::2], torch.stack([x[:, 0], x[:, 2]], 1)
        c = F.pad(x, (1, 2, 2, 1), mode="reflect").permute(0, 2, 3, 1)
        return a.clamp(-0.5, 0.5), b.amax(3), c, torch.sqrt(x.abs() + 0.1).sum((1, 2)), (x > 0).float() * torch.exp(x)


class Norms(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.instance = nn.InstanceNorm2d(6, affine=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.instance(x) + F.elu(x) * torch.tanh(x) + F.softplus(x) * F.softsign(x)


def networks() -> Iterator[tuple[str, nn.Module, tuple[int, ...]]]:
    yield "classifier", Classifier(), (1, 3, 15, 18)
    yield "mobile", Mobile(), (1, 3, 7, 9)
    yield "decoder", Decoder(), (1, 3, 5, 6)
    yield "attention", Attention(), (2, 5, 16)
    yield "shapes", Shapes(), (2, 4, 5, 6)
    yield "norms", Norms(), (2, 6, 5, 7)


def write(folder: Path, name: str, net: nn.Module, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    with torch.no_grad():
        result = net(x)
    results = result if isinstance(result, tuple) else (result,)
    np.savez(folder / f"{name}.npz", x=x.numpy(), **{f"y{i}": y.numpy() for i, y in enumerate(results)})
    traced = torch.jit.trace(net, x)
    for kind, options in KINDS.items():
        outputs = [ct.TensorType(name=f"y{i}") for i in range(len(results))]
        model = ct.convert(traced, inputs=[ct.TensorType("x", shape)], outputs=outputs, skip_model_load=True, **options)
        model.save(str(folder / f"{name}-{kind}.{'mlmodel' if kind == 'network' else 'mlpackage'}"))


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for name, net, shape in networks():
        write(folder, name, net.eval(), shape)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
