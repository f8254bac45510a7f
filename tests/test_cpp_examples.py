"""The programs in examples/cpp: built as their texts say, around the digits network, and run where they can be."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import netglot
from netglot.backends.cpp import save
from netglot.ir.builder import Builder
from netglot.ir.graph import Graph
from tests import oracles
from tests.test_targets import assert_close

EXAMPLES = oracles.ROOT / "examples" / "cpp"
DIGITS = oracles.ROOT / "examples" / "digits"
OURS = Path(__file__).parent / "cpp"
STRICT = ["-std=c++17", "-Wall", "-Wextra", "-Werror"]
BARE = ["-Os", "-fno-exceptions", "-fno-rtti", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"]
CORTEX_M4 = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "--specs=nosys.specs"]
CORTEX_A9 = ["-mcpu=cortex-a9", "-marm", "-mfloat-abi=hard", "-mfpu=vfpv3-d16", "--specs=rdimon.specs"]
SOURCES = ("model.cpp", "layers_0.cpp", "weights.cpp")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits") / "digits_cpp"
    netglot.convert(DIGITS / "deploy.prototxt", folder, weights=DIGITS / "digits.caffemodel", verify=False)
    return folder


def samples() -> tuple[np.ndarray, np.ndarray]:
    """Images, and what real Caffe says of them."""
    with np.load(DIGITS / "digits_test.npz") as file:
        scores = file["caffe_prob"]
        return file["images"][: len(scores)].astype(np.float32).reshape(-1, 64), scores


def need(*tools: str) -> None:
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"there is no {tool} here (make toolchains)")


def call(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


TWO = """
#include "first/model.h"
#include "second/model.h"

int main() {
  const float x[2] = {1, 2};
  float y[2] = {}, z[2] = {};
  First::Model first;
  Second::Model second;
  if (first.run({x}, {y}) != netglot::Status::ok || second.run({y}, {z}) != netglot::Status::ok) return 1;
  return z[0] == 6 && z[1] == 8 ? 0 : 2;  // (x + 2) * 2
}
"""
PROJECT = """
cmake_minimum_required(VERSION 3.10)
project(app CXX)
set(CMAKE_CXX_STANDARD 17)
add_subdirectory(first)
add_subdirectory(second)
add_executable(app app.cpp)
target_link_libraries(app PRIVATE First Second)
"""


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_two_models_in_one_program(compiler: str, tmp_path: Path) -> None:
    need("cmake", compiler)
    for name, graph, op in (("first", "main_graph", "Add"), ("second", "torch_jit", "Mul")):
        g = Builder(Graph(graph))  # what exporters call every network does not name the code: the folder does
        x = g.graph.add_input("x", np.dtype(np.float32), (2,))
        g.graph.outputs = [getattr(g, op)(x, np.array([2, 2], np.float32))]
        save(g.graph, tmp_path / name, threads=2)
    (tmp_path / "app.cpp").write_text(TWO)
    (tmp_path / "CMakeLists.txt").write_text(PROJECT)
    flags = ["-DCMAKE_CXX_FLAGS=-O0 -Wall -Wextra -Werror -DNETGLOT_ONLY=0", f"-DCMAKE_CXX_COMPILER={compiler}"]
    call("cmake", "-S", tmp_path, "-B", tmp_path / "build", "-DCMAKE_BUILD_TYPE=None", *flags)
    call("cmake", "--build", tmp_path / "build")
    call(tmp_path / "build" / "app")


@pytest.mark.parametrize("protect", [False, True])
def test_weights_as_an_array_for_compilers_without_incbin(protect: bool, tmp_path: Path) -> None:
    need("cmake")
    g = Builder(Graph("net"))
    x = g.graph.add_input("x", np.dtype(np.float32), (3,))
    g.graph.outputs = [g.Add(x, np.array([1, 2, 3], np.float32))]
    save(g.graph, tmp_path / "net", protect=protect)
    call("cmake", "-S", tmp_path / "net", "-B", tmp_path / "build", "-DWEIGHTS_ARRAY=ON", "-DCMAKE_BUILD_TYPE=None")
    call("cmake", "--build", tmp_path / "build")
    call(tmp_path / "build" / "run", "--repeat", "1")  # it proves its weights


def built(example: str, digits: Path, folder: Path, *options: str) -> Path:
    """The CMake project of an example, with all warnings as errors; for one level, as compiling takes the time."""
    need("cmake")
    flags = "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror -DNETGLOT_ONLY=0"
    call("cmake", "-S", EXAMPLES / example, "-B", folder, f"-DMODEL={digits}", flags, *options)
    call("cmake", "--build", folder)
    return folder


def test_the_desktop_program_reads_digits(digits: Path, tmp_path: Path) -> None:
    program = built("desktop", digits, tmp_path / "build") / "read_digit"
    for image, scores in zip(*samples(), strict=True):
        (tmp_path / "image.pgm").write_text("P2 8 8 16\n" + " ".join(str(int(pixel)) for pixel in image))
        assert int(call(program, tmp_path / "image.pgm").split()[0]) == scores.argmax()
    (tmp_path / "image.pgm").write_text("P2 8 8 16\n1 2 3")
    assert subprocess.run([program, tmp_path / "image.pgm"], capture_output=True, check=False).returncode == 2


JAVA_CHECK = """
import org.example.Digits;

