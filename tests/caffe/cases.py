"""The table of one-layer Caffe networks whose outputs are known.

A row is a network so small that one wrong axis, stride or constant shows in its output. `make_goldens.py` has each row
computed by its oracle (real Caffe, OpenCV, or `fork_reference.py`) and writes the answers to `goldens/`; the tests only
read the table and the answers. Shapes are odd and unequal (H != W, N = 2), so that a transposition can't pass.

This file is read by Python 3.9 (Caffe's) too, and imports nothing but the standard library.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

Shape = tuple[int, ...]

IMAGE = {"data": (2, 3, 5, 7)}
MATRIX = {"data": (4, 6)}


@dataclass(frozen=True)
class Case:
    """One network and how its inputs and weights are drawn.

    `layers` is the prototxt after the inputs. `head` replaces the Input layers that `inputs` would give. `values` says
    how an input is drawn (see `draw` in make_goldens.py), uniform in [low, high) if it says nothing. `weights` says
    how a layer's blobs are drawn; for layers that Caffe does not know it also gives their shapes, as (shape, kind).
    `deploy` is the network that the oracle runs when `layers` is a training net, which has no answer of its own.
    """

    name: str
    layers: str
    inputs: dict[str, Shape] = field(default_factory=lambda: dict(IMAGE))
    oracle: str = "caffe"
    low: float = -2.0
    high: float = 2.0
    values: dict[str, str] = field(default_factory=dict)
    weights: dict[str, tuple] = field(default_factory=dict)
    head: str | None = None
    deploy: str | None = None
    stages: tuple[str, ...] = ()
    level: int = 0
    save: bool = True  # False: no weights file, the fillers of the prototxt are the weights
    binary: str = "caffe"  # "hdf5", an encoding of wire.py, or Caffe's own
    constant: bool = False  # a constant output is the point
    reference: str = ""  # the function of fork_reference.py, for layers that BVLC's Caffe does not have
    arguments: dict[str, object] = field(default_factory=dict)  # of that function
    outputs: tuple[str, ...] = ("out",)  # the blobs that it returns
    tolerance: float = 1e-5  # relative to the output's scale

    @property
    def seed(self) -> int:
        return zlib.crc32(self.name.encode())

    @property
    def prototxt(self) -> str:
        return f'name: "{self.name}"\n{self.input_text}{self.layers}'

    @property
    def oracle_prototxt(self) -> str:
        """What the oracle runs: the deploy form, where the case is a training net."""
        if self.deploy is None:
            return self.prototxt
        return f'name: "{self.name}"\n{"".join(input_layer(*item) for item in self.inputs.items())}{self.deploy}'

    @property
    def input_text(self) -> str:
        if self.head is not None:
            return self.head
        return "".join(input_layer(*item) for item in self.inputs.items())


def input_layer(name: str, shape: Shape) -> str:
    dims = " ".join(f"dim: {size}" for size in shape)
    return f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}\n'


def blobs(field_name: str, names: str) -> str:
    return "".join(f' {field_name}: "{name}"' for name in names.split())


def layer(kind: str, bottom: str = "data", top: str = "out", params: str = "", name: str = "") -> str:
    """One layer's text; `bottom` and `top` are blob names with spaces between them."""
    title = name or (top.split() or [kind])[0]
    ends = blobs("bottom", bottom) + blobs("top", top)
    return f'layer {{ name: "{title}" type: "{kind}"{ends}{" " if params else ""}{params} }}\n'


def v1(kind: str, bottom: str, top: str, params: str = "", name: str = "") -> str:
    """A V1LayerParameter: the field is `layers` and the type is an enumerator."""
    ends = blobs("bottom", bottom) + blobs("top", top)
    return f'layers {{ name: "{name or top.split()[0]}" type: {kind}{ends}{" " if params else ""}{params} }}\n'


def v0(kind: str, bottom: str, top: str, params: str = "", name: str = "") -> str:
    """A V0LayerParameter: all fields of the layer in a nested `layer`, the blobs outside."""
    ends = blobs("bottom", bottom) + blobs("top", top)
    return f'layers {{ layer {{ name: "{name or top.split()[0]}" type: "{kind}" {params} }}{ends} }}\n'


# The tables keep a case to a line or two:
# fmt: off

# Neuron layers: one value in, one value out.

NEURONS = [
    Case("absval", layer("AbsVal")),
    Case("bnll", layer("BNLL"), low=-60, high=60),
    Case("clip", layer("Clip", params="clip_param { min: -0.5 max: 1.25 }")),
    Case("dropout", layer("Dropout", params="dropout_param { dropout_ratio: 0.7 }")),
    Case("elu", layer("ELU")),
    Case("elu_alpha", layer("ELU", params="elu_param { alpha: 0.3 }")),
    Case("exp", layer("Exp")),
    Case("exp_base", layer("Exp", params="exp_param { base: 2.5 scale: -0.5 shift: 0.75 }")),
    Case("exp_shift", layer("Exp", params="exp_param { scale: 0.5 shift: -1 }")),
    Case("log", layer("Log"), low=0.1, high=9),
    Case("log_base", layer("Log", params="log_param { base: 10 scale: 2 shift: 3 }"), low=-1.2, high=5),
    Case("log_scale", layer("Log", params="log_param { scale: 0.5 shift: 2 }"), low=-3, high=5),
    Case("power", layer("Power"), low=0.1),
    Case("power_square", layer("Power", params="power_param { power: 2 scale: -1.5 shift: 0.25 }")),
    Case("power_cube", layer("Power", params="power_param { power: 3 scale: 0.5 shift: -0.5 }")),
    Case("power_inverse", layer("Power", params="power_param { power: -1 shift: 3 }")),
    Case("power_root", layer("Power", params="power_param { power: 0.5 scale: 2 shift: 5 }")),
    Case("power_linear", layer("Power", params="power_param { scale: 0.0078125 shift: -0.99 }"), low=0, high=255),
    Case("power_zero", layer("Power", params="power_param { power: 0 scale: 3 shift: 5 }"), constant=True),
    Case("power_zero_scale", layer("Power", params="power_param { power: 2 scale: 0 shift: 3 }"), constant=True),
    Case("prelu", layer("PReLU")),
    Case("prelu_shared", layer("PReLU", params="prelu_param { channel_shared: true }")),
    Case("prelu_matrix", layer("PReLU"), MATRIX),
    Case("prelu_sequence", layer("PReLU"), {"data": (2, 3, 5)}),
    Case("relu", layer("ReLU")),
    Case("relu_negative_slope", layer("ReLU", params="relu_param { negative_slope: 0.1 }")),
    Case("relu_engine", layer("ReLU", params="relu_param { engine: CAFFE }"), MATRIX),
    Case("sigmoid", layer("Sigmoid"), low=-9, high=9),
    Case("swish", layer("Swish"), low=-6, high=6),
    Case("swish_beta", layer("Swish", params="swish_param { beta: 1.7 }"), low=-6, high=6),
    Case("tanh", layer("TanH")),
    Case("threshold", layer("Threshold")),
    Case("threshold_value", layer("Threshold", params="threshold_param { threshold: 0.5 }")),
    Case("threshold_equal", layer("Threshold", params="threshold_param { threshold: 1 }"),
         values={"data": "integers -2 3"}),
]

# ArgMax sorts (value, index) pairs downwards: of equal values the *last* index comes first.

ARGMAX = [
    Case("argmax", layer("ArgMax")),
    Case("argmax_matrix", layer("ArgMax"), MATRIX),
    Case("argmax_top_k", layer("ArgMax", params="argmax_param { top_k: 4 }")),
    Case("argmax_values", layer("ArgMax", params="argmax_param { out_max_val: true }")),
    Case("argmax_values_top_k", layer("ArgMax", params="argmax_param { out_max_val: true top_k: 3 }")),
    Case("argmax_values_matrix", layer("ArgMax", params="argmax_param { out_max_val: true top_k: 2 }"), MATRIX),
    Case("argmax_axis", layer("ArgMax", params="argmax_param { axis: 1 }")),
    Case("argmax_axis_last_top_k", layer("ArgMax", params="argmax_param { axis: -1 top_k: 2 }")),
    Case("argmax_axis_values", layer("ArgMax", params="argmax_param { axis: 2 out_max_val: true top_k: 3 }")),
    Case("argmax_axis_zero", layer("ArgMax", params="argmax_param { axis: 0 }")),
    Case("argmax_ties", layer("ArgMax", params="argmax_param { axis: 3 top_k: 2 }"), values={"data": "integers 0 3"}),
    Case("argmax_ties_flat", layer("ArgMax", params="argmax_param { top_k: 9 }"), values={"data": "integers 0 3"}),
]

