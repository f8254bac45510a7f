"""Random programs: tensor methods and functions strung together, exported, saved, read, and run against torch.

Every program is Python text that is grown line by line: a line stays if torch runs it, and if what it computes does not
depend on the last bits of its inputs (a comparison of two nearly equal numbers says nothing of a converter).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

import netglot
from netglot.errors import UnsupportedError
from netglot.runtimes.onnxruntime import OnnxRuntime

torch = pytest.importorskip("torch")
torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # torch's own, of what it will do otherwise one day

LARGEST = 3e3  # numbers beyond this, and tensors of more elements, are not computed with
# {t} stands for any tensor, {f} a floating one, {i} one of integers, {b} one of bools, {d} an axis, {n} a small number.
VALUES = """
{t} + {t}|{t} - {t}|{t} * {t}|{t} / ({t}.abs() + 1)|{t} // ({t}.abs() + 1)|{t} % ({t}.abs() + 2)|{f} + {i}|{f} * {b}
{i} - {i}|{i} * {i}|{i} // {n}|{i} % {n}|{i} % -{n}|-{i} // {n}|{i} / {n}|{i} ** 2|{f} ** 2|{f} ** 3|{f} ** -1|2 ** {i}.clamp(0, 5)
{t} + {n}|{t} - 1.5|{n} - {t}|2.5 * {t}|{t} * -{n}|1 / ({t}.abs() + {n})|torch.add({t}, {t}, alpha={n})|{f} % 0.7
torch.maximum({t}, {t})|torch.minimum({t}, {t})|torch.fmax({f}, {f})|torch.fmod({t}, {n})|torch.remainder({t}, -{n})
torch.atan2({f}, {f})|torch.hypot({f}, {f})|torch.copysign({f}, {f})|torch.lerp({f}, {f}, 0.3)|torch.addcmul({f}, {f}, {f}, value=0.5)
torch.div({t}, {n}, rounding_mode="floor")|torch.div({t}, -{n}, rounding_mode="trunc")|torch.floor_divide({t}, {n})
torch.bitwise_and({i}, {i})|{i} \\| {i}|{i} ^ {n}|~{i}|~{b}|{i} << 1|{i} >> 1|{b} & {b}|{b} ^ {b}|torch.logical_or({t}, {b})
{t} > {t}|{t} <= {n}|{t} == {t}|{t} != {n}|{i} >= {i}|torch.isclose({f}, {f})|{b}.logical_not()|{b} + {b}|{b} * {n}
{t}.abs()|-{t}|{f}.exp()|{f}.sin()|{f}.tanh()|{f}.sigmoid()|{f}.sqrt()|{f}.abs().log1p()|{f}.rsqrt()|{t}.sign()|{t}.square()
{f}.floor()|{f}.ceil()|{f}.round()|{f}.trunc()|{f}.frac()|{t}.relu()|torch.nn.functional.gelu({f})|torch.nn.functional.elu({f})
torch.nn.functional.silu({f})|torch.nn.functional.softplus({f})|torch.nn.functional.hardtanh({f})|{f}.erf()|{f}.cos()
{t}.clamp(-1, {n})|{t}.clamp(min=0.5)|{f}.clamp(max={f})|{t}.clamp_min({n})|torch.nan_to_num({f})
{t}.transpose(0, {d})|{t}.transpose(-1, -2)|{t}.permute({p})|{t}.movedim({d}, 0)|{t}.mT|{t}.flatten()|{t}.flatten({d})|{t}.reshape(-1)
{t}.reshape({t}.shape[0], -1)|{t}.unsqueeze({d})|{t}.unsqueeze(-1)|{t}.squeeze()|{t}.squeeze({d})|{t}[None]|{t}[..., None]|{t}[0]|{t}[-1]
{t}[:, {n}]|{t}[..., 1:]|{t}[1:]|{t}[:-1]|{t}[:, ::2]|{t}[..., ::2]|{t}[..., -2:]|{t}[::2]|{t}[:, 1:3]|{t}[..., 1::3]|{t}[:, None, 0]|{t}[-2:, ..., 0]
{t}.select({d}, 1)|{t}.narrow({d}, 1, {n})|{t}.diagonal()|{t}.diagonal(1, 0, {d})|{t}.unfold({d}, 2, {n})|{t}.flip({d})|{t}.flip(0, {d})
{t}.roll({n}, {d})|{t}.roll(-1)|{t}.rot90(1, (0, {d}))|{t}.repeat(2, 1, 1)|{t}.tile(2)|{t}.repeat_interleave(2, {d})|{t}.expand(2, *{t}.shape)
{t}.expand_as({t})|torch.broadcast_to({t}, (3, *{t}.shape))|{t}.view(-1)|{t}.unflatten(-1, (-1, 1))|{t}.contiguous().view({t}.shape[0], -1)
{t}.view_as({t})|{t}.swapaxes(0, {d})|{t}.T|torch.atleast_2d({t})|{t}.tril()|{t}.triu(1)|torch.diag_embed({t})|{t}.as_strided((2, 2), (1, 2))
{t}[{i} % {n}]|{t}[:, {i} % 2]|{t}[..., {i} % 2]|{t}[{i} % 2, {i} % 2]|{t}[{i} % 2, :, {i} % 2]|{t}[:, [1, 0, 1]]|{t}[[0, -1]]|{t}[..., [0, -2]]
{t}[{i}.flatten() % 2, 1:]|{t}[{i}.flatten()[0] % 2]|{t}.index_select({d}, {i}.flatten() % 2)|{t}.gather({d}, {i} % 2)|torch.take({t}, {i} % 4)
{t}.take_along_dim({i} % 2, {d})|torch.take_along_dim({t}, {t}.argsort({d}, stable=True), {d})|{t}.masked_fill({b}, {n})|{t}.masked_fill({b}, -1.5)
torch.where({b}, {t}, {t})|torch.where({t} > 0, {t}, {n})|torch.where({b}, 1.5, {t})|torch.where({b}, {n}, -1)|{t}.where({b}, {t})
{t}.scatter({d}, {i} % 2, {n})|{t}.scatter({d}, {i} % 2, {t})|{t}.scatter_add({d}, {i} % 2, {t})|{t}.index_add({d}, {i}.flatten() % 2, {t})
{t}.index_fill({d}, {i}.flatten() % 2, {n})|{t}.index_put(({i} % 2,), {t})|{t}.index_put(({i} % 2, {i} % 2), {t}, accumulate=True)|{t}.masked_scatter({b}, {t})
{t}.scatter_reduce({d}, {i} % 2, {t}, "amax")|{t}.scatter_reduce({d}, {i} % 2, {t}, "mean", include_self=False)|{t}.select_scatter({t}, {d}, 1)
{t}.slice_scatter({t}, {d}, 0, {n})|{t}.diagonal_scatter({t})
{t}.sum()|{t}.sum({d})|{t}.sum((0, {d}))|{t}.sum(-1, keepdim=True)|{f}.mean()|{f}.mean({d})|{f}.mean(-1, keepdim=True)|{t}.mean(0, dtype=torch.float32)
{t}.prod({d})|{t}.amax({d})|{t}.amin((0, {d}))|{t}.max()|{t}.max({d})[0]|{t}.min({d}, keepdim=True).indices|{t}.argmax({d})|{t}.argmin()|{t}.argmax(-1, keepdim=True)
{f}.std({d})|{f}.var()|{f}.var({d}, correction=0)|{f}.norm()|{f}.norm(1, {d})|{f}.logsumexp({d})|{t}.cumsum({d})|{t}.cumprod({d})|{t}.cummax({d})[0]
{t}.any()|{t}.all({d})|{t}.any({d}, keepdim=True)|{t}.count_nonzero({d})|{t}.aminmax(dim={d})[1]|{f}.median({d})[0]|torch.linalg.vector_norm({f}, 2, {d})
{t}.sort({d})[0]|{t}.sort({d}, descending=True, stable=True)[1]|{t}.topk({n}, {d})[0]|{t}.argsort(-1, descending=True, stable=True)|{t}.kthvalue({n}, {d})[0]|torch.diff({t}, dim={d})
{t}.split(2, {d})[0]|{t}.split((1, {t}.shape[{d}] - 1), {d})[1]|{t}.chunk(2, {d})[-1]|{t}.chunk(3, {d})[0]|{t}.tensor_split(2, {d})[1]|{t}.unbind({d})[-1]
torch.cat([{t}, {t}], {d})|torch.cat([{t}, {t}, {t}], -1)|torch.stack([{t}, {t}], {d})|torch.stack({t}.unbind({d}), -1)|torch.cat({t}.split(2, {d})[::-1], {d})|torch.hstack([{t}, {t}])
sum({t}.chunk(2, {d}))|torch.stack([x.sum() for x in {t}.unbind({d})])|torch.cat([{t}.flatten(), {t}.flatten()])|torch.meshgrid({t}.flatten()[:3], {t}.flatten()[:2], indexing="ij")[0]
{t}.float()|{t}.double()|{i}.int()|{i}.to(torch.uint8)|{i}.to(torch.int16)|{f}.long()|{f}.int()|{t}.bool()|{t}.to({t}.dtype)|{b}.long()|{b}.to(torch.int8)|{i}.float()|{t}.type_as({t})
{f}.softmax({d})|{f}.log_softmax(-1)|torch.nn.functional.layer_norm({f}, {f}.shape[-1:])|{f} @ {f}|{f} @ {f}.mT|torch.matmul({t}, {t})|torch.nn.functional.linear({f}, {f})
torch.einsum("i...,j...->ij...", {f}, {f})|torch.einsum("...i,...i->...", {f}, {f})|torch.outer({t}.flatten(), {t}.flatten()[:3])|torch.nn.functional.pad({t}, (1, 2))
torch.nn.functional.pad({t}, (-1, 1, 0, {n}), value=0.5)|torch.nn.functional.one_hot({i} % 4, 5)|torch.nn.functional.normalize({f}, dim={d})|torch.cdist({f}, {f})|torch.nn.functional.embedding({i} % 2, {f})
torch.nn.functional.avg_pool1d({f}, 2)|torch.nn.functional.max_pool1d({f}, 2, 1)|torch.nn.functional.interpolate({f}, scale_factor=2)|torch.nn.functional.glu({f}, {d})|torch.nn.functional.cosine_similarity({f}, {f}, {d})
torch.arange({t}.shape[{d}])|torch.arange({t}.shape[{d}], 0, -1) * 0.5|torch.zeros_like({t})|torch.full_like({t}, {n})|torch.ones({t}.shape[0], {n})|torch.full(({n}, 2), 1.5)|torch.eye({t}.shape[0])
{t}.new_zeros({t}.shape[-1])|{t}.new_full((2,), {n})|torch.linspace(0, 1, 5)|torch.tensor([1, -2, 3])|torch.tensor(2.5)|torch.tensor([True, False])|torch.tensor({n})|{t} * {t}.shape[0]|{t} + {t}.shape[{d}] * 0.5
{t}.clone()|{t}.detach()|{t} + 0|{t}.to(torch.float32) * 1|torch.searchsorted({f}.flatten().sort()[0], {f})|torch.bucketize({f}, torch.tensor([-0.5, 0.25, 1.0]))|{i}.bincount(minlength=3)|torch.vander({f}.flatten()[:3])
torch.isin({i}, {i})|torch.logical_xor({t}, {t})|torch.signbit({t})|torch.ldexp({f}, {i} % 3)|torch.heaviside({f}, {f})|torch.cross({f}, {f}, dim={d})|torch.tensordot({f}, {f}, dims=1)|torch.trapezoid({f}, dim={d})|torch.logcumsumexp({f}, {d})
"""  # noqa: E501
CHANGES = """
{t}.add_({t})|{t}.mul_({n})|{t}.sub_({t}, alpha={n})|{t}[..., 0] = {t}|{t}[:, ::2] *= {n}|{t}[1:] += {t}[:-1].clone()|{t}[0] = {n}|{t}[{b}] = {n}
{t}.clamp_(min=0)|{f}.sigmoid_()|{t}.zero_()|{t}[0].fill_({n})|{t}.masked_fill_({b}, {n})|{t}.copy_({t})|{t}[..., 1:].neg_()|{t}.transpose(0, -1)[0].mul_(2)
{t}.view(-1)[::2] = {n}|{t}[{i} % 2] = {t}|{t}[{i} % 2, 1:] = {n}|{t}.index_add_({d}, {i}.flatten() % 2, {t})|{t}.scatter_({d}, {i} % 2, {n})|{t}.unsqueeze_(0)|{t}.squeeze_()|{t}.t_()
{t}.diagonal().fill_({n})|{t}.relu_()|{t}[..., -1] -= {t}[..., 0]|{t} += {t}|{t}.index_fill_({d}, {i}.flatten() % 2, {n})|{t}.transpose_(0, {d})|{f}.div_({n})|{i}.floor_divide_({n})|{t}.select({d}, 0).add_({n})
"""  # noqa: E501


def _templates(text: str) -> list[str]:
    return [part.replace("\\\t", "|") for line in text.strip().splitlines()
            for part in line.replace("\\|", "\\\t").split("|")]  # fmt: skip


KINDS: dict[str, Callable[[Any], bool]] = {
    "t": lambda x: True,
    "f": lambda x: x.is_floating_point(),
    "i": lambda x: not x.is_floating_point() and x.dtype != torch.bool,
    "b": lambda x: x.dtype == torch.bool,
}


class Program:
    """The text of a program, its inputs, and its variables as they are after the last line."""

    def __init__(self, seed: int, lines: int) -> None:
        self.random, self.lines = Random(seed), list[str]()
        self.has_halves = self.random.random() < 0.15
        self.rtol = 5e-3 if self.has_halves else 1e-5
        self.inputs = self.made(np.random.default_rng(seed))
        self.values = self.run()
        for _ in range(lines):
            self.grow()
        made = [name for name in self.values if name not in self.inputs]
        self.outputs = sorted({*self.random.sample(made, min(3, len(made))), *made[-2:]})
        changed = [name for name in self.inputs if any(line.startswith(name) for line in self.lines)]
        self.outputs += changed

    def made(self, rng: np.random.Generator) -> dict[str, Any]:
        batch = self.random.choice([2, 3, 4])
        width, depth = self.random.choice([(5, 3), (4, 3), (6, 2), (3, 7)])
        shapes = [
            (batch, depth, width),
            (batch, depth, width),
            (batch, 1, width),
            (width,),
            (batch, width),
            (depth, 1),
            (),
        ]
        real = ["float32", "float32", "float64"] + ["float16"] * 2 * self.has_halves
        kinds = [*real[:1], self.random.choice(real), self.random.choice(real), "int64", "bool",
                 self.random.choice(["int32", "uint8", "int64", "int8"])]  # fmt: skip
        found = {}
        for name, kind in zip("abcxyz", kinds, strict=True):
            shape = self.random.choice(shapes[:2] if name == "a" else shapes)
            low, high = (0, 2) if kind == "bool" else (0, 9) if kind == "uint8" else (-6, 7)
            values = rng.uniform(-2, 2, shape) if kind.startswith("float") else rng.integers(low, high, shape)
            found[name] = torch.from_numpy(np.asarray(values).astype(kind))
        return found

    def text(self, lines: list[str], outputs: str) -> str:
        return "\n    ".join([f"def forward(self, {', '.join(self.inputs)}):", *lines, f"return {outputs}"])

    def forward(self, lines: list[str], outputs: str) -> Callable[..., Any]:
        space: dict[str, Any] = {"torch": torch}
        exec(self.text(lines, outputs), space)
        found: Callable[..., Any] = space["forward"]
        return found

    def run(self, more: str = "", noise: float = 0) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(0)
        given = {name: value.clone() for name, value in self.inputs.items()}
        for value in given.values():
            if noise and value.is_floating_point():
                value.mul_(1 + noise * torch.randn(value.shape, generator=generator).to(value.dtype))
        with torch.no_grad():
            values = self.forward([*self.lines, *([more] if more else [])], "locals()")(None, **given)
        return {name: value for name, value in values.items() if isinstance(value, torch.Tensor) and name != "self"}

    def grow(self) -> None:
        for _ in range(200):
            line = self.line()
            try:
                values = self.run(line)
                if all(map(is_tame, values.values())) and self.is_steady(values, self.run(line, self.rtol / 5)):
                    self.lines, self.values = [*self.lines, line], values
                    return
            except (RuntimeError, IndexError, TypeError, ValueError, NotImplementedError, SyntaxError, KeyError):
                continue

    def is_steady(self, values: dict[str, Any], noisy: dict[str, Any]) -> bool:
        return all(
            value.shape == noisy[name].shape and bool(
                (value.double() - noisy[name].double()).abs().max() <= 10 * self.rtol * value.double().abs().max()
            ) for name, value in values.items() if value.numel()
        )  # fmt: skip

    def line(self) -> str:
        if self.random.random() < 0.2:
            return self.filled(self.random.choice(_templates(CHANGES)))
        return f"v{len(self.lines)} = {self.filled(self.random.choice(_templates(VALUES)))}"

    def filled(self, template: str) -> str:
        """Recent variables come more often."""
        for mark, fits in KINDS.items():
            while f"{{{mark}}}" in template:
                names = [name for name, value in self.values.items() if fits(value)]
                if not names:
                    raise KeyError(mark)
                name = self.random.choice([*names, *names[-3:], *names[-2:]])
                template = template.replace(f"{{{mark}}}", name, 1)
        axes = self.random.sample(range(3), 3)
        template = template.replace("{p}", ", ".join(map(str, axes)))
        template = template.replace("{d}", str(self.random.choice([0, 1, -1, 2, -2])))
        return template.replace("{n}", str(self.random.choice([1, 2, 2, 3])))

    def exported(self, *, is_open: bool) -> Any:
        forward = self.forward(self.lines, f"{{{', '.join(f'{name!r}: {name}' for name in self.outputs)}}}")
        module = type("Random", (torch.nn.Module,), {"forward": forward})().eval()
        sizes = {name: ({0: torch.export.Dim.AUTO} if value.dim() else None) for name, value in self.inputs.items()}
        given = {name: value.clone() for name, value in self.inputs.items()}
        with torch.no_grad():
            return torch.export.export(module, (), given, dynamic_shapes=sizes if is_open else None)

    def feeds(self, graph: Any) -> Iterator[dict[str, Any]]:
        """The inputs themselves, and where sizes are open some of other sizes."""
        yield self.inputs
        symbols = {value.shape[0] for value in graph.inputs if value.shape and isinstance(value.shape[0], str)}
        for more in (1, 3) if symbols else ():
            sizes = {symbol: more + i + 2 for i, symbol in enumerate(sorted(symbols))}
            shapes = {value.name: value.shape for value in graph.inputs}
            yield {name: resized(value, sizes.get(shapes[name][0]) if shapes.get(name) else None)
                   for name, value in self.inputs.items()}  # fmt: skip


def is_tame(value: Any) -> bool:
    if value.is_complex() or value.numel() > LARGEST or value.dim() > 5:
        return False
    largest = value.double().abs().max().item() if value.numel() else 0
    return largest < LARGEST and (value.dtype != torch.uint8 or largest < 200)


def resized(value: Any, size: int | None) -> Any:
    if size is None:
        return value
    return value.repeat(-(-size // value.shape[0]), *[1] * (value.dim() - 1))[:size].clone()


def compare(found: np.ndarray, wanted: np.ndarray, rtol: float) -> str:
    """What is wrong, or nothing."""
    if found.dtype != wanted.dtype or found.shape != wanted.shape:
        return f"{found.dtype}{found.shape} instead of {wanted.dtype}{wanted.shape}"
    if wanted.dtype.kind != "f":
        return "" if np.array_equal(found, wanted) else "other integers"
    found, wanted = found.astype(np.float64), wanted.astype(np.float64)
    finite = np.isfinite(wanted)
    if not np.array_equal(found[~finite], wanted[~finite], equal_nan=True):
        return "NaN or infinity elsewhere"
    error = np.abs(found[finite] - wanted[finite]).max(initial=0) / max(np.abs(wanted[finite]).max(initial=0), 1e-3)
    return "" if error <= rtol else f"differs by {error:.1e} of the largest value"


def check(seed: int, folder: Path, *, is_open: bool, lines: int = 10) -> str:
    """What is wrong with a program, and its text; "" where nothing is, or where the program was refused."""
    program = Program(seed, lines)
    try:
        exported = program.exported(is_open=is_open)
    except Exception:  # torch can't export everything that it runs
        return ""
    path = folder / f"{seed}.pt2"
    torch.export.save(exported, path)
    text = program.text(program.lines, ", ".join(program.outputs))
    try:
        graph = netglot.load(path)
    except UnsupportedError as error:
        return f"REFUSED {error}\n{text}" if VERBOSE else ""
    runtime = OnnxRuntime(graph)
    module = exported.module()
    for feed in program.feeds(graph):
        try:
            with torch.no_grad():
                wanted = module(**{name: value.clone() for name, value in feed.items()})
        except (RuntimeError, AssertionError, IndexError, ValueError):
            continue  # these sizes are none that the program was exported for
        found = runtime.run({value.name: feed[value.name].numpy() for value in graph.inputs})
        for (name, value), output in zip(wanted.items(), graph.outputs, strict=True):
            wrong = compare(found[output.name], value.numpy(), program.rtol)
            if wrong:
                sizes = {key: tuple(item.shape) for key, item in feed.items()}
                return f"{name}: {wrong}\n{sizes}\n{text}"
    return ""


VERBOSE = False  # refusals are told too, to whoever runs more seeds
SEEDS = range(40)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_program(seed: int, tmp_path: Path) -> None:
    assert not check(seed, tmp_path, is_open=seed % 2 == 1)