public final class Check {
    public static void main(String[] arguments) {
        float[] pixels = new float[64];
        for (int i = 0; i < 64; ++i) pixels[i] = Float.parseFloat(arguments[i]);
        try (Digits one = new Digits(); Digits other = new Digits()) {
            other.run(new float[64]); // changes nothing of the other
            for (float score : one.run(pixels)) System.out.println(score);
        }
    }
}
"""


def test_java_reads_digits(digits: Path, tmp_path: Path) -> None:
    need("javac", "java")
    home = Path(shutil.which("javac") or "").resolve().parent.parent
    library = built("jni", digits, tmp_path / "build", f"-DJAVA_HOME={os.environ.get('JAVA_HOME', home)}")
    (tmp_path / "Check.java").write_text(JAVA_CHECK)
    sources = EXAMPLES / "jni"
    call("javac", "-Xlint:all", "-Werror", "-d", tmp_path, "-sourcepath", sources, tmp_path / "Check.java")
    images, scores = samples()
    found = call("java", "-cp", tmp_path, f"-Djava.library.path={library}", "Check", *images[3])
    assert_close(np.array(found.split(), np.float32), scores[3], 1e-5)


def test_the_objective_c_class_compiles(digits: Path) -> None:
    """Against as much of Foundation as it names (it is Apple's), so this shows no more than that."""
    need("clang++")
    flags = ["-x", "objective-c++", "-fobjc-arc", "-fsyntax-only", "-Wno-objc-root-class", "-fobjc-runtime=ios"]
    call("clang++", *STRICT, *flags, "-I", digits, "-I", OURS / "objc_stub", EXAMPLES / "objc" / "DigitsNetwork.mm")


def bare(digits: Path, main: Path, folder: Path, flags: Sequence[str]) -> Path:
    """A program without an operating system."""
    program = folder / "digits.elf"
    sources = [*(digits / name for name in SOURCES), main]
    where = ["-DNETGLOT_ONLY=0", "-I", digits, "-I", folder]
    call("arm-none-eabi-g++", *STRICT, *BARE, *flags, *where, *sources, "-o", program)
    return program


def test_it_fits_into_a_microcontroller(digits: Path, tmp_path: Path, record_property: pytest.RecordProperty) -> None:
    """A Cortex-M4 with 128 KB of flash and 32 KB of memory has room to spare."""
    need("arm-none-eabi-g++", "arm-none-eabi-size")
    program = bare(digits, EXAMPLES / "cortex_m" / "main.cpp", tmp_path, CORTEX_M4)
    text, data, bss = (int(size) for size in call("arm-none-eabi-size", program).splitlines()[1].split()[:3])
    print(f"flash {text + data} bytes, RAM {data + bss} bytes")
    record_property("flash", text + data)
    record_property("ram", data + bss)
    weights = (digits / "weights.bin").stat().st_size
    assert weights < text + data < weights + 32 * 1024
    assert data + bss < 32 * 1024


def test_plain_loops_compute_the_same(digits: Path, tmp_path: Path) -> None:
    """The code of microcontrollers on a 32-bit ARM, which there is an emulator for."""
    need("arm-none-eabi-g++", "qemu-arm")
    images, scores = samples()
    (tmp_path / "image.h").write_text(f"static const float image[] = {{{', '.join(map(str, images[3]))}}};\n")
    program = bare(digits, OURS / "bare_metal.cpp", tmp_path, CORTEX_A9)
    found = call("qemu-arm", "-cpu", "cortex-a9", program)
    assert_close(np.array(found.split(), np.float32), scores[3], 1e-5)