# BatchNorm's third blob is the factor by which the two statistics are still multiplied.

NORMALISATION = [
    Case("batchnorm", layer("BatchNorm")),
    Case("batchnorm_global", layer("BatchNorm", params="batch_norm_param { use_global_stats: true }")),
    Case("batchnorm_eps", layer("BatchNorm", params="batch_norm_param { use_global_stats: true eps: 0.25 }")),
    Case("batchnorm_batch_statistics",
         layer("BatchNorm", params="batch_norm_param { use_global_stats: false eps: 0.01 }")),
    Case("batchnorm_zero_factor", layer("BatchNorm", params="batch_norm_param { eps: 0.5 }"),
         weights={"out": ("normal", "variance", "zero")}),
    Case("batchnorm_matrix", layer("BatchNorm"), MATRIX),
    Case("batchnorm_sequence", layer("BatchNorm"), {"data": (2, 3, 5)}),
    Case("batchnorm_volume", layer("BatchNorm"), {"data": (2, 3, 2, 4, 5)}),
    Case("batchnorm_scale",
         layer("BatchNorm", top="bn", params="param { lr_mult: 0 } param { lr_mult: 0 } param { lr_mult: 0 }")
         + layer("Scale", "bn", "out", "scale_param { bias_term: true }")),
    Case("lrn", layer("LRN"), {"data": (2, 7, 3, 4)}),
    Case("lrn_size", layer("LRN", params="lrn_param { local_size: 3 alpha: 0.5 beta: 0.6 k: 2 }"),
         {"data": (2, 7, 3, 4)}),
    Case("lrn_wide", layer("LRN", params="lrn_param { local_size: 7 alpha: 2 beta: 1 k: 0.5 }")),
    Case("lrn_alexnet", layer("LRN", params="lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }"),
         {"data": (2, 7, 3, 4)}, low=-200, high=200),
    Case("lrn_within", layer("LRN", params="lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 }")),
    Case("lrn_within_k",
         layer("LRN", params="lrn_param { norm_region: WITHIN_CHANNEL local_size: 5 alpha: 2 beta: 0.5 k: 7 }")),
    Case("mvn", layer("MVN")),
    Case("mvn_mean_only", layer("MVN", params="mvn_param { normalize_variance: false }")),
    Case("mvn_across", layer("MVN", params="mvn_param { across_channels: true }")),
    Case("mvn_across_mean_only",
         layer("MVN", params="mvn_param { across_channels: true normalize_variance: false }"), low=1),
    Case("mvn_eps", layer("MVN", params="mvn_param { eps: 0.5 }")),
    Case("mvn_sequence", layer("MVN"), {"data": (2, 3, 5)}),
    Case("softmax", layer("Softmax"), low=-6, high=6),
    Case("softmax_matrix", layer("Softmax"), MATRIX),
    Case("softmax_axis", layer("Softmax", params="softmax_param { axis: 2 }"), low=-6, high=6),
    Case("softmax_axis_last", layer("Softmax", params="softmax_param { axis: -1 }"), low=-6, high=6),
    Case("softmax_axis_zero", layer("Softmax", params="softmax_param { axis: 0 }"), low=-6, high=6),
    Case("softmax_large", layer("Softmax"), low=-300, high=300),
]

# Bias and Scale: a small blob broadcast against the axes from `axis` on.


def two(kind: str, params: str = "") -> str:
    return layer(kind, "data factor", "out", params)


BROADCAST = [
    Case("bias", layer("Bias")),
    Case("bias_axis_zero", layer("Bias", params="bias_param { axis: 0 }")),
    Case("bias_axis_last", layer("Bias", params="bias_param { axis: -1 }")),
    Case("bias_axes", layer("Bias", params="bias_param { axis: 1 num_axes: 2 }")),
    Case("bias_axes_rest", layer("Bias", params="bias_param { axis: 2 num_axes: -1 }")),
    Case("bias_scalar", layer("Bias", params="bias_param { num_axes: 0 }")),
    Case("bias_two_bottoms", two("Bias"), {**IMAGE, "factor": (3,)}),
    Case("bias_two_bottoms_axes", two("Bias", "bias_param { axis: 0 }"), {**IMAGE, "factor": (2, 3)}),
    Case("bias_two_bottoms_axis", two("Bias", "bias_param { axis: 2 }"), {**IMAGE, "factor": (5, 7)}),
    Case("bias_two_bottoms_scalar", two("Bias"), {**IMAGE, "factor": ()}),
    Case("scale", layer("Scale")),
    Case("scale_bias", layer("Scale", params="scale_param { bias_term: true }")),
    Case("scale_axis_zero", layer("Scale", params="scale_param { axis: 0 bias_term: true }")),
    Case("scale_axis_last", layer("Scale", params="scale_param { axis: -1 bias_term: true }")),
    Case("scale_axes", layer("Scale", params="scale_param { axis: 1 num_axes: 2 bias_term: true }")),
    Case("scale_axes_rest", layer("Scale", params="scale_param { axis: 2 num_axes: -1 }")),
    Case("scale_scalar", layer("Scale", params="scale_param { num_axes: 0 bias_term: true }")),
    Case("scale_matrix", layer("Scale", params="scale_param { bias_term: true }"), MATRIX),
    Case("scale_two_bottoms", two("Scale"), {**IMAGE, "factor": (3,)}),
    Case("scale_two_bottoms_axes", two("Scale", "scale_param { axis: 0 }"), {**IMAGE, "factor": (2, 3)}),
    Case("scale_two_bottoms_axis", two("Scale", "scale_param { axis: -2 }"), {**IMAGE, "factor": (5, 7)}),
    Case("scale_two_bottoms_bias", two("Scale", "scale_param { bias_term: true }"), {**IMAGE, "factor": (3,)}),
    Case("scale_two_bottoms_bias_axes", two("Scale", "scale_param { axis: 0 bias_term: true }"),
         {**IMAGE, "factor": (2, 3)}),
    Case("scale_two_bottoms_scalar", two("Scale"), {**IMAGE, "factor": ()}),
    Case("scale_two_bottoms_same_shape", two("Scale", "scale_param { axis: 0 }"), {**IMAGE, "factor": (2, 3, 5, 7)}),
    # no weights file: the fillers speak (a Scale's default filler is one, a bias's zero)
    Case("scale_filler", layer("Scale", params="scale_param { filler { value: 0.5 } bias_term: true "
                                                "bias_filler { value: -0.25 } }"), save=False),
    Case("scale_filler_default", layer("Scale", params="scale_param { bias_term: true }"), save=False),
    Case("prelu_filler_default", layer("PReLU"), save=False),
]


# Convolution. `conv` writes a convolution_param.


def conv(params: str, kind: str = "Convolution", bottom: str = "data", top: str = "out") -> str:
    return layer(kind, bottom, top, f"convolution_param {{ {params} }}")


FOUR = {"data": (2, 4, 5, 7)}

