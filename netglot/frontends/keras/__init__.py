"""Keras: .keras archives, .h5 of every era, .json with weights."""

import importlib
import pkgutil

from netglot.frontends.keras.builder import KerasBuilder, keras_layer, keras_op, tf_function
from netglot.frontends.keras.reader import load

for _module in pkgutil.iter_modules(__path__):  # until all families are there
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["KerasBuilder", "keras_layer", "keras_op", "load", "tf_function"]
