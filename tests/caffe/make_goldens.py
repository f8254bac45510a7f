"""Makes the goldens of `cases.py`: every case's network, weights, inputs and outputs, as its oracle computes them.

    python tests/caffe/make_goldens.py                    all cases
    python tests/caffe/make_goldens.py pool_ave lstm      these
    python tests/caffe/make_goldens.py --list             what there is

Two Pythons take part. This script starts Caffe's for the cases whose oracle is Caffe: the program named by
`--caffe-python` or the environment variable CAFFE_PYTHON, a Python 3.9 in which `import caffe` is BVLC Caffe 1.0; if
neither is given, `../shared/oracles/caffe-python` beside the repository. The Python that runs this script needs NumPy,
OpenCV and torch for the other cases. Files whose content would not change are not touched.
"""

# ruff: noqa: B905, zip has no `strict` in Caffe's Python 3.9

from __future__ import annotations

import argparse
import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import wire
from cases import CASES, Case, by_name

HERE = Path(__file__).resolve().parent
GOLDENS = HERE / "goldens"
DEFAULT_CAFFE = HERE.parents[2] / "shared" / "oracles" / "caffe-python"
STATISTICS = ("normal", "variance", "factor")  # BatchNorm's three blobs

Arrays = dict[str, np.ndarray]


# Random numbers. RandomState's streams are frozen by NumPy's promise; a Generator's are not.


def draw(kind: str, shape: tuple[int, ...], rng: np.random.RandomState) -> np.ndarray:
    """Numbers of one kind; the words after the kind are its parameters."""
    word, *numbers = kind.split()
    values = [float(number) for number in numbers]
    makers = {
        "uniform": lambda: rng.uniform(values[0], values[1], shape),
        "integers": lambda: rng.randint(int(values[0]), int(values[1]), shape),
        "list": lambda: np.reshape(values, shape),
        "one": lambda: np.ones(shape),
        "zero": lambda: np.zeros(shape),
        "normal": lambda: rng.normal(0, 0.5, shape),
        "variance": lambda: rng.uniform(0.5, 8, shape),
        "factor": lambda: np.full(shape, 2.5),
        "choice": lambda: rng.choice(values, shape),
        "priors": lambda: draw_priors(shape, rng),
    }
    return np.asarray(makers[word](), np.float32)


def draw_priors(shape: tuple[int, ...], rng: np.random.RandomState) -> np.ndarray:
    """What a PriorBox gives: corners of true boxes, (1, 2, 4 * boxes), and their variances."""
    boxes = shape[2] // 4
    centre, half = rng.uniform(0.2, 0.8, (boxes, 2)), rng.uniform(0.1, 0.3, (boxes, 2))
    corners = np.hstack([centre - half, centre + half])
    return np.stack([corners.ravel(), np.tile([0.1, 0.1, 0.2, 0.2], boxes)]).reshape(shape)


def draw_inputs(case: Case) -> Arrays:
    rng = np.random.RandomState(case.seed)
    usual = f"uniform {case.low} {case.high}"
    return {name: draw(case.values.get(name, usual), shape, rng) for name, shape in case.inputs.items()}


# Files.


def write(path: Path, data: bytes) -> None:
    if path.exists() and path.read_bytes() == data:
        return
    path.write_bytes(data)


def write_case(case: Case, inputs: Arrays, outputs: Arrays) -> None:
    check_outputs(case, outputs)
    buffer = io.BytesIO()
    np.savez(buffer, **{f"in:{k}": v for k, v in inputs.items()}, **{f"out:{k}": v for k, v in outputs.items()})
    write(GOLDENS / f"{case.name}.npz", buffer.getvalue())
    write(GOLDENS / f"{case.name}.prototxt", case.prototxt.encode())


def check_outputs(case: Case, outputs: Arrays) -> None:
    """A golden that any wrong answer could match is useless."""
    assert outputs, f"{case.name}: no outputs"
    for name, value in outputs.items():
        assert not np.isnan(value).any(), f"{case.name}: NaN in {name}"
        assert case.constant or value.any(), f"{case.name}: {name} is zero"
        assert case.constant or value.size == 1 or np.ptp(value.astype(np.float64)) > 0, f"{case.name}: {name} constant"


# The half that real Caffe computes.


def make_with_caffe(names: list[str]) -> None:
    """Each case in a process of its own, since a failed CHECK of Caffe's ends the process."""
    failed = [name for name in names if not made_in_child(by_name(name))]
    if failed:
        sys.exit(f"Caffe refused or failed: {' '.join(failed)}")


def made_in_child(case: Case) -> bool:
    child = os.fork()
    if child == 0:
        os._exit(0 if quietly(run_caffe, case) else 1)
    return os.waitpid(child, 0)[1] == 0