CONVOLUTION = [
    Case("conv", conv("num_output: 4 kernel_size: 3")),
    Case("conv_no_bias", conv("num_output: 4 kernel_size: 3 bias_term: false")),
    Case("conv_1x1", conv("num_output: 5 kernel_size: 1")),
    Case("conv_1x1_stride", conv("num_output: 5 kernel_size: 1 stride: 2")),
    Case("conv_stride", conv("num_output: 2 kernel_size: 3 stride: 2")),
    Case("conv_pad", conv("num_output: 2 kernel_size: 3 pad: 1")),
    Case("conv_pad_stride", conv("num_output: 2 kernel_size: 3 pad: 2 stride: 2")),
    Case("conv_dilation", conv("num_output: 2 kernel_size: 3 dilation: 2 pad: 2")),
    Case("conv_dilation_stride", conv("num_output: 2 kernel_size: 2 dilation: 3 pad: 1 stride: 2")),
    Case("conv_group", conv("num_output: 6 kernel_size: 3 group: 2 pad: 1"), FOUR),
    Case("conv_depthwise", conv("num_output: 4 kernel_size: 3 group: 4 pad: 1"), FOUR),
    Case("conv_depthwise_multiplier", conv("num_output: 6 kernel_size: 3 group: 3 stride: 2 bias_term: false")),
    Case("conv_kernel_h_w", conv("num_output: 3 kernel_h: 2 kernel_w: 5")),
    Case("conv_all_h_w",
         conv("num_output: 3 kernel_h: 3 kernel_w: 2 pad_h: 2 pad_w: 1 stride_h: 1 stride_w: 3")),
    Case("conv_pad_h_only", conv("num_output: 3 kernel_size: 3 pad_h: 1")),
    Case("conv_stride_w_first", conv("num_output: 3 kernel_size: 2 stride_w: 3 stride_h: 2 pad: 1")),
    Case("conv_repeated",
         conv("num_output: 2 kernel_size: 3 kernel_size: 5 stride: 2 stride: 1 pad: 0 pad: 2 dilation: 2 dilation: 1")),
    Case("conv_repeated_dilation", conv("num_output: 2 kernel_size: 2 dilation: 1 dilation: 3")),
    Case("conv_nd_im2col", conv("num_output: 3 kernel_size: 3 pad: 1 force_nd_im2col: true")),
    Case("conv_1d", conv("num_output: 4 kernel_size: 3 stride: 2 pad: 1"), {"data": (2, 3, 9)}),
    Case("conv_1d_dilation", conv("num_output: 4 kernel_size: 3 dilation: 2 group: 2"), {"data": (2, 4, 9)}),
    Case("conv_3d", conv("num_output: 2 kernel_size: 2 kernel_size: 3 kernel_size: 1 stride: 1 stride: 2 stride: 1 "
                         "pad: 1 pad: 0 pad: 2"), {"data": (2, 2, 3, 5, 4)}),
    Case("conv_axis", conv("num_output: 3 kernel_size: 3 axis: 2 pad: 1"), {"data": (2, 3, 4, 6)}),
    Case("conv_axis_negative", conv("num_output: 3 kernel_size: 3 kernel_size: 2 axis: -3"), {"data": (2, 2, 3, 5, 4)}),
    Case("conv_several_bottoms", conv("num_output: 2 kernel_size: 3", bottom="data other", top="out out2"),
         {"data": (2, 3, 5, 7), "other": (2, 3, 5, 7)}),
    Case("conv_whole_image", conv("num_output: 4 kernel_h: 5 kernel_w: 7")),
    Case("deconv", conv("num_output: 4 kernel_size: 3", "Deconvolution"), {"data": (2, 3, 3, 4)}),
    Case("deconv_stride", conv("num_output: 2 kernel_size: 4 stride: 2 pad: 1", "Deconvolution"),
         {"data": (2, 3, 3, 4)}),
    Case("deconv_group", conv("num_output: 6 kernel_size: 3 stride: 2 group: 2 bias_term: false", "Deconvolution"),
         {"data": (2, 4, 3, 2)}),
    Case("deconv_dilation", conv("num_output: 2 kernel_size: 3 dilation: 2 pad: 1 stride: 2", "Deconvolution"),
         {"data": (2, 3, 3, 4)}),
    Case("deconv_h_w", conv("num_output: 2 kernel_h: 2 kernel_w: 5 stride_h: 3 stride_w: 1 pad_h: 0 pad_w: 2",
                            "Deconvolution"), {"data": (2, 3, 3, 4)}),
    Case("deconv_1x1", conv("num_output: 5 kernel_size: 1", "Deconvolution"), {"data": (2, 3, 3, 4)}),
    Case("deconv_1d", conv("num_output: 2 kernel_size: 4 stride: 3 pad: 1", "Deconvolution"), {"data": (2, 3, 5)}),
    Case("deconv_3d", conv("num_output: 2 kernel_size: 2 stride: 2", "Deconvolution"), {"data": (2, 2, 2, 3, 2)}),
    Case("deconv_bilinear", conv("num_output: 3 group: 3 kernel_size: 4 stride: 2 pad: 1 bias_term: false "
                                 'weight_filler { type: "bilinear" }', "Deconvolution"),
         {"data": (2, 3, 3, 4)}, weights={"out": ("keep",)}),
    Case("deconv_bilinear_no_file", conv("num_output: 3 group: 3 kernel_size: 3 stride: 2 pad: 1 bias_term: false "
                                         'weight_filler { type: "bilinear" }', "Deconvolution"),
         {"data": (2, 3, 3, 4)}, save=False),
    Case("im2col", layer("Im2col", params="convolution_param { kernel_size: 3 stride: 2 pad: 1 }")),
    Case("im2col_h_w", layer("Im2col", params="convolution_param { kernel_h: 2 kernel_w: 3 stride_h: 2 stride_w: 1 "
                                              "pad_h: 1 pad_w: 0 }")),
    Case("im2col_dilation", layer("Im2col", params="convolution_param { kernel_size: 2 dilation: 2 dilation: 3 }")),
]


# Pooling: the size is rounded up, then a last window that would start in the far padding is dropped, if there is any
# padding. The mean is over the window as clipped to the *padded* image.


def pool(params: str, kind: str = "MAX", top: str = "out") -> str:
    return layer("Pooling", top=top, params=f"pooling_param {{ pool: {kind} {params} }}")


EVEN = {"data": (2, 3, 6, 8)}

POOLING = [
    Case("pool_max", pool("kernel_size: 3")),
    Case("pool_max_default", layer("Pooling", params="pooling_param { kernel_size: 2 }")),
    Case("pool_max_ceil", pool("kernel_size: 3 stride: 2"), EVEN),
    Case("pool_max_pad", pool("kernel_size: 3 stride: 2 pad: 1"), low=-5, high=-1),
    Case("pool_max_pad_ceil", pool("kernel_size: 3 stride: 2 pad: 1"), EVEN, low=-5, high=-1),
    Case("pool_max_window_in_padding", pool("kernel_size: 2 stride: 2 pad: 1"), {"data": (2, 3, 5, 6)}),
    Case("pool_max_h_w", pool("kernel_h: 2 kernel_w: 3 stride_h: 1 stride_w: 2 pad_h: 0 pad_w: 1"), EVEN),
    Case("pool_max_global", pool("global_pooling: true")),
    Case("pool_max_mask", pool("kernel_size: 3 stride: 2 pad: 1", top="out mask"), EVEN),
    Case("pool_max_floor", pool("kernel_size: 3 stride: 2 round_mode: FLOOR"), EVEN),
    Case("pool_max_stride_over_kernel", pool("kernel_size: 2 stride: 3"), {"data": (2, 3, 5, 8)}),
    # Without padding nothing is dropped: the last window is outside the image, empty, and -FLT_MAX comes out.
    Case("pool_max_empty_window", pool("kernel_size: 1 stride: 2"), EVEN),
    Case("pool_ave", pool("kernel_size: 3", "AVE")),
    Case("pool_ave_ceil", pool("kernel_size: 3 stride: 2", "AVE"), EVEN),
    Case("pool_ave_pad", pool("kernel_size: 3 stride: 1 pad: 1", "AVE"), low=1, high=5),
    Case("pool_ave_pad_stride", pool("kernel_size: 3 stride: 2 pad: 1", "AVE"), low=1, high=5),
    Case("pool_ave_pad_ceil", pool("kernel_size: 3 stride: 2 pad: 1", "AVE"), EVEN, low=1, high=5),
    Case("pool_ave_pad_two", pool("kernel_size: 5 stride: 3 pad: 2", "AVE"), EVEN, low=1, high=5),
    Case("pool_ave_window_in_padding", pool("kernel_size: 2 stride: 2 pad: 1", "AVE"), {"data": (2, 3, 5, 6)},
         low=1, high=5),
    Case("pool_ave_h_w", pool("kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 3 pad_h: 1 pad_w: 0", "AVE"),
         {"data": (2, 3, 6, 9)}, low=1, high=5),
    Case("pool_ave_global", pool("global_pooling: true", "AVE")),
    Case("pool_ave_floor", pool("kernel_size: 3 stride: 2 pad: 1 round_mode: FLOOR", "AVE"), EVEN, low=1, high=5),
    Case("spp_max", layer("SPP", params="spp_param { pyramid_height: 3 }"), {"data": (2, 2, 7, 11)}),
    Case("spp_max_negative", layer("SPP", params="spp_param { pyramid_height: 2 pool: MAX }"),
         {"data": (2, 3, 5, 7)}, low=-5, high=-1),
    Case("spp_ave", layer("SPP", params="spp_param { pyramid_height: 3 pool: AVE }"), {"data": (2, 2, 7, 9)},
         low=1, high=5),
    Case("spp_one_level", layer("SPP", params="spp_param { pyramid_height: 1 }"), {"data": (2, 3, 5, 7)}),
]


