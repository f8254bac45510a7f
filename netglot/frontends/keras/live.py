"""A Keras model in memory: it saves itself to a file, which is read like any other.

Neither Keras nor TensorFlow is imported here; whoever has such an object has imported them already.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def is_model(item: object) -> bool:
    """Whether `item` is a model of Keras or tf.keras, told by the modules of its classes."""
    modules = [base.__module__.split(".") for base in type(item).__mro__]
    is_keras = any(parts[0] in ("keras", "tf_keras") or parts[:3] == ["tensorflow", "python", "keras"]
                   for parts in modules)  # fmt: skip
    return is_keras and hasattr(item, "save")


@contextmanager
def saved(model: Any) -> Iterator[Path]:
    """A file of the model, for as long as it takes to read it.

    What was mapped stays readable after the file is gone; where a system keeps it open (Windows) it is left behind in
    the folder for temporary files.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        name = re.sub(r"\W+", "_", str(getattr(model, "name", "model")))[:80]
        path = Path(folder) / f"{name}.keras"
        model.save(path)
        if not path.is_file():  # tf.keras before 2.12 makes a folder of it
            path = path.with_suffix(".h5")
            model.save(path)
        yield path
