"""Proof that a converted model computes what its source computes."""

from netglot.verify.bisect import first_departure
from netglot.verify.compare import RTOL, Difference, compare
from netglot.verify.inputs import random_inputs, read_inputs
from netglot.verify.report import Report
from netglot.verify.verify import differences

__all__ = [
    "RTOL", "Difference", "Report", "compare", "differences", "first_departure", "random_inputs", "read_inputs",
]  # fmt: skip