# Layers that move values, and layers that reduce them.

THREE = {"a": (2, 3, 5, 7), "b": (2, 3, 5, 7), "c": (2, 3, 5, 7)}

MOVING = [
    Case("batchreindex", layer("BatchReindex", "data index"), {"data": (5, 3, 4), "index": (7,)},
         values={"index": "integers 0 5"}),
    Case("concat", layer("Concat", "a b"), {"a": (2, 3, 5, 7), "b": (2, 4, 5, 7)}),
    Case("concat_axis", layer("Concat", "a b c", params="concat_param { axis: 2 }"),
         {"a": (2, 3, 5, 7), "b": (2, 3, 1, 7), "c": (2, 3, 2, 7)}),
    Case("concat_axis_last", layer("Concat", "a b", params="concat_param { axis: -1 }"),
         {"a": (2, 3, 5), "b": (2, 3, 4)}),
    Case("concat_dim", layer("Concat", "a b", params="concat_param { concat_dim: 0 }"),
         {"a": (2, 3, 4), "b": (3, 3, 4)}),
    Case("concat_one", layer("Concat", "data")),
    Case("concat_twice_the_same", layer("Concat", "data data")),
    Case("crop", layer("Crop", "data like", params="crop_param { axis: 2 offset: 1 offset: 3 }"),
         {"data": (2, 3, 5, 7), "like": (2, 4, 3, 2)}),
    Case("crop_default", layer("Crop", "data like"), {"data": (2, 3, 5, 7), "like": (1, 1, 3, 4)}),
    Case("crop_one_offset", layer("Crop", "data like", params="crop_param { axis: 1 offset: 1 }"),
         {"data": (2, 4, 5, 7), "like": (2, 2, 3, 4)}),
    Case("crop_axis_last", layer("Crop", "data like", params="crop_param { axis: -1 offset: 2 }"),
         {"data": (2, 3, 5, 7), "like": (1, 1, 1, 4)}),
    Case("crop_all_axes",
         layer("Crop", "data like", params="crop_param { axis: 0 offset: 1 offset: 0 offset: 2 offset: 1 }"),
         {"data": (3, 3, 5, 7), "like": (2, 2, 3, 4)}),
    Case("eltwise_default", layer("Eltwise", "a b"), {"a": (2, 3, 5, 7), "b": (2, 3, 5, 7)}),
    Case("eltwise_prod", layer("Eltwise", "a b c", params="eltwise_param { operation: PROD }"), THREE),
    Case("eltwise_sum", layer("Eltwise", "a b c", params="eltwise_param { operation: SUM }"), THREE),
    Case("eltwise_coeff",
         layer("Eltwise", "a b c", params="eltwise_param { operation: SUM coeff: 1 coeff: -2 coeff: 0.5 }"), THREE),
    Case("eltwise_subtract", layer("Eltwise", "a b", params="eltwise_param { coeff: 1 coeff: -1 }"),
         {"a": (4, 6), "b": (4, 6)}),
    Case("eltwise_max", layer("Eltwise", "a b c", params="eltwise_param { operation: MAX }"), THREE),
    Case("eltwise_same_blob", layer("Eltwise", "data data", params="eltwise_param { operation: PROD }")),
    Case("embed", layer("Embed", params="embed_param { input_dim: 6 num_output: 5 }"), {"data": (2, 7)},
         values={"data": "integers 0 6"}),
    Case("embed_no_bias", layer("Embed", params="embed_param { input_dim: 6 num_output: 5 bias_term: false }"),
         {"data": (2, 3, 2)}, values={"data": "integers 0 6"}),
    Case("filter", layer("Filter", "data selector"), {"data": (5, 3, 4), "selector": (5, 1, 1, 1)},
         values={"selector": "list 1 0 1 1 0"}),
    Case("flatten", layer("Flatten")),
    Case("flatten_axis", layer("Flatten", params="flatten_param { axis: 2 }")),
    Case("flatten_end_axis", layer("Flatten", params="flatten_param { axis: 1 end_axis: 2 }")),
    Case("flatten_zero", layer("Flatten", params="flatten_param { axis: 0 end_axis: -2 }")),
    Case("flatten_negative", layer("Flatten", params="flatten_param { axis: -3 end_axis: -2 }")),
    Case("inner_product", layer("InnerProduct", params="inner_product_param { num_output: 4 }")),
    Case("inner_product_matrix", layer("InnerProduct", params="inner_product_param { num_output: 5 }"), MATRIX),
    Case("inner_product_no_bias",
         layer("InnerProduct", params="inner_product_param { num_output: 4 bias_term: false }"), MATRIX),
    Case("inner_product_axis", layer("InnerProduct", params="inner_product_param { num_output: 4 axis: 2 }")),
    Case("inner_product_axis_last", layer("InnerProduct", params="inner_product_param { num_output: 4 axis: -1 }")),
    Case("inner_product_axis_zero", layer("InnerProduct", params="inner_product_param { num_output: 4 axis: 0 }")),
    Case("inner_product_transpose",
         layer("InnerProduct", params="inner_product_param { num_output: 4 transpose: true }")),
    Case("inner_product_transpose_axis",
         layer("InnerProduct",
               params="inner_product_param { num_output: 4 transpose: true axis: 3 bias_term: false }")),
    Case("parameter",
         layer("Parameter", "", "table", "parameter_param { shape { dim: 3 dim: 5 } }")
         + layer("Scale", "data table", "out", "scale_param { axis: 1 }")),
    Case("parameter_output", layer("Parameter", "", "table", "parameter_param { shape { dim: 2 dim: 3 } }")
         + layer("ReLU")),
    Case("reduction", layer("Reduction")),
    Case("reduction_axis", layer("Reduction", params="reduction_param { axis: 1 }")),
    Case("reduction_sum_coeff", layer("Reduction", params="reduction_param { operation: SUM axis: 2 coeff: -0.5 }")),
    Case("reduction_asum", layer("Reduction", params="reduction_param { operation: ASUM axis: 1 coeff: 0.25 }")),
    Case("reduction_sumsq", layer("Reduction", params="reduction_param { operation: SUMSQ axis: -1 }")),
    Case("reduction_mean", layer("Reduction", params="reduction_param { operation: MEAN axis: 2 }")),
    Case("reduction_mean_all", layer("Reduction", params="reduction_param { operation: MEAN coeff: 3 }")),
    Case("reshape", layer("Reshape", params="reshape_param { shape { dim: 0 dim: -1 dim: 5 } }")),
    Case("reshape_copy", layer("Reshape", params="reshape_param { shape { dim: 0 dim: 0 dim: -1 } }")),
    Case("reshape_axis", layer("Reshape", params="reshape_param { shape { dim: -1 } axis: 2 }")),
    Case("reshape_num_axes", layer("Reshape", params="reshape_param { shape { dim: 1 dim: -1 } axis: 1 num_axes: 2 }")),
    Case("reshape_insert", layer("Reshape", params="reshape_param { shape { dim: 1 } axis: 1 num_axes: 0 }")),
    Case("reshape_append", layer("Reshape", params="reshape_param { shape { dim: 1 dim: 1 } axis: -1 num_axes: 0 }"),
         MATRIX),
    # a negative axis counts from behind the last: -1 is the end, -4 is axis 1 of four
    Case("reshape_axis_copy",
         layer("Reshape", params="reshape_param { shape { dim: 7 dim: 0 dim: -1 } axis: -4 num_axes: 3 }")),
    Case("reshape_matrix", layer("Reshape", params="reshape_param { shape { dim: 3 dim: -1 } }"), MATRIX),
    Case("silence", layer("Silence", "other", "", name="hush") + layer("ReLU"), {**IMAGE, "other": (2, 3)}),
    Case("slice", layer("Slice", top="one two", params="slice_param { slice_point: 2 }"), {"data": (2, 6, 3, 4)}),
    Case("slice_points", layer("Slice", top="one two three", params="slice_param { slice_point: 1 slice_point: 3 }"),
         {"data": (2, 6, 3, 4)}),
    Case("slice_even", layer("Slice", top="one two three"), {"data": (2, 6, 3, 4)}),
    Case("slice_axis", layer("Slice", top="one two", params="slice_param { axis: -1 slice_point: 3 }")),
    Case("slice_dim", layer("Slice", top="one two", params="slice_param { slice_dim: 0 }")),
    Case("slice_one", layer("Slice", top="one")),
    Case("split", layer("Split", top="one two") + layer("ReLU", "one", "out") + layer("TanH", "two", "out2")),
    Case("tile", layer("Tile", params="tile_param { tiles: 3 }")),
    Case("tile_axis", layer("Tile", params="tile_param { axis: -1 tiles: 2 }")),
    Case("tile_axis_zero", layer("Tile", params="tile_param { axis: 0 tiles: 2 }"), MATRIX),
    Case("dummydata", layer("DummyData", "", "dummy", "dummy_data_param { shape { dim: 2 dim: 3 dim: 5 dim: 7 } "
                                                      "data_filler { value: 0.75 } }")
         + layer("Eltwise", "data dummy", "out")),
]

