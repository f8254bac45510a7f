"""Train the demo network on scikit-learn's digits, with Caffe.

Two commands, because Caffe and scikit-learn seldom live in one Python:

    python train.py export digits.npz       # any Python with scikit-learn: writes the split data
    python train.py train digits.npz        # any Python with pycaffe 1.0: trains, measures, writes the files here

The second writes `digits.caffemodel` and `digits_test.npz` beside this script and prints the accuracy. On one thread
(OPENBLAS_NUM_THREADS=1), the same machine and libraries give the same bytes every time.

`digits_test.npz` holds the images that training never saw:

    images      uint8 (360, 1, 8, 8), 0 to 16; what the net takes, once cast to float32
    labels      uint8 (360,)
    caffe_prob  float32 (16, 10), what Caffe computes for the first 16 images with deploy.prototxt
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
SEED = 20
HELD_OUT = 360
BATCH = 64  # the TRAIN batch_size of train.prototxt
EPOCHS = 60  # times 22 batches: the max_iter of solver.prototxt


def export(path: str) -> None:
    """Write the data set, split once and for all, to an .npz that every numpy can read."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 1, 8, 8).astype(np.uint8)
    labels = labels.astype(np.uint8)
    ours, held, our_labels, held_labels = train_test_split(
        images, labels, test_size=HELD_OUT, random_state=SEED, stratify=labels
    )
    np.savez_compressed(path, train_images=ours, train_labels=our_labels, test_images=held, test_labels=held_labels)


def train(path: str) -> None:
    """Train, save the weights and the held-out images, and print how well the deployed net does on them."""
    import caffe

    data = np.load(path)
    images, labels = data["test_images"], data["test_labels"]
    os.chdir(str(HERE))  # solver.prototxt names its net relative to the working directory
    caffe.set_mode_cpu()
    caffe.set_random_seed(SEED)  # initial weights and dropout
    fit(caffe, data["train_images"], data["train_labels"]).save("digits.caffemodel")

    prob = deployed(caffe, images)
    accuracy = float(np.mean(prob.argmax(axis=1) == labels))
    # Two roads to one number: a difference means that train.prototxt and deploy.prototxt have drifted apart.
    assert abs(accuracy - tested(caffe, images, labels)) < 1e-6
    np.savez_compressed("digits_test.npz", images=images, labels=labels, caffe_prob=prob[:16])
    print(f"held-out accuracy {accuracy:.2%} ({len(labels)} images)")


def fit(caffe: Any, images: np.ndarray, labels: np.ndarray) -> Any:
    """Return the TRAIN net after EPOCHS passes over the images, each in a new but reproducible order."""
    solver = caffe.get_solver("solver.prototxt")
    net = solver.net  # one Python object for the whole run: it alone keeps the fed arrays alive
    order = np.random.RandomState(SEED)
    steps = len(images) // BATCH  # MemoryData wants whole batches; the order decides who sits out an epoch
    for epoch in range(EPOCHS):
        chosen = order.permutation(len(images))[: steps * BATCH]
        feed(net, images[chosen], labels[chosen])
        solver.step(steps)
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1}: loss {float(net.blobs['loss'].data):.4f}", flush=True)
    return net


def tested(caffe: Any, images: np.ndarray, labels: np.ndarray) -> float:
    """Accuracy by the net's own TEST phase, in one batch."""
    net = caffe.Net("train.prototxt", caffe.TEST, weights="digits.caffemodel")
    feed(net, images, labels)
    return float(net.forward()["accuracy"])


def deployed(caffe: Any, images: np.ndarray) -> np.ndarray:
    """Probabilities (N, 10) by the deployed net, one image at a time as its input shape says."""
    net = caffe.Net("deploy.prototxt", caffe.TEST, weights="digits.caffemodel")
    return np.stack([deployed_one(net, image) for image in images])


def deployed_one(net: Any, image: np.ndarray) -> np.ndarray:
    """Probabilities (10,) of one image (1, 8, 8)."""
    net.blobs["data"].data[0] = image
    prob: np.ndarray = net.forward()["prob"]
    return prob[0].copy()  # a view of the net's own memory: the next forward overwrites it


def feed(net: Any, images: np.ndarray, labels: np.ndarray) -> None:
    """Hand arrays to the net's MemoryData layer, which takes float32 only."""
    net.set_input_arrays(np.ascontiguousarray(images, np.float32), np.ascontiguousarray(labels, np.float32))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("export", "train"))
    parser.add_argument("path", help="the .npz that `export` writes and `train` reads")
    args = parser.parse_args()
    {"export": export, "train": train}[args.part](args.path)


if __name__ == "__main__":
    main()
