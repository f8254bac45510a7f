"""Run by MXNet's own Python: exports a network of Gluon with random weights, and what it computes.

    python mxnet_zoo.py NAME SIZE FOLDER DTYPE WIDTH

WIDTH is "full" or "half", which has half of the channels.

writes FOLDER/net-symbol.json, net-0000.params and net.npz, which holds the inputs by name and the outputs as out0...
"""

import sys
from unittest.mock import patch

import mxnet as mx
import numpy as np
from mxnet.gluon import nn, rnn
from mxnet.gluon.model_zoo import vision


class Tagger(nn.HybridSequential):
    """A recurrent network whose states begin as zeros: [T, N, 5] to [T, N, 4]."""

    def __init__(self):
        super().__init__()
        self.add(rnn.LSTM(7, num_layers=2, bidirectional=True, input_size=5), nn.Dense(4, flatten=False))


class Unrolled(mx.gluon.HybridBlock):
    """Cells that are unrolled into plain operators: [N, 6, 5] to [N, 6, 7]."""

    def __init__(self):
        super().__init__()
        with self.name_scope():
            self.cells = rnn.HybridSequentialRNNCell()
            self.cells.add(rnn.LSTMCell(7, input_size=5))
            self.cells.add(rnn.GRUCell(7, input_size=7))

    def hybrid_forward(self, F, x):
        outputs, _ = self.cells.unroll(6, x, layout="NTC", merge_outputs=True)
        return outputs


class Detector(mx.gluon.HybridBlock):
    """As SSD: two scales, three classes."""

    def __init__(self):
        super().__init__()
        with self.name_scope():
            self.stem = nn.HybridSequential()
            self.stem.add(nn.Conv2D(8, 3, 2, 1), nn.BatchNorm(), nn.Activation("relu"), nn.Conv2D(8, 3, 2, 1))
            self.second = nn.Conv2D(8, 3, 2, 1, activation="relu")
            self.classes = [nn.Conv2D(3 * 4, 3, 1, 1) for _ in range(2)]
            self.places = [nn.Conv2D(3 * 4, 3, 1, 1) for _ in range(2)]
            for block in (*self.classes, *self.places):
                self.register_child(block)

    def hybrid_forward(self, F, x):
        first = self.stem(x)
        scales = [first, self.second(first)]
        priors = [
            F.contrib.MultiBoxPrior(y, sizes=(size, size * 1.4), ratios=(1, 2), clip=True)
            for y, size in zip(scales, (0.2, 0.5), strict=False)
        ]

        def flat(heads):
            return [F.flatten(F.transpose(head(y), axes=(0, 2, 3, 1))) for head, y in zip(heads, scales, strict=False)]

        scores = F.reshape(F.concat(*flat(self.classes), dim=1), shape=(0, -1, 4))
        probabilities = F.softmax(F.transpose(scores, axes=(0, 2, 1)), axis=1)
        return F.contrib.MultiBoxDetection(
            probabilities, F.concat(*flat(self.places), dim=1), F.concat(*priors, dim=1), nms_threshold=0.4, nms_topk=60
        )


OWN = {"tagger": (Tagger, (6, 2, 5)), "unrolled": (Unrolled, (2, 6, 5)), "detector": (Detector, (2, 3, 45, 62))}


DENSE, CONV = nn.Dense, nn.Conv2D


def narrow(units, **options):
    """The dense layers of 4096 units have as many weights as all the rest together."""
    return DENSE(min(units, 96), **{**options, "in_units": 0})


def half(channels, *arguments, in_channels=0, **options):
    return CONV(channels // 2, *arguments, in_channels=in_channels // 2, **options)


def randomise(net, random, dtype):
    """Weights that keep the size of what goes through, statistics that are no defaults; numbers that `dtype` has."""
    for name, parameter in net.collect_params().items():
        shape = parameter.shape
        if name.endswith("running_var"):
            value = random.uniform(0.7, 1.5, shape)
        elif name.endswith("gamma"):
            value = random.uniform(0.8, 1.2, shape)
        elif len(shape) == 1:
            value = random.normal(0, 0.1, shape)
        else:
            value = random.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
        parameter.set_data(mx.nd.array(value.astype(dtype), dtype="float32"))


def main(name, size, folder, dtype, width):
    random = np.random.RandomState(0)
    mx.random.seed(0)
    make, shape = OWN.get(name) or (lambda: vision.get_model(name, classes=17), (1, 3, int(size), int(size)))
    with patch.object(nn, "Dense", narrow), patch.object(nn, "Conv2D", half if width == "half" else CONV):
        net = make()
    net.initialize(mx.init.Xavier())
    x = mx.nd.array(random.uniform(-1, 1, shape).astype(dtype), dtype="float32")
    net.hybridize()
    net(x)
    randomise(net, random, dtype)
    y = net(x)
    if dtype != "float32":  # on a CPU MXNet writes networks of halves, but can't compute them
        net.cast(dtype)
        net._build_cache(x)
    net.export(f"{folder}/net")
    np.savez(f"{folder}/net.npz", data=x.asnumpy().astype(dtype), out0=y.asnumpy().astype(dtype))


main(*sys.argv[1:])
