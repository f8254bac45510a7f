"""PyTorch networks with random weights and statistics, for the tests and the benchmarks."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

Made = tuple[Any, tuple[Any, ...]]  # a module, and example arguments


@cache
def torchvision() -> Any:
    """torchvision without its compiled operators, whose names it asks torch for when it is imported."""
    torch = pytest.importorskip("torch")
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            library.impl(name, suppressed, "CPU")
    _KEPT.append(library)  # a library that is dropped takes its operators with it
    return pytest.importorskip("torchvision", exc_type=ImportError)


_KEPT: list[Any] = []


def suppressed(boxes: Any, scores: Any, iou_threshold: float) -> Any:
    """Greedy non-maximum suppression, as torchvision documents it: the indices of what is kept, best first."""
    torch = pytest.importorskip("torch")
    kept: list[int] = []
    for i in torch.argsort(scores, descending=True, stable=True).tolist():
        if all(_overlap(boxes[i].tolist(), boxes[j].tolist()) <= iou_threshold for j in kept):
            kept.append(i)
    return torch.tensor(kept, dtype=torch.int64)


def _overlap(a: list[float], b: list[float]) -> float:
    """Intersection over union of two boxes x1, y1, x2, y2."""
    sides = [max(0.0, min(a[2 + k], b[2 + k]) - max(a[k], b[k])) for k in (0, 1)]
    both = sides[0] * sides[1]
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def randomised(module: Any, size: int = 0) -> Any:
    """`module` in evaluation mode, with statistics and scales that no mistake hides behind.

    Normalisations get the statistics of what they see of random images of `size`: with made-up ones (which they get
    without a size) the signal may die on its way, and what comes out are the biases, whatever went in.
    """
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(1)
    for parameter in module.parameters():  # zeros and constants hide what is computed with them
        if parameter.numel() > 1 and bool((parameter == parameter.flatten()[0]).all()):
            parameter.data = parameter.data.clamp(0.5) * torch.empty_like(parameter).uniform_(
                -1, 1, generator=generator
            )
    norms = [part for part in module.modules() if isinstance(part, torch.nn.modules.batchnorm._BatchNorm)]
    for part in norms:
        for tensor, low, high in ((part.running_mean, -0.3, 0.3), (part.running_var, 0.6, 1.6)):
            tensor.uniform_(low, high, generator=generator)
        if part.affine:
            part.weight.data.uniform_(0.7, 1.3, generator=generator)
            part.bias.data.uniform_(-0.2, 0.2, generator=generator)
    module.eval()
    return _settled(module, norms, size) if norms and size else module


def _settled(module: Any, norms: list[Any], size: int) -> Any:
    """`module` with the statistics of eight random images in its normalisations."""
    import torch

    for part in norms:
        part.train()
        part.momentum = 1.0
    with torch.no_grad():
        module(_image(size, 8)[0])
    for part in norms:
        part.running_var.clamp_(min=0.01 * float(part.running_var.mean()))  # a dead channel is not divided by nothing
        part.weight.data.mul_(0.87)  # what is as large as it came magnifies every rounding on its way through
    return module.eval()


def _image(size: int, batch: int = 1) -> tuple[Any, ...]:
    torch = pytest.importorskip("torch")
    return (torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(2)),)


def _vision(name: str, size: int, **options: Any) -> Callable[[], Made]:
    def make() -> Made:
        models = torchvision().models
        family = models.segmentation if name.startswith("fcn") else models
        return randomised(getattr(family, name)(weights=None, **options), size), _image(size)

    return make


def _tokens(*shape: int, high: int = 90) -> Any:
    torch = pytest.importorskip("torch")
    return torch.randint(3, high, shape, generator=torch.Generator().manual_seed(3))


def _transformers() -> Any:
    torchvision()  # transformers imports it where it is installed
    return pytest.importorskip("transformers")


_SMALL = {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
          "intermediate_size": 37, "max_position_embeddings": 64}  # fmt: skip


def _bert() -> Made:
    hf = _transformers()
    torch = pytest.importorskip("torch")
    mask = torch.ones(2, 7, dtype=torch.int64)
    mask[1, 4:] = 0
    return _Only(hf.BertModel(hf.BertConfig(**_SMALL)), "last_hidden_state", "pooler_output"), (_tokens(2, 7), mask)


def _distilbert() -> Made:
    hf = _transformers()
    config = hf.DistilBertConfig(vocab_size=99, dim=32, n_layers=2, n_heads=4, hidden_dim=37)
    return _Only(hf.DistilBertModel(config), "last_hidden_state"), (_tokens(2, 7),)


def _gpt2() -> Made:
    hf = _transformers()
    config = hf.GPT2Config(vocab_size=99, n_embd=32, n_layer=2, n_head=4, n_positions=64)
    return _Only(hf.GPT2LMHeadModel(config), "logits", use_cache=False), (_tokens(2, 7),)


def _vit() -> Made:
    hf = _transformers()
    sizes = {key: _SMALL[key] for key in ("hidden_size", "num_hidden_layers", "num_attention_heads")}
    config = hf.ViTConfig(**sizes, intermediate_size=37, image_size=30, patch_size=10)
    return _Only(hf.ViTModel(config), "last_hidden_state", "pooler_output"), _image(30)


def _whisper(part: str) -> Made:
    hf = _transformers()
    torch = pytest.importorskip("torch")
    config = hf.WhisperConfig(
        vocab_size=99, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=37, decoder_ffn_dim=37, num_mel_bins=8, max_source_positions=20,
        max_target_positions=24, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
    )  # fmt: skip
    model = hf.WhisperModel(config)
    if part == "encoder":
        return _Only(model.encoder, "last_hidden_state"), (torch.randn(2, 8, 40),)
    return _Decoder(model.decoder), (_tokens(2, 5), torch.randn(2, 20, 32))


def _clip() -> Made:
    hf = _transformers()
    text = {**_SMALL, "num_hidden_layers": 2, "eos_token_id": 98, "bos_token_id": 97}
    sizes = {key: _SMALL[key] for key in ("hidden_size", "num_hidden_layers", "num_attention_heads")}
    vision = {**sizes, "intermediate_size": 37, "image_size": 30, "patch_size": 10}
    config = hf.CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)
    tokens = _tokens(2, 7)
    tokens[:, -1] = 98
    return _Only(hf.CLIPModel(config), "logits_per_image", "text_embeds", "image_embeds"), (tokens, *_image(30))


def _module(build: Callable[[Any], type]) -> type:
    return build(pytest.importorskip("torch"))


def _Only(model: Any, *names: str, **options: Any) -> Any:  # noqa: N802
    """A module that gives out these fields of what the model of transformers gives out."""
    torch = pytest.importorskip("torch")
    order = ["pixel_values" if "vit" in type(model).__name__.lower() else
             "input_features" if "encoder" in type(model).__name__.lower() else "input_ids"]  # fmt: skip
    order += ["pixel_values"] if "clip" in type(model).__name__.lower() else ["attention_mask"]

    class Only(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, first: Any, second: Any = None) -> Any:
            given = {order[0]: first} | ({order[1]: second} if second is not None else {})
            result = self.model(**given, return_dict=True, **options)
            return {name: getattr(result, name) for name in names}

    return Only().eval()


def _Decoder(decoder: Any) -> Any:  # noqa: N802
    """One step of Whisper's decoder without a cache: tokens so far, and what the encoder heard."""
    torch = pytest.importorskip("torch")

    class Decoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.decoder = decoder

        def forward(self, tokens: Any, heard: Any) -> Any:
            return self.decoder(input_ids=tokens, encoder_hidden_states=heard, use_cache=False).last_hidden_state

    return Decoder().eval()