# Recurrent layers: time, streams, features. cont is 0 where a sequence begins; the state is multiplied by it.

SEQUENCE = {"x": (5, 2, 3), "cont": (5, 2)}
CONT = {"cont": "list 0 1 1 1 1 0 1 1 0 1"}


def recurrent(kind: str, bottom: str = "x cont", top: str = "out", more: str = "") -> str:
    return layer(kind, bottom, top, f"recurrent_param {{ num_output: 4 {more}}}")


RECURRENT = [
    Case("lstm", recurrent("LSTM"), SEQUENCE, values=CONT),
    Case("lstm_continues", recurrent("LSTM"), SEQUENCE, values={"cont": "one"}),
    Case("lstm_features", recurrent("LSTM"), {"x": (5, 2, 3, 2), "cont": (5, 2)}, values=CONT),
    Case("lstm_static", recurrent("LSTM", "x cont static"), {**SEQUENCE, "static": (2, 6)}, values=CONT),
    Case("lstm_static_image", recurrent("LSTM", "x cont static"), {**SEQUENCE, "static": (2, 3, 2)}, values=CONT),
    Case("lstm_hidden", recurrent("LSTM", "x cont h0 c0", "out hT cT", "expose_hidden: true "),
         {**SEQUENCE, "h0": (1, 2, 4), "c0": (1, 2, 4)}, values={"cont": "list 1 1 1 1 1 0 1 1 1 1"}),
    Case("lstm_static_hidden", recurrent("LSTM", "x cont static h0 c0", "out hT cT", "expose_hidden: true "),
         {**SEQUENCE, "static": (2, 6), "h0": (1, 2, 4), "c0": (1, 2, 4)},
         values={"cont": "list 1 0 1 1 1 1 0 1 1 1"}),
    Case("lstm_fractional_cont", recurrent("LSTM"), SEQUENCE, values={"cont": "uniform 0 1"}),
    Case("lstmunit", layer("LSTMUnit", "c0 gates cont", "c1 h1"),
         {"c0": (1, 2, 4), "gates": (1, 2, 16), "cont": (1, 2)}, values={"cont": "list 1 0"}),
    Case("rnn", recurrent("RNN"), SEQUENCE, values=CONT),
    Case("rnn_static", recurrent("RNN", "x cont static"), {**SEQUENCE, "static": (2, 6)}, values=CONT),
    Case("rnn_hidden", recurrent("RNN", "x cont h0", "out hT", "expose_hidden: true "),
         {**SEQUENCE, "h0": (1, 2, 4)}, values={"cont": "list 1 1 1 1 1 0 1 1 1 1"}),
    Case("rnn_static_hidden", recurrent("RNN", "x cont static h0", "out hT", "expose_hidden: true "),
         {**SEQUENCE, "static": (2, 6), "h0": (1, 2, 4)}, values={"cont": "list 1 1 1 1 1 0 1 1 1 1"}),
]


# The network around the layers: blobs written twice, rules, shared weights, old heads and old forms.

IMAGE_DIMS = 'input: "data" input_dim: 2 input_dim: 3 input_dim: 5 input_dim: 7\n'
SMALL_CONV = "convolution_param { num_output: 4 kernel_size: 3 pad: 1 }"
TRAIN, TEST = "include { phase: TRAIN }", "include { phase: TEST }"
LABELLED = (
    layer("Convolution", top="conv1", params=SMALL_CONV)
    + layer("ReLU", "conv1", "conv1", name="relu1")
    + layer("InnerProduct", "conv1", "ip", "inner_product_param { num_output: 5 }")
)

