"""Modules whose code needs more than operators: what torch.jit.script makes of Python."""

from typing import Dict, List, NamedTuple, Optional, Tuple  # noqa: UP035  (torch.jit.script reads these)

import torch
from torch import Tensor, nn


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c1, self.b, self.r = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True)
        nn.init.uniform_(self.b.running_mean, -1, 1)
        nn.init.uniform_(self.b.running_var, 0.5, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.r(self.b(self.c1(x)))
        y += x
        return self.r(y)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.blocks = nn.Conv2d(3, 4, 3), nn.ModuleList([Block(), Block()])
        self.fc, self.drop = nn.Sequential(nn.Linear(4, 5), nn.Tanh())[0], nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        x = torch.nn.functional.adaptive_avg_pool2d(x, 1)
        return self.fc(self.drop(x.view(x.size(0), -1)))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.lstm, self.gru = nn.LSTM(4, 5, 2, bidirectional=True), nn.GRU(10, 3, batch_first=True)
        self.norm = nn.LayerNorm(3)

    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor, Tensor]:  # noqa: UP006
        y, (h, c) = self.lstm(x)
        y, _ = self.gru(y)
        return self.norm(y), h, c


def encoder() -> nn.Module:
    torch.manual_seed(0)
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2).eval()


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
        self.b.weight = self.a.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.relu(self.a(x)))


class Lists(nn.Module):
    def forward(self, x: Tensor):
        rows: List[Tensor] = []  # noqa: UP006
        for i, row in enumerate(x.unbind(0)):
            rows.append(row * i)
        rows.insert(0, x[0])
        rows[1] = rows[1] + 1
        last = rows.pop()
        table: Dict[str, Tensor] = {"last": last}  # noqa: UP006
        table["sum"] = torch.stack(rows).sum(0)
        sizes = [n * 2 for n in x.shape]
        if len(rows) > 2 and 6 in sizes:
            table["more"] = torch.cat([rows[-1], rows[0][1:]])
        total = 0
        for n in sizes:
            total += n // 3
        return table, torch.zeros([total, 2]), [key for key in table.keys()] == ["last", "sum", "more"]  # noqa: C416, SIM118


class Early(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if bool(x.sum() > 0):
            return x * 2
        for i in range(3):
            if bool(x[0, 0] > i - 2):
                return x + i
        return x - 1


class Break(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        for j in range(1, 10, 3):
            if j == 4:
                continue
            if j > 7:
                break
            x = x + j
        while True:
            x = x * 2
            if bool(x.abs().sum() > 100):
                break
        if x.size(0) > 3:
            return x
        return x + 1


class Data(nn.Module):
    def forward(self, x: Tensor) -> Dict[str, Tensor]:  # noqa: UP006
        y = torch.zeros(4)
        if bool(x.sum() > 0):
            y += x[0]
            n = 2
            k = x
        else:
            n = 3
            k = x + 1
        i = 0
        while bool(y.sum() < 20):
            y += n
            i += 1
        return {"y": y, "k": k * n, "i": torch.tensor(i)}


class Counted(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x.new_zeros(x.size(1))
        for i in range(x.size(0)):
            y = y + x[i] * i
        return y


class Strings(nn.Module):
    mode: str

    def __init__(self) -> None:
        super().__init__()
        self.mode = "max"

    def forward(self, x: Tensor) -> Tensor:
        text = f"{self.mode}/{x.size(0)}"
        print(text)
        if text == "max/3" and self.mode.startswith("m"):
            return torch.max(x, dim=1, keepdim=True)[0]
        return x


class Views(nn.Module):
    """What changes a part changes the whole, and what was read before it."""

    def forward(self, x: Tensor):
        y = x * 2
        z = y[:, 1:3]
        z += 1
        y[0] = 0.5
        w = y.view(-1)
        w[3] = 7.0
        t = y.t()
        t[1].mul_(3)
        a, b = y.split(2, 1)
        b.add_(a)
        y[:, ::2] *= 2
        y[:, -1] = y[:, 0]
        before = y.clone()
        y.narrow(1, 1, 2).fill_(0.25)
        return y, z, w, t, a, before


class Checks(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        assert x.dim() == 2, "two axes"
        if bool((x < 0).any()):
            raise ValueError("below zero")
        return torch.sqrt(x)


class Maker(nn.Module):
    def forward(self, x: Tensor):
        mask = torch.arange(x.size(1))[None] < torch.tensor([[1], [3], [2]])
        y = x.masked_fill(~mask, float("-inf")).softmax(-1)
        index = torch.tensor([[0, 1], [1, 0]])
        full = torch.full([2, x.size(0)], 1.5) / 2
        scaled = nn.functional.interpolate(x[None, None], scale_factor=2.0, mode="bilinear")
        return y, x.gather(0, index), full, scaled, x.to(torch.int64).to(x.dtype), x.std(1), x.var([0], unbiased=False)


class Result(NamedTuple):
    a: Tensor
    b: List[Tensor]  # noqa: UP006


class Named(nn.Module):
    def forward(self, x: Tensor):
        return {"first": x + 1}, {"second": Result(x * 2, [x - 1])}


class Optionally(nn.Module):
    def forward(self, x: Tensor, m: Optional[Tensor] = None, scale: float = 2.0) -> Tensor:  # noqa: UP045
        if m is not None:
            x = x * m
        return x * scale


class Pair(nn.Module):
    def forward(self, hx: Tuple[Tensor, Tensor]) -> Tensor:  # noqa: UP006
        return hx[0] + hx[1]


# ------------------------------------------------------------------------ refusals


class ListInLoop(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        rows = [x]
        while bool(rows[-1].sum() < 100):
            rows.append(rows[-1] + 10)
        return torch.stack(rows)


class Reshaped(nn.Module):
    """Whether reshape copies depends on strides."""

    def forward(self, x: Tensor) -> Tensor:
        y = x.t() * 2
        z = y.reshape(-1)
        z += 1
        return y


class KindOfBranch(nn.Module):
    def forward(self, x: Tensor) -> Optional[Tensor]:  # noqa: UP045
        y: Optional[Tensor] = None  # noqa: UP045
        if bool(x.sum() > 0):
            y = x
        return y


class Resized(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x + 1
        y.unsqueeze_(0)
        return y


class Endless(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        n = 1
        while n > 0:
            n = n + 1
        return x * n


class Raises(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.size(0) < 10:
            raise ValueError("too small")
        return x


class Unsupported(nn.Module):
    def forward(self, x: Tensor):
        y = torch.matrix_exp(x) + 1
        return torch.geqrf(x), y * 2
