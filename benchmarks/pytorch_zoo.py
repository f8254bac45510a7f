"""Networks of timm and torchvision, exported to .pt2 and converted: equal to torch, and how lean in TFLite.

    python benchmarks/pytorch_zoo.py [NAME...] [--targets onnx tflite mlpackage] [--json FILE]

Needs torch, torchvision and timm. Weights are random, images as small as a network takes (64 where it takes those).
First, how far torch itself goes from its result when the image is changed by 1e-7: where that is not far below 1e-5,
nothing can be said of the network; and the seconds of reading. Then for each target the largest difference from torch,
relative to an output's largest value, and the seconds of writing. Then the operators in TFLite, how many of them are
TRANSPOSE, and whether torch had to decompose the program.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parent.parent), str(Path(__file__).resolve().parent)]

BOUND = 1e-5

# One small network of each family of timm; after a colon the size of the image where that is not 64, and how many
# blocks where that is not what the network is known for.
TIMM = """
beit_base_patch16_224:32:2 botnet26t_256:256 caformer_s18 cait_xxs24_224:32:2 coat_tiny:64 coatnet_nano_rw_224:224
convit_tiny:32:2 convmixer_768_32 convnext_atto convnextv2_atto crossvit_tiny_240:240 cs3darknet_s cspresnet50
cspresnext50 davit_tiny deit_tiny_patch16_224:32:2 deit_tiny_distilled_patch16_224:32:2 deit3_small_patch16_224:32:2
densenet121 dla34 dm_nfnet_f0 dpn48b eca_nfnet_l0 ecaresnet26t edgenext_xx_small efficientformer_l1:224
efficientformerv2_s0:224 efficientnet_b0 efficientnet_lite0 efficientnetv2_rw_t efficientvit_b0 efficientvit_m0:224
eva02_tiny_patch14_224:28:2 fastvit_t8 fbnetv3_b focalnet_tiny_srf:224 gcvit_xxtiny:224 gernet_s ghostnet_100
ghostnetv2_100 ghostnetv3_100 gmixer_24_224:32 gmlp_s16_224:32 halonet26t:256 hgnetv2_b0 hiera_tiny_224:224
hrnet_w18_small inception_next_atto inception_resnet_v2:75 lambda_resnet26t:256 lcnet_050 levit_128s:224
mambaout_femto maxvit_rmlp_nano_rw_256:256 mixnet_s mobilenetv3_small_050 mobilenetv4_conv_small
mobilenetv4_hybrid_medium mobileone_s0 mobilevit_xxs mobilevitv2_050 mvitv2_tiny:224 nest_tiny:224 nextvit_small
nf_regnet_b0 nf_resnet50 pit_ti_224:224 poolformer_s12 poolformerv2_s12 pvt_v2_b0 rdnet_tiny regnetx_002 regnety_002
regnetz_005 repghostnet_050 repvgg_a0 repvit_m0_9 resmlp_12_224:32 res2net50_14w_8s resnest14d resnetblur50
resnetv2_50 rexnet_100 sam2_hiera_tiny:224 samvit_base_patch16:64:2 sebotnet33ts_256:256 selecsls42b sequencer2d_s:224
shvit_s1 skresnet18 starnet_s1 swiftformer_xs:224 swin_tiny_patch4_window7_224:224 swinv2_tiny_window8_256:256
swinv2_cr_tiny_224:224 tf_efficientnetv2_b0 tiny_vit_5m_224:224 tinynet_e tnt_s_legacy_patch16_224:224:2 tresnet_m
twins_pcpvt_small:64 twins_svt_small:64 vgg11_bn visformer_tiny:224 vit_tiny_patch16_224:32:2
vit_small_patch16_dinov3:64:2 vit_small_patch14_reg4_dinov2:28:2 vit_base_patch16_rope_reg1_gap_256:64:2
vit_relpos_small_patch16_224:32:2 vit_base_patch16_siglip_224:32:2 vit_srelpos_small_patch16_224:32:2
vitamin_small_224:64 volo_d1_224:224 ese_vovnet19b_dw xception41 xcit_nano_12_p16_224:32:2
naflexvit_base_patch16_gap:64:2 fasternet_t0 vit_pe_core_tiny_patch16_384:64:2 convnext_zepto_rms
aimv2_large_patch14_224:28:2 csatv2 convformer_s18 convnext_atto_ols darknet53 dla60_res2net fbnetc_100 gcresnext26ts
hardcorenas_a hgnet_tiny inception_v3:75 inception_v4:75 legacy_senet154:64 maxxvit_rmlp_nano_rw_256:256
mixer_s32_224:64 mnasnet_small mobilenet_edgetpu_100 mobilenetv1_100 mobilenetv2_100 mobilenetv5_300m:256
nasnetalarge:96 pnasnet5large:96 regnetv_040 repvit_m1_0 resnet10t resnet26d resnet33ts resnext26ts rexnetr_100
semnasnet_100 seresnet33ts spnasnet_100 tf_efficientnet_lite0 tf_mixnet_s vovnet39a wide_resnet50_2 hgnetv2_b4
sedarknet21
""".split()  # noqa: SIM905

# The rest of torchvision (see tests/torch_models.py).
TORCHVISION = """
alexnet googlenet inception_v3:75 maxvit_t:224 mnasnet0_5 mobilenet_v3_large regnet_x_400mf regnet_y_400mf
resnext50_32x4d shufflenet_v2_x0_5 squeezenet1_0 squeezenet1_1 swin_v2_t:64 vgg11 wide_resnet50_2 efficientnet_v2_s
segmentation.deeplabv3_mobilenet_v3_large segmentation.deeplabv3_resnet50 segmentation.lraspp_mobilenet_v3_large
video.r3d_18:32 video.mc3_18:32 video.r2plus1d_18:32 video.s3d:224 video.mvit_v1_b:224 video.mvit_v2_s:224
video.swin3d_t:64 optical_flow.raft_small:128 optical_flow.raft_large:128 detection.ssdlite320_mobilenet_v3_large:96
detection.ssd300_vgg16:300 detection.retinanet_resnet50_fpn:96 detection.fcos_resnet50_fpn:96
detection.fasterrcnn_mobilenet_v3_large_320_fpn:96 detection.maskrcnn_resnet50_fpn:96
detection.keypointrcnn_resnet50_fpn:96 quantization.mobilenet_v2
""".split()  # noqa: SIM905


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="those whose name begins so; all if none is given")
    parser.add_argument("--targets", nargs="+", default=["onnx", "tflite", "mlpackage"])
    parser.add_argument("--json", type=Path, help="a file to which each network adds a line")
    parser.add_argument("--limit", type=int, default=120, help="seconds for each export and each conversion")
    options = parser.parse_args()
    for name in chosen(options.names):
        found = measure(name, options.targets, options.limit)
        print(row(found, options.targets), flush=True)
        if options.json:
            with options.json.open("a") as file:
                file.write(json.dumps(found) + "\n")


def chosen(beginnings: list[str]) -> Iterator[str]:
    names = [f"timm.{name}" for name in TIMM] + [f"torchvision.{name}" for name in TORCHVISION]
    for name in names:
        short = name.removeprefix("timm.").removeprefix("torchvision.")
        if not beginnings or any(item.startswith(start) for start in beginnings for item in (name, short)):
            yield name


def row(found: dict[str, Any], targets: list[str]) -> str:
    line = f"{found['name'].split(':')[0]:<46}"
    if "failed" in found:
        return f"{line} {found['failed']}"
    line += f"{found['nudge']:8.0e} {found['load']:5.1f} s"
    for target in targets:
        item = found[target]
        line += f"{item['error']:9.1e} {item['seconds']:5.1f} s" if "error" in item else f"  {item['failed'][:300]}"
    count = found.get("tflite", {}).get("operators", {})
    verdict = "" if all(found[target].get("error", 1) <= BOUND for target in targets) else "  NOT EQUAL"
    verdict += "  decomposed" if found["decomposed"] else ""
    return f"{line}  {sum(count.values()):4d} {count.get('TRANSPOSE', 0):3d}{verdict}"


# ------------------------------------------------------------------------------------------------------- one network


def measure(name: str, targets: list[str], limit: int) -> dict[str, Any]:
    import netglot

    found: dict[str, Any] = {"name": name}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "net.pt2"
        try:
            with within(limit):
                args, expected, found["nudge"] = exported(name, path)
        except Exception as error:
            return found | {"failed": told(error)}
        try:
            with within(limit):
                found["decomposed"] = sorted(unknown(path))
                start = time.perf_counter()
                graph = netglot.load(path)
                found["load"] = time.perf_counter() - start
        except Exception as error:
            return found | {"failed": told(error)}
        for target in targets:
            found[target] = converted(graph, path.with_name(f"net.{target}"), args, expected, limit)
    return found


def exported(name: str, path: Path) -> tuple[list[Any], list[Any], float]:
    """The .pt2 of a network; its arguments, what torch computes of them, and how far a nudge takes it."""
    import torch

    torch.manual_seed(0)
    module, args = make(name)
    with torch.no_grad():
        expected, other = tensors(module(*args)), tensors(module(*moved(args)))
        torch.export.save(torch.export.export(module, args, strict=False), path)
    return tensors(args), expected, difference(expected, other)


def make(name: str) -> tuple[Any, tuple[Any, ...]]:
    """The module with random weights and statistics, and an image (or two, or a film) for it."""
    import torch

    from tests.torch_models import randomised, torchvision

    vision = torchvision()
    library, _, rest = name.partition(".")
    network, size, depth, *_ = *rest.split(":"), "", ""
    side = int(size or 64)
    if library == "timm":
        import timm

        options = sized(network, side) | ({"depth": int(depth)} if depth else {})
        return randomised(timm.create_model(network, pretrained=False, **options)), image(side)
    family, _, function = network.rpartition(".")
    options = {} if family == "optical_flow" else {"weights": None}
    if family in ("segmentation", "detection"):
        options["weights_backbone"] = None
    if family == "video":
        frames = 8 if "3d_18" in function or "r2plus" in function else 16
        args: tuple[Any, ...] = (torch.randn(1, 3, frames, side, side),)
    elif family == "optical_flow":
        args = (*image(side), *image(side))
    elif family == "detection":
        args = ([torch.rand(3, side, side)],)
    else:
        args = image(side)
    module = getattr(getattr(vision.models, family) if family else vision.models, function)(**options)
    return randomised(module), args


def sized(network: str, side: int) -> dict[str, Any]:
    """Networks that depend on the size of the image must be told it, where it is not the one they were made for."""
    import timm

    made_for = timm.get_pretrained_cfg(network)
    if made_for is None or not made_for.fixed_input_size or made_for.input_size[-1] == side:
        return {}
    return {"img_size": side}


def image(side: int) -> tuple[Any, ...]:
    import torch

    return (torch.randn(1, 3, side, side),)


def difference(expected: list[Any], actual: list[Any]) -> float:
    """The largest difference, relative to the largest value of its output."""
    if [item.shape for item in expected] != [item.shape for item in actual]:
        return float("inf")
    gaps = [
        (a.double() - b.double()).abs().max() / a.double().abs().max().clamp(1e-30)
        for a, b in zip(expected, actual, strict=True)
        if a.numel()
    ]
    worst = max(map(float, gaps), default=0.0)
    return worst if worst == worst else float("inf")  # NaN


def moved(item: Any) -> Any:
    import torch

    if isinstance(item, (list, tuple)):
        return type(item)(moved(part) for part in item)
    return item * (1 + 1e-7 * torch.randn(item.shape))


def tensors(item: Any) -> list[Any]:
    import torch

    if isinstance(item, torch.Tensor):
        return [item]
    parts = item.values() if isinstance(item, dict) else item if isinstance(item, (list, tuple)) else ()
    return [tensor for part in parts for tensor in tensors(part)]


def unknown(path: Path) -> set[str]:
    """The operators for which torch's decompositions are asked."""
    from netglot.frontends.options import LoadOptions
    from netglot.frontends.pytorch import decompose, sources, written

    program: Any = written.written_through(sources.read(path, LoadOptions()))
    changes = {"(changes in place)"} if decompose._needs_functions(program) else set()
    return decompose._unknown(program) | changes