NETWORK = [
    Case("net_in_place_chain",
         layer("Convolution", top="x", params=SMALL_CONV) + layer("BatchNorm", "x", "x", name="bn")
         + layer("Scale", "x", "x", "scale_param { bias_term: true }", "scale") + layer("ReLU", "x", "x", name="relu")
         + layer("Dropout", "x", "x", name="drop") + layer("Pooling", "x", "out", "pooling_param { kernel_size: 2 }")),
    Case("net_in_place_on_input", layer("ReLU", "data", "data", name="relu")
         + layer("Power", "data", "data", "power_param { scale: 3 }", "power")),
    Case("net_in_place_then_fork",
         layer("Convolution", top="x", params=SMALL_CONV) + layer("ReLU", "x", "x", name="relu")
         + layer("Power", "x", "x", "power_param { scale: 2 shift: -1 }", name="power")
         + layer("TanH", "x", "one") + layer("Sigmoid", "x", "two")),
    Case("net_in_place_eltwise", layer("TanH", top="x") + layer("Eltwise", "x data", "x", name="sum")
         + layer("ReLU", "x", "out")),
    Case("net_residual",
         layer("Convolution", top="x", params=SMALL_CONV) + layer("Convolution", "x", "y", SMALL_CONV)
         + layer("Eltwise", "x y", "out") + layer("ReLU", "out", "out", name="relu")),
    Case("net_outputs_in_order_of_names", layer("TanH", top="zebra") + layer("Sigmoid", top="apple")
         + layer("AbsVal", top="Mango")),
    Case("net_unused_input", layer("TanH"), {**IMAGE, "extra": (2, 3)}),
    Case("net_two_inputs_in_one_layer", layer("Eltwise", "a b"), {"a": (2, 3, 4), "b": (2, 3, 4)},
         head='layer { name: "in" type: "Input" top: "a" top: "b" input_param { shape { dim: 2 dim: 3 dim: 4 } } }\n'),
    Case("net_include_train", layer("TanH", top="x") + layer("Power", "x", "x", f"power_param {{ scale: 9 }} {TRAIN}",
                                                            "train_only") + layer("ReLU", "x", "out")),
    Case("net_exclude_test", layer("TanH", top="x") + layer("Power", "x", "x", "power_param { scale: 9 } "
                                                           "exclude { phase: TEST }", "train_only")
         + layer("ReLU", "x", "out")),
    Case("net_include_either", layer("TanH", top="out", params=TRAIN, name="tanh")
         + layer("Sigmoid", top="out", params=TEST, name="sigmoid")),
    Case("net_stage", layer("TanH", top="x", params='include { stage: "deploy" }', name="tanh")
         + layer("Sigmoid", top="x", params='exclude { stage: "deploy" }', name="sigmoid")
         + layer("Power", "x", "x", 'power_param { scale: 9 } include { stage: "deploy" stage: "debug" }', "both")
         + layer("ReLU", "x", "out"), stages=("deploy",)),
    Case("net_not_stage", layer("TanH", top="out", params='include { not_stage: "deploy" }', name="tanh")
         + layer("Sigmoid", top="out", params='include { phase: TEST stage: "deploy" not_stage: "debug" }',
                 name="sigmoid"), stages=("deploy",)),
    Case("net_no_stage", layer("TanH", top="out", params='include { stage: "deploy" }', name="tanh")
         + layer("Sigmoid", top="out", params='include { not_stage: "deploy" }', name="sigmoid")),
    Case("net_two_rules", layer("Sigmoid", top="out", params=f'{TRAIN} include {{ stage: "deploy" }}', name="sigmoid")
         + layer("TanH", top="out", params='exclude { stage: "deploy" } exclude { phase: TRAIN }', name="tanh"),
         stages=("deploy",)),
    Case("net_level", layer("TanH", top="x", params="include { min_level: 1 }", name="high")
         + layer("Sigmoid", top="x", params="include { max_level: 0 }", name="low") + layer("ReLU", "x", "out")),
    Case("net_level_one", layer("TanH", top="x", params="include { min_level: 1 max_level: 2 }", name="high")
         + layer("Sigmoid", top="x", params="include { max_level: 0 }", name="low") + layer("ReLU", "x", "out"),
         level=1),
    Case("net_shared_weights",
         layer("Convolution", "a", "one", f'param {{ name: "w" }} param {{ name: "b" }} {SMALL_CONV}')
         + layer("Convolution", "b", "two", f'param {{ name: "w" }} param {{ name: "b" }} {SMALL_CONV}'),
         {"a": (2, 3, 5, 7), "b": (2, 3, 4, 3)}),
    Case("net_shared_weights_only",
         layer("InnerProduct", "data", "one", 'param { name: "w" } inner_product_param { num_output: 6 }')
         + layer("InnerProduct", "one", "out", 'param { name: "w" } inner_product_param { num_output: 6 }'), MATRIX),
    Case("net_shared_permissive",
         layer("InnerProduct", "data", "one", 'param { name: "w" } inner_product_param { num_output: 4 '
                                              "bias_term: false }")
         + layer("Convolution", "image", "two",
                 'param { name: "w" share_mode: PERMISSIVE } convolution_param { num_output: 4 kernel_h: 1 kernel_w: 2 '
                 "bias_term: false }"), {"data": (4, 6), "image": (2, 3, 4, 5)}),
    Case("net_head_input_dim", layer("Convolution", top="out", params=SMALL_CONV), head=IMAGE_DIMS),
    Case("net_head_two_input_dims", layer("Concat", "data other"), {"data": (2, 3, 5, 7), "other": (2, 1, 5, 7)},
         head=IMAGE_DIMS + 'input: "other" input_dim: 2 input_dim: 1 input_dim: 5 input_dim: 7\n'),
    Case("net_head_input_shape", layer("Eltwise", "data other", params="eltwise_param { operation: PROD }"),
         {"data": (2, 3, 5), "other": (2, 3, 5)},
         head='input: "data" input_shape { dim: 2 dim: 3 dim: 5 }\n'
              'input: "other" input_shape { dim: 2 dim: 3 dim: 5 }\n'),
    Case("net_text_oddities",
         "# a comment\nlayer: <\n  name: 'con' \"v\"  type: \"Convolution\" bottom: \"data\", top: 'x';\n"
         "  convolution_param { num_output: 0x4 kernel_size: [3, 2] pad: [1,0] bias_term: 1 }\n>\n"
         "layer{name:\"out\"type:\"Power\"bottom:\"x\"top:\"out\"power_param{power:1.0f scale:-.5 shift:2.5e-1}}\n",
         weights={"conv": ("normal", "normal")}),
    Case("net_training_data_layer",
         layer("Data", "", "data label", f'{TRAIN} transform_param {{ scale: 0.00390625 crop_size: 5 }} data_param {{ '
                                         'source: "train_lmdb" batch_size: 64 backend: LMDB }', "train_data")
         + layer("Data", "", "data label", f'{TEST} data_param {{ source: "test_lmdb" batch_size: 2 backend: LMDB }}',
                 "test_data")
         + LABELLED
         + layer("Accuracy", "ip label", "accuracy", f"accuracy_param {{ top_k: 2 }} {TEST}")
         + layer("SoftmaxWithLoss", "ip label", "loss"), head="", deploy=LABELLED),
    Case("net_training_memory_data",
         layer("MemoryData", "", "data label", "memory_data_param { batch_size: 2 channels: 3 height: 5 width: 7 }",
               "memory")
         + LABELLED + layer("Softmax", "ip", "prob")
         + layer("EuclideanLoss", "ip label", "l2", "loss_weight: 0.5")
         + layer("MultinomialLogisticLoss", "prob label", "loss"),
         head="", deploy=LABELLED + layer("Softmax", "ip", "prob")),
    Case("net_training_rules",
         layer("Data", "", "data label", f'{TRAIN} data_param {{ source: "train_lmdb" batch_size: 64 }}', "train_data")
         + layer("Input", "", "data", f"{TEST} input_param {{ shape {{ dim: 2 dim: 3 dim: 5 dim: 7 }} }}", "deploy")
         + LABELLED + layer("SoftmaxWithLoss", "ip label", "loss", TRAIN) + layer("Softmax", "ip", "prob", TEST),
         head="", deploy=LABELLED + layer("Softmax", "ip", "prob")),
]

# Old forms. Caffe upgrades them as it reads: V0 to V1, V1 to today's, `padding` layers into the convolution after them.

SEVEN = {"data": (2, 4, 7, 9)}
SEVEN_DIMS = 'input: "data" input_dim: 2 input_dim: 4 input_dim: 7 input_dim: 9\n'
V1_CONV = "convolution_param { num_output: 4 kernel_size: 3 pad: 1 group: 2 }"
V0_CONV = "num_output: 6 kernelsize: 3 stride: 2"
V0_TAIL = (
    v0("relu", "conv1", "conv1", name="relu1")
    + v0("pool", "conv1", "pool1", "kernelsize: 2 stride: 2 pool: AVE")
    + v0("lrn", "pool1", "norm1", "local_size: 3 alpha: 0.5 beta: 0.75 k: 2")
    + v0("innerproduct", "norm1", "ip1", "num_output: 5")
    + v0("dropout", "ip1", "ip1", "dropout_ratio: 0.3", "drop1")
    + v0("softmax", "ip1", "prob")
)

