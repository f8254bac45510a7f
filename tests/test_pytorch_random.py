"""What PyTorch draws at random: of the right shape and type, and distributed as it says, from another generator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netglot
from netglot.errors import UnsupportedError
from netglot.runtimes.onnxruntime import OnnxRuntime

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

SIZE = (40, 50)
X = np.random.default_rng(0).uniform(0, 1, SIZE).astype(np.float32)


class Drawing(torch.nn.Module):
    def __init__(self, draw: Callable[[Any], Any]) -> None:
        super().__init__()
        self.draw = draw

    def forward(self, x: Any) -> Any:
        return self.draw(x), x + 1


def drawn(draw: Callable[[Any], Any], tmp_path: Path, *, core: bool = False, sizes: Any = None) -> np.ndarray:
    """One output, of a program that warns."""
    with torch.no_grad():
        program = torch.export.export(Drawing(draw).eval(), (torch.from_numpy(X),), dynamic_shapes=sizes)
    torch.export.save(program.run_decompositions() if core else program, tmp_path / "model.pt2")
    graph = netglot.load(tmp_path / "model.pt2")
    assert any("random numbers" in str(warning) for warning in graph.warnings)
    return OnnxRuntime(graph).run({"x": X})[graph.outputs[0].name]


def aten(name: str, *arguments: Any) -> Callable[[Any], Any]:
    overload = torch.ops.aten
    for part in name.split("."):
        overload = getattr(overload, part)
    return lambda x: overload(x, *arguments)


UNIFORM, NORMAL = (0, 1, 0.5, 12**-0.5), (-9, 9, 0, 1)  # least, most, mean, deviation
DRAWS = {
    "rand": (lambda x: torch.rand(40, 50), UNIFORM),
    "rand_double": (lambda x: torch.rand(40, 50, dtype=torch.float64), UNIFORM),
    "randn": (lambda x: torch.randn(40, 50), NORMAL),
    "rand_like": (torch.rand_like, UNIFORM),
    "rand_like_half": (lambda x: torch.rand_like(x, dtype=torch.float16), UNIFORM),
    "randn_like": (torch.randn_like, NORMAL),
    "randint": (lambda x: torch.randint(9, SIZE), (0, 8, 4, 2.58)),
    "randint_low": (lambda x: torch.randint(-3, 4, SIZE, dtype=torch.int32), (-3, 3, 0, 2)),
    "randint_like": (lambda x: torch.randint_like(x, 9), (0, 8, 4, 2.58)),
    "randint_like_low": (lambda x: torch.randint_like(x, -3, 4), (-3, 3, 0, 2)),
    "normal_numbers": (lambda x: torch.normal(2.0, 3.0, SIZE), (-20, 20, 2, 3)),
    "normal_means": (lambda x: torch.normal(x * 0 + 2, 3.0), (-20, 20, 2, 3)),
    "normal_deviations": (lambda x: torch.normal(2.0, x * 0 + 3), (-20, 20, 2, 3)),
    "normal_both": (lambda x: torch.normal(x * 0 + 2, x[:1] * 0 + 3), (-20, 20, 2, 3)),
    "normal_": (lambda x: x.clone().normal_(2, 3), (-20, 20, 2, 3)),
    "uniform_": (lambda x: x.clone().uniform_(-1, 3), (-1, 3, 1, 4 * 12**-0.5)),
    "exponential_": (lambda x: x.clone().exponential_(2), (0, 20, 0.5, 0.5)),
    "bernoulli": (torch.bernoulli, (0, 1, 0.5, 0.5)),
    "bernoulli_": (lambda x: x.clone().bernoulli_(0.25), (0, 1, 0.25, 0.433)),
    "bernoulli_p": (aten("bernoulli.p", 0.25), (0, 1, 0.25, 0.433)),
    "bernoulli_tensor": (lambda x: x.clone().bernoulli_(x * 0 + 0.25), (0, 1, 0.25, 0.433)),
}


@pytest.mark.parametrize("core", [False, True])
@pytest.mark.parametrize("name", DRAWS)
def test_a_draw_has_its_distribution(name: str, core: bool, tmp_path: Path) -> None:
    draw, (least, most, mean, deviation) = DRAWS[name]
    found = drawn(draw, tmp_path, core=core)
    wanted = draw(torch.from_numpy(X)).numpy()
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    assert least <= found.min()
    assert found.max() <= most
    assert abs(found.mean(dtype=np.float64) - mean) < 0.15 * deviation
    assert abs(found.std(dtype=np.float64) - deviation) < 0.1 * deviation


def test_a_draw_of_an_open_size(tmp_path: Path) -> None:
    found = drawn(lambda x: torch.rand(x.shape[0], 3), tmp_path, sizes=({0: torch.export.Dim("n")},))
    assert found.shape == (40, 3)
    assert len(np.unique(found)) > 100


def test_a_permutation_has_every_number_once(tmp_path: Path) -> None:
    found = drawn(lambda x: torch.randperm(30), tmp_path)
    assert found.dtype == np.int64
    assert sorted(found) == list(range(30))
    assert list(found) != list(range(30))


def test_classes_are_drawn_once_each(tmp_path: Path) -> None:
    found = drawn(lambda x: torch.multinomial(x * (torch.arange(50) < 9), 9), tmp_path)
    assert found.dtype == np.int64
    assert found.shape == (40, 9)
    assert (np.sort(found, 1) == np.arange(9)).all()


def test_classes_are_drawn_again(tmp_path: Path) -> None:
    """A class of weight 0 never, one of the triple weight three times as often."""
    weights = torch.tensor([1.0, 0, 3, 0])
    found = drawn(lambda x: torch.multinomial(weights * x.shape[0], 2000, replacement=True), tmp_path)
    assert found.dtype == np.int64
    assert found.shape == (2000,)
    assert set(np.unique(found)) == {0, 2}
    assert 0.7 < (found == 2).mean() < 0.8


def test_what_is_being_trained_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"module\.eval"):
        drawn(lambda x: torch.dropout(x, 0.5, train=True), tmp_path)