def _tagger() -> Made:
    torch = pytest.importorskip("torch")

    class Tagger(torch.nn.Module):
        """A bidirectional LSTM of two layers over embedded words; a score for every tag of every word."""

        def __init__(self) -> None:
            super().__init__()
            self.words = torch.nn.Embedding(50, 12)
            self.lstm = torch.nn.LSTM(12, 9, num_layers=2, bidirectional=True, batch_first=True)
            self.tags = torch.nn.Linear(18, 5)

        def forward(self, words: Any) -> Any:
            hidden, _ = self.lstm(self.words(words))
            return torch.log_softmax(self.tags(hidden), -1)

    return Tagger().eval(), (_tokens(2, 6, high=50),)


def _unet() -> Made:
    torch = pytest.importorskip("torch")
    nn = torch.nn

    def block(inside: int, outside: int) -> Any:
        return nn.Sequential(
            nn.Conv2d(inside, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU(inplace=True),
            nn.Conv2d(outside, outside, 3, padding=1), nn.BatchNorm2d(outside), nn.LeakyReLU(0.1, inplace=True),
        )  # fmt: skip

    class UNet(nn.Module):
        """Two steps down by pooling, two up: one by a transposed convolution, one by interpolation."""

        def __init__(self) -> None:
            super().__init__()
            self.down1, self.down2, self.bottom = block(3, 8), block(8, 12), block(12, 16)
            self.up2, self.up1 = nn.ConvTranspose2d(16, 12, 2, stride=2), nn.Conv2d(12, 8, 1)
            self.join2, self.join1, self.head = block(24, 12), block(16, 8), nn.Conv2d(8, 4, 1)

        def forward(self, x: Any) -> Any:
            one = self.down1(x)
            two = self.down2(nn.functional.max_pool2d(one, 2))
            deep = self.bottom(nn.functional.max_pool2d(two, 2))
            up = self.join2(torch.cat([self.up2(deep), two], 1))
            up = nn.functional.interpolate(up, scale_factor=2, mode="bilinear", align_corners=False)
            return torch.softmax(self.head(self.join1(torch.cat([self.up1(up), one], 1))), 1)

    return randomised(UNet(), 44), _image(44)


def _detector() -> Made:
    torch = pytest.importorskip("torch")
    nn = torch.nn
    torchvision()

    class Detector(nn.Module):
        """As YOLO: a grid of anchored boxes at two strides, decoded, and the best by non-maximum suppression."""

        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 12, 3, 2, 1), nn.BatchNorm2d(12), nn.SiLU())
            self.deep = nn.Sequential(nn.Conv2d(12, 20, 3, 2, 1), nn.BatchNorm2d(20), nn.SiLU())
            self.heads = nn.ModuleList([nn.Conv2d(12, 2 * 8, 1), nn.Conv2d(20, 2 * 8, 1)])
            self.register_buffer("anchors", torch.tensor([[[3.0, 5.0], [6.0, 4.0]], [[9.0, 8.0], [12.0, 15.0]]]))

        def decode(self, raw: Any, level: int) -> Any:
            batch, _, height, width = raw.shape
            raw = raw.view(batch, 2, 8, height, width).permute(0, 1, 3, 4, 2).sigmoid()
            y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
            grid = torch.stack([x, y], -1).to(raw.dtype)
            centre = (raw[..., :2] * 2 - 0.5 + grid) * 2 ** (level + 1)
            size = (raw[..., 2:4] * 2) ** 2 * self.anchors[level][None, :, None, None]
            boxes = torch.cat([centre - size / 2, centre + size / 2, raw[..., 4:]], -1)
            return boxes.reshape(batch, -1, 8)

        def forward(self, x: Any) -> Any:
            one = self.stem(x)
            levels = (one, self.deep(one))
            found = torch.cat([self.decode(head(level), i) for i, (head, level) in
                               enumerate(zip(self.heads, levels, strict=True))], 1)[0]  # fmt: skip
            scores, labels = (found[:, 4:5] * found[:, 5:]).max(1)
            scores, order = scores.topk(40)
            boxes, labels = found[order, :4], labels[order]
            keep = torch.ops.torchvision.nms(boxes, scores, 0.45)
            return {"boxes": boxes[keep], "scores": scores[keep], "labels": labels[keep]}

    return randomised(Detector(), 36), _image(36)


NETWORKS: dict[str, Callable[[], Made]] = {
    "resnet18": _vision("resnet18", 64), "resnet50": _vision("resnet50", 64),
    "mobilenet_v2": _vision("mobilenet_v2", 64), "mobilenet_v3_small": _vision("mobilenet_v3_small", 64),
    "efficientnet_b0": _vision("efficientnet_b0", 64), "densenet121": _vision("densenet121", 64),
    "shufflenet_v2": _vision("shufflenet_v2_x1_0", 64), "convnext_tiny": _vision("convnext_tiny", 64),
    "vit_b_16": _vision("vit_b_16", 64, image_size=64), "swin_t": _vision("swin_t", 64),
    "fcn_resnet50": _vision("fcn_resnet50", 64, weights_backbone=None),
    "bert": _bert, "distilbert": _distilbert, "gpt2": _gpt2, "vit": _vit,
    "whisper_encoder": lambda: _whisper("encoder"), "whisper_decoder": lambda: _whisper("decoder"), "clip": _clip,
    "lstm_tagger": _tagger, "unet": _unet, "detector": _detector,
}  # fmt: skip