OLD = [
    Case("v1_net",
         v1("CONVOLUTION", "data", "conv1", f"blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0 {V1_CONV}")
         + v1("RELU", "conv1", "conv1", name="relu1") + v1("LRN", "conv1", "norm1", "lrn_param { local_size: 3 }")
         + v1("POOLING", "norm1", "pool1", "pooling_param { pool: AVE kernel_size: 3 stride: 2 }")
         + v1("SLICE", "pool1", "s1 s2", "slice_param { slice_dim: 1 }", "slice") + v1("TANH", "s1", "s1", name="tanh")
         + v1("SIGMOID", "s2", "s2", name="sig") + v1("CONCAT", "s1 s2", "cat", "concat_param { concat_dim: 1 }")
         + v1("INNER_PRODUCT", "cat", "ip", "inner_product_param { num_output: 5 }")
         + v1("DROPOUT", "ip", "ip", name="drop") + v1("SOFTMAX", "ip", "prob"), SEVEN, head=SEVEN_DIMS),
    Case("v1_more_types",
         v1("ABSVAL", "data", "abs") + v1("POWER", "abs", "power", "power_param { power: 2 shift: 1 }")
         + v1("EXP", "data", "exp", "exp_param { base: 2 scale: 0.5 }") + v1("BNLL", "exp", "bnll")
         + v1("ELTWISE", "power bnll", "sum", "eltwise_param { operation: SUM coeff: 0.5 coeff: -1 }")
         + v1("MVN", "sum", "mvn") + v1("THRESHOLD", "sum", "above", "threshold_param { threshold: 0.25 }")
         + v1("SPLIT", "mvn", "m1 m2", name="split") + v1("FLATTEN", "m1", "flat")
         + v1("DECONVOLUTION", "m2", "deconv", "convolution_param { num_output: 2 kernel_size: 2 stride: 2 }")
         + v1("ARGMAX", "flat", "arg", "argmax_param { top_k: 2 }") + v1("IM2COL", "above", "col",
                                                                         "convolution_param { kernel_size: 5 }")
         + v1("SILENCE", "col", "", name="hush"), SEVEN, head=SEVEN_DIMS),
    Case("v1_shared_and_rules",
         v1("CONVOLUTION", "data", "one", f'param: "w" param: "b" {V1_CONV}')
         + v1("CONVOLUTION", "one", "two", f'param: "w" param: "b" {V1_CONV}')
         + v1("RELU", "two", "two", "include: { phase: TRAIN }", "train_only")
         + v1("TANH", "two", "out", "exclude: { phase: TRAIN }"), SEVEN, head=SEVEN_DIMS),
    Case("v0_net", v0("conv", "data", "conv1", f"{V0_CONV} pad: 1 group: 2 biasterm: false") + V0_TAIL, SEVEN,
         head=SEVEN_DIMS),
    Case("v0_padding_layer",
         v0("padding", "data", "pad1", "pad: 2") + v0("conv", "pad1", "conv1", f"{V0_CONV} blobs_lr: 1. blobs_lr: 2.")
         + V0_TAIL, SEVEN, head=SEVEN_DIMS),
    Case("v0_padding_before_pool",
         v0("conv", "data", "conv1", "num_output: 4 kernelsize: 1") + v0("padding", "conv1", "pad1", "pad: 1")
         + v0("pool", "pad1", "pool1", "kernelsize: 3 stride: 2 pool: MAX") + v0("tanh", "pool1", "t")
         + v0("sigmoid", "pool1", "s") + v0("concat", "t s", "cat", "concat_dim: 2") + v0("flatten", "cat", "out"),
         SEVEN, head=SEVEN_DIMS),
]

# One network, its weights written in every way that Caffe has ever written them.

ENCODED = (
    layer("Convolution", top="conv1", params="convolution_param { num_output: 4 kernel_size: 3 group: 2 }")
    + layer("ReLU", "conv1", "conv1", name="relu1")
    + layer("InnerProduct", "conv1", "out", "inner_product_param { num_output: 3 }", "ip1")
)
ENCODINGS = ("packed", "unpacked", "legacy_shape", "double", "v1", "v0", "foreign", "reversed", "hdf5")

BINARY = [
    *(Case(f"binary_{way}", ENCODED, {"data": (2, 4, 5, 7)}, binary=way) for way in ENCODINGS),
    # HDF5 holds a shared blob once, at the layer that has it first. (A layer's name with a slash Caffe can't save so.)
    Case("binary_hdf5_shared",
         layer("InnerProduct", "data", "one", 'param { name: "w" } inner_product_param { num_output: 6 }')
         + layer("InnerProduct", "one", "out", 'param { name: "w" } inner_product_param { num_output: 6 }'), MATRIX,
         binary="hdf5"),
]

# Layers of forks. The answer is a function of fork_reference.py, which takes the fields of the prototxt under their own
# names. With oracle="opencv" OpenCV computes the golden and the function must agree; with "opencv rows" the function
# computes it and OpenCV must have the same rows in any order.

FIELDS = {
    "Permute": "permute_param",
    "Normalize": "norm_param",
    "BN": "bn_param",
    "ConvolutionDepthwise": "convolution_param",
    "ConvolutionDepthWise": "convolution_param",
    "DepthwiseConvolution": "convolution_param",
    "Interp": "interp_param",
    "Upsample": "upsample_param",
    "Reorg": "reorg_param",
    "ReLU6": "relu6_param",
    "ShuffleChannel": "shuffle_channel_param",
    "ROIPooling": "roi_pooling_param",
    "PriorBox": "prior_box_param",
    "DetectionOutput": "detection_output_param",
}


def prototxt_fields(values: dict[str, object]) -> str:
    """Fields as text: a tuple is a repeated field, a dict a message, a string an enumerator."""
    words = []
    for name, value in values.items():
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, dict):
                words.append(f"{name} {{ {prototxt_fields(item)} }}")
            else:
                words.append(f"{name}: {str(item).lower() if isinstance(item, bool) else item}")
    return " ".join(words)


def fork(
    name: str,
    kind: str,
    reference: str,
    inputs: dict[str, Shape] | None = None,
    *,
    oracle: str = "reference",
    blobs: tuple = (),
    values: dict[str, str] | None = None,
    low: float = -2.0,
    high: float = 2.0,
    **fields: object,
) -> Case:
    """A row for one layer whose bottoms are the inputs; `blobs` are pairs of a shape and how it is drawn."""
    bottoms = inputs or dict(IMAGE)
    params = f"{FIELDS[kind]} {{ {prototxt_fields(fields)} }}" if fields else ""
    return Case(
        name,
        layer(kind, " ".join(bottoms), "out", params),
        bottoms,
        oracle,
        low,
        high,
        values or {},
        {"out": blobs} if blobs else {},
        reference=reference,
        arguments=fields,
    )


def vectors(*kinds: str) -> tuple:
    """Blobs of (1, 3, 1, 1)."""
    return tuple(((1, 3, 1, 1), kind) for kind in kinds)


def interp(name: str, oracle: str = "reference", **fields: int) -> Case:
    return fork(f"interp_{name}", "Interp", "interp", oracle=oracle, **fields)


ROIS = "list 0 0 0 5 4  1 2.5 1.5 9 7.5  0 4 3 4 3  1 11 6 17 13  0 1 8 6 2"


def regions(name: str, shape: Shape, **fields: float) -> Case:
    inputs = {"data": shape, "rois": (5, 5)}
    return fork(name, "ROIPooling", "roi_pooling", inputs, oracle="opencv", values={"rois": ROIS}, **fields)


def prior(name: str, oracle: str = "opencv", **fields: object) -> Case:
    inputs = {"feature": (2, 1, 3, 4), "image": (1, 1, 18, 30)}
    return fork(f"priorbox_{name}", "PriorBox", "prior_box", inputs, oracle=oracle, **fields)


def detection(
    name: str, oracle: str = "opencv rows", *, own: int = 1, confidence: str = "uniform 0 1", **fields: object
) -> Case:
    """Nine priors, three classes, two images; `own` is how many classes have boxes of their own."""
    inputs = {"location": (2, 36 * own), "confidence": (2, 27), "prior": (1, 2, 36)}
    values = {"confidence": confidence, "prior": "priors"}
    return fork(
        f"detection_{name}", "DetectionOutput", "detection_output", inputs, oracle=oracle, values=values,
        num_classes=3, **fields)


NMS = {"nms_threshold": 0.45}
LOOSE = {"nms_threshold": 0.6}
SSD = {"code_type": "CENTER_SIZE", "share_location": True, "background_label_id": 0, "confidence_threshold": 0.3}
LOW = {**SSD, "confidence_threshold": 0.1}
ONE_SCALE, SCALES = (((1,), "uniform 2 20"),), (((3,), "uniform 2 20"),)
MASKED = {"data": (1, 2, 2, 3), "mask": (1, 2, 2, 3)}
DEPTHWISE = (((3, 1, 3, 3), "normal"), ((3,), "normal"))