def converted(graph: Any, out: Path, args: list[Any], expected: list[Any], limit: int) -> dict[str, Any]:
    import torch
    from keras_applications import operators

    import netglot
    from netglot.convert import open_model

    try:
        with within(limit):
            start = time.perf_counter()
            netglot.save(graph, out)
            seconds = time.perf_counter() - start
            runtime = open_model(out)
            feed = {item.name: tensor.numpy() for item, tensor in zip(runtime.inputs, args, strict=True)}
            actual = [torch.from_numpy(array) for array in runtime.run(feed).values()]
    except Exception as error:
        return {"failed": told(error)}
    found: dict[str, Any] = {"error": difference(expected, actual), "seconds": seconds}
    return found | ({"operators": operators(out.read_bytes())} if out.suffix == ".tflite" else {})


def told(error: Exception) -> str:
    if type(error).__name__ in ("AssertionError", "TypeError", "KeyError", "AttributeError", "IndexError"):
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {str(error)[:300]} ({Path(where.filename).name}:{where.lineno})"
    return f"{type(error).__name__}: {' '.join(str(error).split())[:600]}"


@contextlib.contextmanager
def within(seconds: int) -> Iterator[None]:
    """Raises TimeoutError after so many seconds, where the system has alarms."""
    import signal

    def late(*_: Any) -> None:
        raise TimeoutError(f"more than {seconds} s")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


if __name__ == "__main__":
    main()
