"""The report of a quantisation: reasons from synthetic figures, JSON there and back, and a page that no name breaks."""

from __future__ import annotations

import io
import json
import math
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from netglot.errors import ConversionError
from netglot.quantize.measure import Agreement, OutputAgreement
from netglot.quantize.reasons import percent, rounding_sqnr
from netglot.quantize.report import (
    CompressionRow,
    Kept,
    LayerRow,
    QuantizationReport,
    TensorRow,
)

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></style><svg/onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "[bold red]name[/]",
    "\x1b[2J\x07 clears the screen",
    "‮ reversed",
    "lone \udc80 surrogate",
    "javascript:alert(1)",
    "a\nb\rc",
]
VOID = {"meta", "rect", "line", "img", "br", "link", "input", "circle", "path"}


class Page(HTMLParser):
    """What a page holds; fails where elements are not closed in the order in which they were opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def row(name: str, sqnr: float, **figures: object) -> TensorRow:
    """An int8 tensor whose values fill its grid evenly."""
    usual = {
        "low": -1.0,
        "high": 1.0,
        "scale": 2 / 255,
        "dtype": "int8",
        "peaks": (0.9, 1.0),
        "within": 0.99,
        "rms": 0.5,
    }
    return TensorRow(name, sqnr=sqnr, **(usual | figures))  # type: ignore[arg-type]


def agreement(top1: float) -> Agreement:
    outputs = (
        OutputAgreement("prob", 31.5, 1 - top1, top1, (0.75, 0.74)),
        OutputAgreement("same", math.inf, 0.0),
    )
    return Agreement(outputs, 200)


def made(layers: int = 12) -> QuantizationReport:
    names = [f"layer{i}" for i in range(layers)]
    rows = [
        LayerRow(name, "Conv", f"net.prototxt:{i} layer '{name}'", "int8", 40.0 - i % 30, i / 1e5, 4000, 1000)
        for i, name in enumerate(names)
    ]
    rows[0] = LayerRow("softmax", "Softmax", "", "float32", math.inf, 0.0, 0, 0, "the target has no int8 kernel of it")
    tensors = [
        row(name, 40.0 - i % 30, inputs=tuple(names[max(i - 1, 0) : i]), layer=name) for i, name in enumerate(names)
    ]
    return QuantizationReport(
        "int8", "tflite", "mse", 200, 4000 * layers, 1000 * layers, rows, tensors,
        agreement(0.985), [Kept("layer3", "its channels differ", 0.25, 0.005)],
        {"fc6": "reaches 70,000"}, [CompressionRow("conv1_w", "palettize:4", 4000, 516, 0.6, 16)],
    )  # fmt: skip


def hostile() -> QuantizationReport:
    report = QuantizationReport(HOSTILE[0], HOSTILE[1], HOSTILE[2], 1, 10, 5)
    for name in HOSTILE:
        report.layers.append(LayerRow(name, name, name, name, 10.0, 0.1, 10, 5, name))
        report.tensors.append(row(name, 9.0, dtype=name, layer=name, inputs=tuple(HOSTILE), scale=math.nan))
        report.kept.append(Kept(name, name, 0.1, 0.0, name))
        report.half[name] = name
        report.compression.append(CompressionRow(name, name, 0, 0, 0.0, 1))
    report.agreement = Agreement(tuple(OutputAgreement(name, 9.0, 0.0, 1.0) for name in HOSTILE), 1)
    return report


def printed(report: QuantizationReport, width: int = 110) -> str:
    output = io.StringIO()
    report.print(Console(file=output, width=width, highlight=False, force_terminal=True, color_system=None))
    return output.getvalue()


def page(report: QuantizationReport, folder: Path) -> str:
    report.to_html(folder / "report.html")
    return (folder / "report.html").read_text(encoding="utf-8")


# ---------------------------------------------------------------------- reasons


def reasons(*rows: TensorRow) -> dict[str, str]:
    return {row.name: why for row, why in QuantizationReport("int8", "onnx", tensors=list(rows)).worst()}


def test_channels_of_one_scale() -> None:
    peaks = (300.0, 100.0, 10.0, 0.1)
    found = reasons(row("x", 8.0, peaks=peaks, low=-300, high=300, scale=1.0, rms=0.7))
    assert found["x"] == "channels differ 3,000-fold in range: one scale for all leaves the smallest 0.1 steps"


def test_channels_that_are_far_above_a_step_are_no_reason() -> None:
    assert "channels" not in reasons(row("x", 8.0, peaks=(1.0, 0.5, 0.1)))["x"]


def test_outliers() -> None:
    found = reasons(row("x", 10.0, low=0.0, high=100.0, scale=100 / 255, within=4.0, rms=0.5))
    assert found["x"] == "range is set by outliers: 99.9 % lie within 4 % of it"


def test_saturation() -> None:
    assert reasons(row("x", 15.0, high=2.0, saturation=0.008))["x"] == "0.8 % of values saturate"


@pytest.mark.parametrize(("high", "is_told"), [(0.9998, False), (2.0, True)])
def test_saturation_by_less_than_a_step_is_not_the_cause(high: float, is_told: bool) -> None:
    """The grid of a Softmax ends at 255/256: clipping a 1 costs next to nothing, what it was made of all the rest."""
    y = row("y", 22.5, low=0.0, high=high, scale=1 / 256, zero_point=-128, saturation=0.0125, rms=0.28,
            within=high, peaks=(high,), inputs=("x",))  # fmt: skip
    assert ("saturate" in reasons(row("x", 36.3), y)["y"]) == is_told


def test_few_levels() -> None:
    found = reasons(row("x", 10.0, low=-0.08, high=0.08, scale=0.02, rms=0.02, peaks=(0.08,), within=0.08))
    assert found["x"] == "few levels used: its values span 8 steps of its scale"


def test_what_follows_names_its_input_and_once_why_it_began() -> None:
    first = row("a", 12.0, high=2.0, saturation=0.02)
    found = reasons(first, row("b", 11.0, inputs=("a",)), row("c", 10.5, inputs=("b",)))
    assert found["a"] == "2 % of values saturate"
    assert found["b"] == "follows from its input 'a', which is at 12.0 dB already"
    assert (
        found["c"] == "follows from its input 'b', which is at 11.0 dB already; it began at 'a': 2 % of values saturate"
    )


def test_what_is_lost_altogether_is_said_so() -> None:
    lost = row("a", -math.inf, saturation=0.5)
    found = QuantizationReport("int8", "onnx", tensors=[lost, row("b", -math.inf, inputs=("a",))])
    assert {row.name: why for row, why in found.worst()} == {
        "a": "50 % of values saturate",
        "b": "follows from its input 'a', of which nothing is left",
    }
    assert "nothing left" in printed(found)


def test_its_own_grid_goes_before_a_bad_input() -> None:
    """Rounding alone would leave what was measured: the outlier is to blame, whatever came in."""
    spread = row("x", 4.0, low=0.0, high=100.0, scale=100 / 255, within=4.0, rms=0.2)
    assert rounding_sqnr(spread) == pytest.approx(4.9, abs=0.1)
    assert "outliers" in reasons(row("before", 5.0, saturation=0.1), spread)["x"]


def test_an_input_whose_small_channels_are_lost_is_blamed_though_its_own_sqnr_is_high() -> None:
    """The large channels hide it: 45 dB there, and 6 dB behind the layer that makes up for the scales."""
    wide = row(
        "wide", 45.0, low=-1e4, high=1e4, scale=80.0, peaks=tuple(10.0**i for i in range(5)), rms=4e3, within=9e3
    )
    assert reasons(wide, row("y", 6.0, inputs=("wide",)))["y"] == (
        "of its input 'wide' the channels differ 10,000-fold in range: one scale for all leaves the smallest "
        "0.013 steps"
    )


def test_weights() -> None:
    assert reasons(row("x", 15.0, weights_sqnr=16.0))["x"] == "the weights of its operator are at 16.0 dB"


def test_rounding_is_the_last_reason() -> None:
    small = row("x", 12.0, rms=1.2 * 2 / 255)
    assert reasons(small)["x"] == "rounding: its values are 1.2 steps in size (root mean square)"
    assert "its own rounding would leave 46.9 dB" in reasons(row("x", 20.0))["x"]


def test_tensors_that_feed_each_other_end() -> None:
    found = reasons(row("a", 5.0, inputs=("b",)), row("b", 5.0, inputs=("a",)), row("c", 5.0, inputs=("c", "nowhere")))
    assert "'b'" in found["a"]
    assert "'a'" in found["b"]
    assert "add up" in found["c"]


def test_the_worst_are_those_of_the_lowest_sqnr() -> None:
    some = [row(str(sqnr), sqnr) for sqnr in (30.0, math.nan, 5.0, math.inf, 17.0, -2.0)]
    report = QuantizationReport("int8", "onnx", tensors=some)
    assert [row.sqnr for row, _ in report.worst()] == [-2.0, 5.0, 17.0, 30.0]
    assert [row.sqnr for row, _ in report.worst(2)] == [-2.0, 5.0]


def test_shares_in_words() -> None:
    shares = (0.0, 0.0002, 0.008, 0.04, 0.4, 0.9955, 1.0, math.nan)
    assert [percent(share) for share in shares] == ["0 %", "0.02 %", "0.8 %", "4 %", "40 %", "99.55 %", "100 %", "–"]


# ------------------------------------------------------------------------- JSON


def test_json_there_and_back() -> None:
    report = made()
    report.tensors[3] = row("none", math.nan, scale=math.nan, peaks=(1.0, math.inf))
    text = json.dumps(report.to_dict(), allow_nan=False)
    again = QuantizationReport.from_dict(json.loads(text))
    assert json.dumps(again.to_dict(), allow_nan=False) == text
    assert again.layers == report.layers
    assert again.kept == report.kept
    assert again.compression == report.compression
    assert again.agreement == report.agreement
    assert again.agreement.sqnr["same"] == math.inf
    assert again.tensors[4] == report.tensors[4]
    assert again.tensors[3].peaks == (1.0, math.inf)
    assert math.isnan(again.tensors[3].sqnr)


def test_json_tells_the_agreement_in_short() -> None:
    found = made().to_dict()["agreement"]
    assert (found["top1"], found["sqnr"]) == (0.985, {"prob": 31.5, "same": "inf"})
    assert found["drop"] == pytest.approx(0.015)


def test_json_of_numbers_of_numpy() -> None:
    layer = LayerRow("a", "Conv", sqnr=np.float32(12.5), bytes_after=np.int64(7))  # type: ignore[arg-type]
    tensor = row("a", np.float64(3), peaks=np.float32([0.5, np.nan]), low=np.float32(-np.inf))  # type: ignore[arg-type]
    found = json.loads(json.dumps(QuantizationReport("int8", "onnx", layers=[layer], tensors=[tensor]).to_dict()))
    assert (found["layers"][0]["sqnr"], found["layers"][0]["bytes_after"]) == (12.5, 7)
    assert (found["tensors"][0]["peaks"], found["tensors"][0]["low"]) == ([0.5, None], "-inf")


def test_json_holds_the_worst_with_their_reasons() -> None:
    worst = made(40).to_dict()["worst"]
    assert len(worst) == 10
    assert worst[0]["sqnr"] == 11
    assert worst[0]["reason"]


# --------------------------------------------------------------------- terminal


def test_a_large_network_prints_forty_lines() -> None:
    report = made(3000)
    report.kept *= 50
    report.half = {f"tensor{i}": "reaches 70,000" for i in range(500)}
    text = printed(report)
    assert text.count("\n") <= 45
    assert "and 45 more" in text
    assert "and 495 more" in text
    assert "98.5 % of 200 samples keep their class" in text
    assert "4.00 times smaller" in text


def test_hostile_names_neither_style_nor_steer_the_terminal() -> None:
    text = printed(hostile())
    assert "\x1b[2J" not in text
    assert "\x07" not in text
    assert "‮" not in text
    assert "[bold red]name[/]" in text
    assert "\\x1b[2J" in text
    text.encode()


def test_nearly_all_is_not_all() -> None:
    report = made()
    report.agreement = agreement(0.9999)
    assert "99.9 % of 200" in printed(report)


# ------------------------------------------------------------------------- page


def test_the_page_is_whole_and_needs_nothing_else(tmp_path: Path) -> None:
    found = Page(page(made(), tmp_path))
    tags = {tag for tag, _ in found.tags}
    assert not tags & {"script", "img", "link", "iframe", "object", "embed", "foreignobject", "image"}
    links = [attributes["href"] for tag, attributes in found.tags if tag == "a"]
    places = {attributes["id"] for _, attributes in found.tags if "id" in attributes}
    assert links
    assert all(link and link.startswith("#") and link[1:] in places for link in links)
    assert [item["lang"] for tag, item in found.tags if tag == "html"] == ["en"]
    assert "default-src 'none'" in str(found.tags)


def test_the_page_shows_every_layer_with_its_picture(tmp_path: Path) -> None:
    found = Page(page(made(30), tmp_path))
    rows = [item["id"] for tag, item in found.tags if tag == "tr" and "id" in item]
    assert rows == [f"layer-{i}" for i in range(30)]
    assert (
        sum(tag == "svg" and item.get("class") == "bar" for tag, item in found.tags) == 30 * 4 - 2
    )  # one has no weights
    for text in ("layer29", "4 kB → 1 kB", "the target has no int8 kernel of it", "reaches 70,000", "palettize:4"):
        assert text in found.text


def test_every_picture_has_words_or_is_beside_them(tmp_path: Path) -> None:
    text = page(made(), tmp_path)
    pictures = [item for tag, item in Page(text).tags if tag == "svg" and item.get("class")]
    assert all(item.get("aria-hidden") == "true" or item.get("aria-label") for item in pictures)
    assert "The lowest is layer11 at 29.0 dB" in text


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    text = page(hostile(), tmp_path)
    found = Page(text)
    assert not {tag for tag, _ in found.tags} & {"script", "img"}
    assert not [name for _, item in found.tags for name in item if name.startswith("on")]
    assert all(str(item["href"]).startswith("#layer-") for tag, item in found.tags if tag == "a")
    assert "<script>alert(1)</script>" in found.text
    assert "{{ 7 * 7 }}" in found.text
    assert not {"\x1b", "\x07", "‮", "\r"} & set(text)


@pytest.mark.parametrize(
    "report", [QuantizationReport("", "cpp"), QuantizationReport("fp16", "coreml", half={"x": "y"})]
)
def test_what_was_not_measured_is_left_out(report: QuantizationReport, tmp_path: Path) -> None:
    assert "nan" not in Page(page(report, tmp_path)).text
    assert printed(report)


def test_an_existing_page_is_not_lost(tmp_path: Path) -> None:
    page(made(), tmp_path)
    with pytest.raises(ConversionError, match="exists"):
        made().to_html(tmp_path / "report.html")
    made(2).to_html(tmp_path / "report.html", force=True)
    assert [item.name for item in tmp_path.iterdir()] == ["report.html"]


def test_importing_the_report_imports_neither_jinja_nor_rich() -> None:
    import subprocess
    import sys

    code = "import sys, netglot.quantize.report; print({'jinja2', 'rich', 'numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"
