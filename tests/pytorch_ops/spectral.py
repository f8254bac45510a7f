"""Rows of netglot/frontends/pytorch/operators/spectral.py."""

from __future__ import annotations

import numpy as np

from tests.pytorch_ops.table import Row, T

R, C = T(2, 3, 6), T(2, 3, 6, dtype="complex64")
ODD = T(2, 3, 7)
HALF = T(2, 3, 4, dtype="complex64")
WINDOW = np.hanning(10).astype(np.float32) + np.float32(0.1)
NORMS = (None, "backward", "ortho", "forward")
ALL = ("tflite", "coreml", "cpp")
SOUND = T(2, 50)
SPECTRUM = T(2, 9, 5, dtype="complex64")


def _norms(op: str, x: object, **more: object) -> list[Row]:
    return [Row(op, x, norm=norm, name=f"{norm}", **more) for norm in NORMS]


ROWS = [
    *(Row("_fft_r2c", ODD, [1, 2], mode, onesided, row_rtol=2e-5) for mode in (0, 1, 2) for onesided in (True, False)),
    *(Row("_fft_c2c", C, [0, 2], mode, forward, row_rtol=2e-5) for mode in (0, 1, 2) for forward in (True, False)),
    *(Row("_fft_c2r", HALF, [0, 2], mode, size, row_rtol=2e-5) for mode in (0, 1, 2) for size in (6, 7)),
    *_norms("fft_fft", C),
    Row("fft_fft", R, 4, 1, name="real, longer"),
    Row("fft_fft", C, 4, name="shorter"),
    Row("fft_fft", T(2, 5, dtype="float64"), name="float64", row_rtol=1e-10),
    *_norms("fft_ifft", C),
    Row("fft_ifft", R, dim=1, name="real"),
    *_norms("fft_rfft", ODD),
    Row("fft_rfft", T(6), 9, name="longer"),
    Row("fft_rfft", T(2, 6, dtype="int32"), name="integers"),
    *_norms("fft_irfft", HALF),
    Row("fft_irfft", HALF, 7, 1, name="longer"),
    Row("fft_irfft", HALF, 3, name="shorter"),
    *_norms("fft_hfft", HALF, row_rtol=2e-5),
    Row("fft_hfft", HALF, 5, 1, name="longer"),
    *_norms("fft_ihfft", ODD),
    *_norms("fft_fft2", R, row_rtol=2e-5),
    *_norms("fft_ifft2", C, row_rtol=2e-5),
    *_norms("fft_rfft2", ODD, row_rtol=2e-5),
    *_norms("fft_irfft2", HALF, row_rtol=2e-5),
    Row("fft_irfft2", HALF, [5, 5], [0, 1], name="sizes", row_rtol=2e-5),
    Row("fft_fftn", C, row_rtol=2e-5),
    Row("fft_fftn", C, [4, 5], name="sizes", row_rtol=2e-5),
    Row("fft_ifftn", C, [4, -1], [0, 2], "ortho", row_rtol=2e-5),
    Row("fft_rfftn", ODD, row_rtol=2e-5),
    Row("fft_irfftn", HALF, None, [1, 2], row_rtol=2e-5),
    Row("fft_fftshift", T(2, 5, 6), row_targets=ALL),
    Row("fft_fftshift", C, [-1], name="complex"),
    Row("fft_ifftshift", T(2, 5, 6)),
    Row("fft_ifftshift", T(5, 3), [0], name="dim"),
    Row("fft_fftfreq", 7, 0.5),
    Row("fft_rfftfreq", 8, 2.0, dtype=np.float64),
    Row("stft", SOUND, 16, return_complex=True, row_dynamic=True),
    Row("stft", T(50), 16, 5, 10, WINDOW, True, return_complex=False, name="window", row_targets=ALL),
    Row("stft", SOUND, 15, 4, None, None, False, False, True, name="whole"),
    Row("stft.center", SOUND, 16, 5, 10, WINDOW, True, "reflect", False, True, True, row_dynamic=True),
    Row("stft.center", SOUND, 16, 5, 10, T(10), True, "constant", return_complex=False, name="computed window"),
    Row("istft", SPECTRUM, 16, 4, 10, WINDOW, row_rtol=3e-5),
    Row("istft", T(9, 5, dtype="complex64"), 16, 4, None, None, False, True, True, name="one", row_rtol=3e-5),
    Row("istft", SPECTRUM, 16, 5, 16, None, True, length=18, name="length", row_rtol=3e-5),
]  # fmt: skip