FORKS = [
    fork("permute", "Permute", "permute", oracle="opencv", order=(0, 2, 3, 1)),
    fork("permute_batch", "Permute", "permute", oracle="opencv", order=(3, 0, 2, 1)),
    fork("permute_sequence", "Permute", "permute", {"data": (2, 3, 5)}, oracle="opencv", order=(0, 2, 1)),
    fork("permute_rest", "Permute", "permute", order=(2,)),
    fork("permute_identity", "Permute", "permute", oracle="opencv", order=(0, 1, 2, 3)),
    fork("normalize", "Normalize", "normalize", oracle="opencv", blobs=ONE_SCALE),
    fork("normalize_ssd", "Normalize", "normalize", oracle="opencv", blobs=SCALES, across_spatial=False,
         scale_filler={"type": '"constant"', "value": 20}, channel_shared=False),
    fork("normalize_shared", "Normalize", "normalize", oracle="opencv", blobs=ONE_SCALE, across_spatial=False,
         channel_shared=True),
    fork("normalize_eps", "Normalize", "normalize", blobs=SCALES, channel_shared=False, eps=3),
    fork("normalize_scalar", "Normalize", "normalize", blobs=(((), "uniform 2 20"),), across_spatial=False),
    fork("axpy", "Axpy", "axpy", {"a": (2, 3, 1, 1), "x": (2, 3, 5, 7), "y": (2, 3, 5, 7)}),
    fork("axpy_matrix", "Axpy", "axpy", {"a": (2, 3), "x": (2, 3, 5, 7), "y": (2, 3, 5, 7)}),
    fork("bn_pspnet", "BN", "batch_norm_psp", blobs=vectors("normal", "normal", "normal", "variance")),
    fork("bn_pspnet_eps", "BN", "batch_norm_psp", blobs=vectors("normal", "normal", "normal", "variance"),
         slope_filler={"type": '"constant"', "value": 1}, eps=0.25, frozen=True),
    fork("bn_segnet", "BN", "batch_norm_segnet", blobs=vectors("normal", "normal"), bn_mode="INFERENCE",
         scale_filler={"type": '"constant"', "value": 1}),
    fork("bn_segnet_learn", "BN", "batch_norm_segnet", blobs=vectors("normal", "normal"), bn_mode="LEARN"),
    fork("depthwise", "ConvolutionDepthwise", "depthwise", oracle="opencv", blobs=DEPTHWISE, num_output=3,
         kernel_size=3, pad=1, stride=2),
    fork("depthwise_no_bias", "ConvolutionDepthwise", "depthwise", oracle="opencv", blobs=(((3, 1, 2, 3), "normal"),),
         num_output=3, bias_term=False, kernel_h=2, kernel_w=3, stride=1),
    fork("depthwise_yonghenglh6", "DepthwiseConvolution", "depthwise", blobs=DEPTHWISE, num_output=3, kernel_size=3,
         pad=1, stride=2, group=3),
    fork("depthwise_capital_w", "ConvolutionDepthWise", "depthwise", blobs=DEPTHWISE, num_output=3, kernel_size=3,
         pad=1, stride=1),
    interp("size", "opencv", height=9, width=11),
    interp("smaller", "opencv", height=3, width=4),
    interp("same", "opencv", height=5, width=7),
    interp("to_one", "opencv", height=1, width=13),
    interp("zoom", "opencv", zoom_factor=2),
    interp("shrink", shrink_factor=2),
    interp("shrink_zoom", shrink_factor=2, zoom_factor=3),
    interp("pad", height=8, width=9, pad_beg=-1, pad_end=-2),
    interp("pad_zoom", zoom_factor=3, pad_beg=0, pad_end=-1),
    interp("zoom_before_size", "opencv", height=4, width=4, zoom_factor=2),
    interp("size_before_both", height=4, width=4, zoom_factor=2, shrink_factor=3),
    fork("upsample_two", "Upsample", "upsample_nearest", scale=2),
    fork("upsample_three", "Upsample", "upsample_nearest", scale=3),
    fork("upsample_mask", "Upsample", "upsample_mask", MASKED, scale=2,
         values={"mask": "list 0 9 4 13 20 17 7 2 11 18 15 22"}),
    fork("upsample_mask_size", "Upsample", "upsample_mask", MASKED, upsample_h=3, upsample_w=5,
         values={"mask": "list 0 7 4 10 12 14 6 2 9 11 13 14"}),
    fork("upsample_mask_padded", "Upsample", "upsample_mask", MASKED, scale=2, pad_out_h=True,
         values={"mask": "list 0 9 4 12 14 17 7 2 11 13 15 16"}),
    fork("reorg", "Reorg", "reorg", {"data": (2, 8, 4, 6)}, oracle="opencv", stride=2),
    fork("reorg_three", "Reorg", "reorg", {"data": (2, 9, 3, 6)}, stride=3),
    fork("reorg_reverse", "Reorg", "reorg", {"data": (2, 8, 3, 5)}, stride=2, reverse=True),
    fork("relu6", "ReLU6", "relu6", oracle="opencv", low=-8, high=12),
    fork("relu6_slope", "ReLU6", "relu6", low=-8, high=12, negative_slope=0.25),
    fork("mish", "Mish", "mish", oracle="opencv", low=-25, high=25),
    fork("shuffle_channel", "ShuffleChannel", "shuffle_channel", {"data": (2, 12, 3, 5)}, oracle="opencv", group=3),
    fork("shuffle_channel_two", "ShuffleChannel", "shuffle_channel", {"data": (2, 6, 3, 5)}, oracle="opencv", group=2),
    regions("roi_pooling", (2, 2, 8, 11), pooled_h=3, pooled_w=2),
    regions("roi_pooling_scale", (2, 2, 5, 7), pooled_h=2, pooled_w=3, spatial_scale=0.5),
    prior("defaults", "reference", min_size=(6,)),
    prior("max", min_size=(6,), max_size=(11,), clip=False, variance=(0.1,)),
    prior("ssd", min_size=(6,), max_size=(11,), aspect_ratio=(2, 3), flip=True, clip=False,
          variance=(0.1, 0.1, 0.2, 0.2)),
    prior("no_flip", min_size=(6,), aspect_ratio=(2,), flip=False, clip=True, variance=(0.3,)),
    prior("several", min_size=(4, 7), max_size=(6, 12), aspect_ratio=(2,), flip=True, clip=False, variance=(0.1,)),
    prior("step", min_size=(6,), step=7, offset=0.25, clip=False, variance=(0.1,)),
    prior("step_h_w", "reference", min_size=(6,), step_h=5, step_w=8, img_h=20, img_w=40, clip=True),
    prior("img_size", "reference", min_size=(6,), img_size=25),
    prior("same_ratios", min_size=(6,), aspect_ratio=(1, 2, 0.5, 2), flip=True, clip=False, variance=(0.1,)),
    # the fork keeps sizes in an int: 6.7 is 6, and the square between it and 11.9 has a side of sqrt(66)
    prior("fractional_sizes", "reference", min_size=(6.7,), max_size=(11.9,), aspect_ratio=(2,)),
    detection("ssd", **SSD, nms_param={"nms_threshold": 0.45, "top_k": 400}, keep_top_k=200),
    detection("corner", **{**SSD, "code_type": "CORNER"}, nms_param=NMS, keep_top_k=50),
    detection("corner_size", "reference", **{**SSD, "code_type": "CORNER_SIZE"}, nms_param=NMS, keep_top_k=50),
    detection("defaults", "reference"),
    detection("own_locations", own=3, **{**SSD, "share_location": False}, nms_param=NMS, keep_top_k=50),
    detection("background", **{**SSD, "background_label_id": 2}, nms_param=NMS, keep_top_k=50),
    detection("no_background", "reference", **{**SSD, "background_label_id": -1}, nms_param=NMS, keep_top_k=50),
    detection("variance_in_target", "reference", **SSD, nms_param=NMS, keep_top_k=50, variance_encoded_in_target=True),
    detection("keep_top_k", **LOW, nms_param=LOOSE, keep_top_k=4),
    detection("keep_all", "reference", **LOW, nms_param=LOOSE, keep_top_k=-1),
    detection("nms_top_k", **LOW, nms_param={"nms_threshold": 0.6, "top_k": 3}, keep_top_k=50),
    detection("eta", "reference", **LOW, nms_param={"nms_threshold": 0.9, "eta": 0.7}, keep_top_k=50),
    detection("ties", confidence="choice 0.25 0.5 0.75", **SSD, nms_param={"nms_threshold": 0.3}, keep_top_k=50),
    detection("nothing", "reference", confidence="uniform 0 0.2", **SSD, nms_param=NMS, keep_top_k=50),
]

CASES = [
    *NEURONS, *ARGMAX, *NORMALISATION, *BROADCAST, *CONVOLUTION, *POOLING, *MOVING, *RECURRENT, *NETWORK, *OLD, *BINARY,
    *FORKS,
]

# fmt: on


def by_name(name: str) -> Case:
    return next(case for case in CASES if case.name == name)