def quietly(function, case: Case) -> bool:
    try:
        function(case)
    except Exception as error:
        print(f"{case.name}: {type(error).__name__}: {error}", file=sys.stderr)
        return False
    return True


def run_caffe(case: Case) -> None:
    with tempfile.TemporaryDirectory() as folder:
        net = caffe_net(case, Path(folder))
        inputs = draw_inputs(case)
        fill_weights(case, net)
        outputs = forward(case, net, inputs)
        save_weights(case, net, Path(folder), inputs, outputs)
        write_case(case, inputs, outputs)


def caffe_net(case: Case, folder: Path, weights: Path | None = None):
    import caffe

    path = folder / "net.prototxt"
    path.write_text(case.oracle_prototxt)
    more = {"weights": str(weights)} if weights else {}
    return caffe.Net(str(path), caffe.TEST, level=case.level, stages=list(case.stages), **more)


def fill_weights(case: Case, net) -> None:
    """Random weights in the net's own blobs; a case without a weights file keeps its fillers'."""
    if not case.save:
        return
    rng = np.random.RandomState(case.seed ^ 1)
    kinds = {name: net_layer.type for name, net_layer in zip(net._layer_names, net.layers)}
    for name, parameters in net.params.items():
        usual = STATISTICS if kinds[name] == "BatchNorm" else ("normal",) * len(parameters)
        for kind, parameter in zip(case.weights.get(name, usual), parameters):
            if kind != "keep":
                parameter.data[...] = draw(kind, parameter.data.shape, rng)


def forward(case: Case, net, inputs: Arrays) -> Arrays:
    """Every output of the net, in Caffe's order, which is the order of the names."""
    for name, value in inputs.items():
        assert net.blobs[name].data.shape == value.shape, f"{case.name}: {name} is {net.blobs[name].data.shape}"
        net.blobs[name].data[...] = value
    net.forward()
    return {name: net.blobs[name].data.copy() for name in net.outputs}


def save_weights(case: Case, net, folder: Path, inputs: Arrays, outputs: Arrays) -> None:
    if not net.params or not case.save:
        return
    if case.binary == "hdf5":
        path = save_hdf5(case, net, folder)
    else:
        path = GOLDENS / f"{case.name}.caffemodel"
        write(path, weights_file(case, net, folder))
    # what was written must be what Caffe reads
    again = forward(case, caffe_net(case, folder, path), inputs)
    for name, value in outputs.items():
        np.testing.assert_array_equal(again[name], value)


def weights_file(case: Case, net, folder: Path) -> bytes:
    if case.binary == "caffe":
        net.save(str(folder / "net.caffemodel"))
        return (folder / "net.caffemodel").read_bytes()
    kinds = {name: net_layer.type for name, net_layer in zip(net._layer_names, net.layers)}
    layers = {name: (kinds[name], [p.data for p in parameters]) for name, parameters in net.params.items()}
    return wire.caffemodel(case.name, layers, case.binary)


def save_hdf5(case: Case, net, folder: Path) -> Path:
    """Caffe's HDF5 has times in it: an old file with the same numbers stays."""
    fresh, path = folder / "net.caffemodel.h5", GOLDENS / f"{case.name}.caffemodel.h5"
    net.save_hdf5(str(fresh))
    if not path.exists() or hdf5_numbers(fresh) != hdf5_numbers(path):
        path.write_bytes(fresh.read_bytes())
    return path


def hdf5_numbers(path: Path) -> dict[str, bytes]:
    import h5py

    found = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()].tobytes()

    with h5py.File(str(path), "r") as file:
        file.visititems(visit)
    return found


def make_mean() -> None:
    """mean.binaryproto, a BlobProto as compute_image_mean writes it, and its numbers."""
    from caffe.proto import caffe_pb2

    mean = np.random.RandomState(7).uniform(90, 130, (1, 3, 5, 7)).astype(np.float32)
    blob = caffe_pb2.BlobProto(num=1, channels=3, height=5, width=7, data=mean.ravel())
    write(GOLDENS / "mean.binaryproto", blob.SerializeToString())
    buffer = io.BytesIO()
    np.savez(buffer, mean=mean)
    write(GOLDENS / "mean.npz", buffer.getvalue())


# The half that OpenCV and the references compute.


def layer_types(prototxt: str) -> dict[str, str]:
    return dict(re.findall(r'layer \{ name: "([^"]*)" type: "([^"]*)"', prototxt))


def draw_weights(case: Case) -> dict[str, list[np.ndarray]]:
    rng = np.random.RandomState(case.seed ^ 1)
    return {name: [draw(kind, shape, rng) for shape, kind in specs] for name, specs in case.weights.items()}


