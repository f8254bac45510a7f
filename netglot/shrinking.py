"""What convert() and save() take for netglot.quantize, which is imported only where something is asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from netglot import formats
from netglot.errors import ConversionError
from netglot.formats import Format

if TYPE_CHECKING:
    from netglot.quantize.request import Request

# Besides `quantize` and `compress`: see netglot.quantize.request.Request.
ARGUMENTS = ("calibrate", "preprocess", "method", "quantize_io", "max_drop", "evaluate", "executor")


def taken(options: dict[str, Any]) -> dict[str, Any]:
    """Those of `options` that are for netglot.quantize, which are taken out of it."""
    return {name: options.pop(name) for name in ARGUMENTS if name in options}


def request_of(chosen: Format, given: Mapping[str, Any]) -> Request | None:
    """None if neither quantisation nor compression is asked for.

    ConversionError, before any work is done, for what the format does not have, or what does not go together.
    """
    asked = {name: item for name, item in given.items() if not (item is None or (isinstance(item, str) and not item))}
    if given.get("compress") == "":  # of a variable of a script that is not set, say
        raise ConversionError("--compress does not say how", hint="Possible: lossless, prune:0.6, palettize:4")
    if "quantize" not in asked and "compress" not in asked:
        if asked:
            raise ConversionError(f"{', '.join(asked)}: only with --quantize or --compress")
        return None
    quantize = asked.get("quantize")
    if quantize and quantize not in chosen.quantize:
        able = [name for name, item in formats.FORMATS.items() if quantize in item.quantize]
        what = f"{chosen.title} has no --quantize {quantize}; it works for {', '.join(able) or 'none'}"
        raise ConversionError(what, hint=f"Possible: {', '.join(sorted(chosen.quantize)) or 'nothing'}")
    from netglot.quantize.request import Request

    asked["io"] = asked.pop("quantize_io", "float")
    request = Request(**asked)
    request.check(chosen.name, chosen.compress)
    if "method" in asked and not request.sees_ranges(chosen.name):
        raise ConversionError("--method says how int8, uint8 and int16x8 choose ranges; nothing else does")
    return request