def run_elsewhere(case: Case) -> None:
    inputs, weights = draw_inputs(case), draw_weights(case)
    kinds = layer_types(case.prototxt)
    encoded = wire.caffemodel(case.name, {name: (kinds[name], arrays) for name, arrays in weights.items()})
    if weights:
        write(GOLDENS / f"{case.name}.caffemodel", encoded)
    outputs = reference_outputs(case, inputs, weights)
    if case.oracle == "opencv":
        outputs = agreed(case, opencv_outputs(case, inputs, encoded), outputs)
    if case.oracle == "opencv rows":
        check_rows(case, opencv_outputs(case, inputs, encoded), outputs)
    write_case(case, inputs, outputs)


def agreed(case: Case, theirs: Arrays, ours: Arrays) -> Arrays:
    """OpenCV's answer, once the reference has the same."""
    assert list(theirs) == list(ours), f"{case.name}: OpenCV has {list(theirs)}"
    for name, value in theirs.items():
        assert value.shape == ours[name].shape, f"{case.name}: OpenCV has {value.shape}, not {ours[name].shape}"
        check_close(case, value, ours[name])
    return theirs


def check_rows(case: Case, theirs: Arrays, ours: Arrays) -> None:
    """The same detections: OpenCV sorts an image's rows by score alone, and appends zeros up to keep_top_k."""
    for name, value in ours.items():
        found = np.reshape(theirs[name], (-1, 7))
        found = found[found[:, 2] > 0]
        assert len(found) == value.shape[2], f"{case.name}: OpenCV has {len(found)} rows, not {value.shape[2]}"
        check_close(case, sorted_rows(found), sorted_rows(value[0, 0]))


def sorted_rows(rows: np.ndarray) -> np.ndarray:
    """By image, then label, then score, then left edge."""
    return rows[np.lexsort((rows[:, 3], rows[:, 2], rows[:, 1], rows[:, 0]))]


def check_close(case: Case, theirs: np.ndarray, ours: np.ndarray) -> None:
    scale = float(np.abs(ours).max())
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=case.tolerance * scale, err_msg=case.name)


def opencv_outputs(case: Case, inputs: Arrays, encoded: bytes) -> Arrays:
    import cv2

    # as buffers: a str or bytes would be a file's name
    files = [np.frombuffer(data, np.uint8) for data in (case.prototxt.encode(), encoded)]
    net = cv2.dnn.readNetFromCaffe(*files)
    for name, value in inputs.items():
        net.setInput(value, name)
    names = sorted(net.getUnconnectedOutLayersNames())
    return dict(zip(names, net.forward(names)))


def reference_outputs(case: Case, inputs: Arrays, weights: dict[str, list[np.ndarray]]) -> Arrays:
    import fork_reference

    blobs = [blob for arrays in weights.values() for blob in arrays]
    answers = getattr(fork_reference, case.reference)(*inputs.values(), *blobs, **case.arguments)
    answers = answers if isinstance(answers, tuple) else (answers,)
    return {name: np.ascontiguousarray(value, np.float32) for name, value in zip(case.outputs, answers)}


# Both halves.


def caffe_python(chosen: str | None) -> str:
    found = chosen or os.environ.get("CAFFE_PYTHON") or (DEFAULT_CAFFE.exists() and str(DEFAULT_CAFFE))
    if not found:
        sys.exit("No Python of Caffe: give --caffe-python or set CAFFE_PYTHON.")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="cases; all if none")
    parser.add_argument("--caffe-python", help="the Python with Caffe 1.0")
    parser.add_argument("--list", action="store_true", help="print the cases and stop")
    parser.add_argument("--caffe-half", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    wanted = [case for case in CASES if not options.names or case.name in options.names]
    if options.list:
        print("\n".join(f"{case.name:36} {case.oracle}" for case in wanted))
    elif options.caffe_half:
        make_mean()
        make_with_caffe([case.name for case in wanted])
    else:
        make_all(wanted, options.caffe_python)


def make_all(wanted: list[Case], python: str | None) -> None:
    GOLDENS.mkdir(exist_ok=True)
    assert len({case.name for case in CASES}) == len(CASES), "two cases of one name"
    theirs = [case.name for case in wanted if case.oracle == "caffe"]
    code = 0
    if theirs:
        command = [caffe_python(python), str(Path(__file__)), "--caffe-half", *theirs]
        code = subprocess.run(command, check=False).returncode
    failed = [case.name for case in wanted if case.oracle != "caffe" and not quietly(run_elsewhere, case)]
    if code or failed:
        sys.exit(f"not all goldens were made; outside Caffe: {' '.join(failed) or 'none failed'}")


if __name__ == "__main__":
    main()
