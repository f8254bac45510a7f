"""The generated code's SHA-256 and ChaCha20-Poly1305, held against the standards' vectors and other implementations."""

from __future__ import annotations

import hashlib
import mmap
import random
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from netglot.backends.cpp.seal import LONGEST, read_key, seal
from netglot.errors import ConversionError
from tests import oracles

RUNTIME = oracles.ROOT / "netglot/backends/cpp/runtime"
STRICT = ["-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{RUNTIME}"]

# Reads questions of the form: letter, number of parts, their sizes, the parts; answers in bytes. Each part has memory
# of exactly its size, so that a sanitizer sees the byte beyond it.
PROGRAM = r"""
#include <cstdio>
#include <cstdlib>
#include <vector>
#include "seal.h"
#include "sha256.h"

using Bytes = std::vector<unsigned char>;

std::uint64_t number() {
  unsigned char bytes[8];
  if (std::fread(bytes, 1, 8, stdin) != 8) std::exit(1);
  std::uint64_t x = 0;
  for (int i = 7; i >= 0; --i) x = x << 8 | bytes[i];
  return x;
}

void answer(const Bytes& bytes) {
  if (!bytes.empty()) std::fwrite(bytes.data(), 1, bytes.size(), stdout);
}

void digest(const std::vector<Bytes>& parts, bool fast) {
  netglot::Sha256 sha;
  unsigned char out[32];
  sha.fast = sha.fast && fast;
  for (const Bytes& part : parts) sha.update(part.data(), part.size());
  sha.finish(out);
  std::fwrite(out, 1, sizeof out, stdout);
}

void mac(const Bytes& key, const Bytes& data) {
  unsigned char tag[16];
  netglot::Poly1305 poly(key.data());
  const std::size_t whole = data.size() / 16;
  poly.add(data.data(), whole);
  if (data.size() % 16 != 0) std::exit(2);
  poly.finish(tag);
  std::fwrite(tag, 1, sizeof tag, stdout);
}

void open(const std::vector<Bytes>& p, bool in_place) {
  Bytes out = in_place ? p[3] : Bytes(p[3].size(), 0xee);
  const unsigned char* from = in_place ? out.data() : p[3].data();
  const bool good = netglot::open(p[0].data(), p[1].data(), p[2].data(), p[2].size(), from, p[3].size(), p[4].data(),
                                  out.data());
  std::putchar(good);
  answer(out);
}

int main() {
  for (int what; (what = std::getchar()) != EOF;) {
    std::vector<std::uint64_t> sizes(number());
    for (std::uint64_t& size : sizes) size = number();
    std::vector<Bytes> parts;
    for (const std::uint64_t size : sizes) {
      parts.emplace_back(size);
      if (std::fread(parts.back().data(), 1, size, stdin) != size) return 1;
    }
    if (what == 'h' || what == 'H') digest(parts, what == 'H');
    if (what == 'p') mac(parts[0], parts[1]);
    if (what == 'o' || what == 'O') open(parts, what == 'O');
    if (what == 'c') {
      const std::uint32_t counter = netglot::little_endian(parts[2].data());
      Bytes out(parts[3].size());
      netglot::chacha::apply(parts[0].data(), parts[1].data(), counter, parts[3].data(), out.size(), out.data());
      answer(out);
    }
    if (what == 'l') {  // longer than the cipher can be, and not there at all: nothing may be read
      const unsigned char none[32] = {};
      const std::uint64_t size = (std::uint64_t{1} << 38) - 63;
      std::putchar(sizeof(std::size_t) == 8 &&
                   netglot::open(none, none, none, 0, nullptr, std::size_t(size), none, nullptr));
    }
    std::fflush(stdout);
  }
}
"""

BUILDS = {
    "g++": ["g++", *STRICT],
    "clang++": ["clang++", *STRICT],
    "sanitized": ["g++", *STRICT, "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    "sanitized-clang": ["clang++", *STRICT, "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    "32-bit-limbs": [
        "g++",
        *STRICT,
        "-U__SIZEOF_INT128__",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
    ],
    "one-block": ["g++", *STRICT, "-U__SSE2__", "-fsanitize=undefined", "-fno-sanitize-recover=all"],
    "aarch64": ["aarch64-linux-gnu-g++", *STRICT, "-static"],
    "aarch64-crypto": ["aarch64-linux-gnu-g++", *STRICT, "-static", "-march=armv8-a+crypto"],
}

Ask = Callable[..., bytes]


def question(what: str, *parts: bytes) -> bytes:
    sizes = struct.pack(f"<{1 + len(parts)}Q", len(parts), *map(len, parts))
    return what.encode() + sizes + b"".join(parts)


@pytest.fixture(scope="module", params=BUILDS)
def ask(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Puts questions to a program with the runtime's headers, built by one of the compilers."""
    command = BUILDS[request.param]
    emulator = ["qemu-aarch64"] if request.param.startswith("aarch64") else []
    if not all(shutil.which(program) for program in [command[0], *emulator]):
        pytest.skip(f"{command[0]} or what runs its programs is not here")
    folder = tmp_path_factory.mktemp("crypto")
    (folder / "main.cpp").write_text(PROGRAM)
    subprocess.run([*command, "-o", str(folder / "main"), str(folder / "main.cpp")], check=True)

    def ask(*questions: bytes) -> bytes:
        command = [*emulator, str(folder / "main")]
        return subprocess.run(command, input=b"".join(questions), check=True, stdout=subprocess.PIPE).stdout

    return ask


# ---------------------------------------------------------------------- SHA-256


@pytest.mark.parametrize("path", "hH")
def test_sha256_gives_the_vectors_of_the_standard(ask: Ask, path: str) -> None:
    """The examples that NIST publishes with FIPS 180-4."""
    two_blocks = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"
    assert ask(question(path, b"abc")).hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert ask(question(path, two_blocks)).hex() == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    assert ask(question(path)).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    million = ask(question(path, b"a" * 1_000_000)).hex()
    assert million == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"


@pytest.mark.parametrize("path", "hH")
def test_sha256_equals_hashlib(ask: Ask, path: str) -> None:
    rng = random.Random(1)
    messages = [rng.randbytes(size) for size in range(201)] + [rng.randbytes(1 << 20)]
    found = ask(*(question(path, message) for message in messages))
    assert found == b"".join(hashlib.sha256(message).digest() for message in messages)


@pytest.mark.parametrize("path", "hH")
def test_sha256_does_not_depend_on_the_pieces(ask: Ask, path: str) -> None:
    rng = random.Random(2)
    pieces = [[rng.randbytes(rng.choice([0, 1, 3, 55, 56, 63, 64, 65, 128, 500])) for _ in range(9)] for _ in range(60)]
    found = ask(*(question(path, *parts) for parts in pieces))
    assert found == b"".join(hashlib.sha256(b"".join(parts)).digest() for parts in pieces)


# --------------------------------------------------------------------- RFC 8439

SUNSCREEN = (
    b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
    b"future, sunscreen would be it."
)
IETF = (
    b"Any submission to the IETF intended by the Contributor for publication as all or part of an IETF Internet-Draft "
    b'or RFC and any statement made within the context of an IETF activity is considered an "IETF Contribution". Such '
    b"statements include oral statements in IETF sessions, as well as written and electronic communications made at "
    b"any time or place, which are addressed to"
)
BRILLIG = (
    b"'Twas brillig, and the slithy toves\nDid gyre and gimble in the wabe:\n"
    b"All mimsy were the borogoves,\nAnd the mome raths outgrabe."
)
DRAFTS = (
    "Internet-Drafts are draft documents valid for a maximum of six months and may be updated, replaced, or obsoleted "
    "by other documents at any time. It is inappropriate to use Internet-Drafts as reference material or to cite them "
    "other than as /“work in progress./”"
)
KEY_A = "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0"
ZEROS, ONE = "00" * 32, "00" * 31 + "01"

CHACHA = {  # key, nonce, counter, text, what becomes of it
    "2.3.2": (bytes(range(32)).hex(), "000000090000004a00000000", 1, bytes(64),
        """10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e
        d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"""),
    "2.4.2": (bytes(range(32)).hex(), "000000000000004a00000000", 1, SUNSCREEN,
        """6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0bf91b65c5524733ab8f593dabcd62b357
        1639d624e65152ab8f530c359f0861d807ca0dbf500d6a6156a38e088a22b65e52bc514d16ccf806818ce91ab7793736
        5af90bbf74a35be6b40b8eedf2785e42874d"""),
    "A.1 #1": (ZEROS, "00" * 12, 0, bytes(64),
        """76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7
        da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"""),
    "A.1 #2": (ZEROS, "00" * 12, 1, bytes(64),
        """9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed
        29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f"""),
    "A.1 #3": (ONE, "00" * 12, 1, bytes(64),
        """3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a
        8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0"""),
    "A.1 #4": ("00ff" + "00" * 30, "00" * 12, 2, bytes(64),
        """72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca
        13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096"""),
    "A.1 #5": (ZEROS, "00" * 11 + "02", 0, bytes(64),
        """c2c64d378cd536374ae204b9ef933fcd1a8b2288b3dfa49672ab765b54ee27c7
        8a970e0e955c14f3a88e741b97c286f75f8fc299e8148362fa198a39531bed6d"""),
    "A.2 #2": (ONE, "00" * 11 + "02", 1, IETF,
        """a3fbf07df3fa2fde4f376ca23e82737041605d9f4f4f57bd8cff2c1d4b7955ec2a97948bd3722915c8f3d337f7d37005
        0e9e96d647b7c39f56e031ca5eb6250d4042e02785ececfa4b4bb5e8ead0440e20b6e8db09d881a7c6132f420e527950
        42bdfa7773d8a9051447b3291ce1411c680465552aa6c405b7764d5e87bea85ad00f8449ed8f72d0d662ab052691ca66
        424bc86d2df80ea41f43abf937d3259dc4b2d0dfb48a6c9139ddd7f76966e928e635553ba76c5c879d7b35d49eb2e62b
        0871cdac638939e25e8a1e0ef9d5280fa8ca328b351c3c765989cbcf3daa8b6ccc3aaf9f3979c92b3720fc88dc95ed84
        a1be059c6499b9fda236e7e818b04b0bc39c1e876b193bfe5569753f88128cc08aaa9b63d1a16f80ef2554d7189c411f
        5869ca52c5b83fa36ff216b9c1d30062bebcfd2dc5bce0911934fda79a86f6e698ced759c3ff9b6477338f3da4f9cd85
        14ea9982ccafb341b2384dd902f3d1ab7ac61dd29c6f21ba5b862f3730e37cfdc4fd806c22f221"""),
    "A.2 #3": (KEY_A, "00" * 11 + "02", 42, BRILLIG,
        """62e6347f95ed87a45ffae7426f27a1df5fb69110044c0d73118effa95b01e5cf166d3df2d721caf9b21e5fb14c616871
        fd84c54f9d65b283196c7fe4f60553ebf39c6402c42234e32a356b3e764312a61a5532055716ead6962568f87d3f3f77
        04c6a8d1bcd1bf4d50d6154b6da731b187b58dfd728afa36757a797ac188d1"""),
    "A.4 #1": (ZEROS, "00" * 12, 0, bytes(32), "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"),
    "A.4 #2": (ONE, "00" * 11 + "02", 0, bytes(32),
        "ecfa254f845f647473d3cb140da9e87606cb33066c447b87bc2666dde3fbb739"),
    "A.4 #3": (KEY_A, "00" * 11 + "02", 0, bytes(32),
        "965e3bc6f9ec7ed9560808f4d229f94b137ff275ca9b3fcbdd59deaad23310ae"),
}  # fmt: skip

POLY = {  # key (r and s), data of whole blocks, tag. Texts that end within a block are authenticated by `open` below
    "A.3 #1": ("00" * 32, "00" * 64, "00" * 16),
    "A.3 #5": ("02" + "00" * 31, "ff" * 16, "03" + "00" * 15),
    "A.3 #6": ("02" + "00" * 15 + "ff" * 16, "02" + "00" * 15, "03" + "00" * 15),
    "A.3 #7": ("01" + "00" * 31, "ff" * 16 + "f0" + "ff" * 15 + "11" + "00" * 15, "05" + "00" * 15),
    "A.3 #8": ("01" + "00" * 31, "ff" * 16 + "fb" + "fe" * 15 + "01" * 16, "00" * 16),
    "A.3 #9": ("02" + "00" * 31, "fd" + "ff" * 15, "fa" + "ff" * 15),
    "A.3 #10": ("01" + "00" * 7 + "04" + "00" * 23,
        "e33594d7505e43b900000000000000003394d7505e4379cd01" + "00" * 23 + "01" + "00" * 15,
        "14" + "00" * 7 + "55" + "00" * 7),
    "A.3 #11": ("01" + "00" * 7 + "04" + "00" * 23,
        "e33594d7505e43b900000000000000003394d7505e4379cd01" + "00" * 23,
        "13" + "00" * 15),
}  # fmt: skip

SEALED = {  # key, nonce, aad, sealed, tag, opened
    "2.8.2": (bytes(range(0x80, 0xA0)).hex(), "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
        """d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b
        1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc
        3ff4def08e4b7a9de576d26586cec64b6116""",
        "1ae10b594f09e26a7e902ecbd0600691", SUNSCREEN),
    "A.5": (KEY_A, "000000000102030405060708", "f33388860000000000004e91",
        """64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26b0
        bdb7b73c321b0100d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855
        9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e9
        9040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a
        0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a1049e617d91d361094fa68f0ff77987130
        305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709b""",
        "eead9d67890cbb22392336fea1851f38",
        DRAFTS.encode()),
}  # fmt: skip


@pytest.mark.parametrize("name", CHACHA)
def test_chacha20_gives_the_vectors_of_the_rfc(ask: Ask, name: str) -> None:
    key, nonce, counter, text, wanted = CHACHA[name]
    parts = bytes.fromhex(key), bytes.fromhex(nonce), struct.pack("<I", counter), text
    assert ask(question("c", *parts)) == bytes.fromhex(wanted)


@pytest.mark.parametrize("name", POLY)
def test_poly1305_gives_the_vectors_of_the_rfc(ask: Ask, name: str) -> None:
    key, data, wanted = POLY[name]
    assert ask(question("p", bytes.fromhex(key), bytes.fromhex(data))).hex() == wanted


@pytest.mark.parametrize("name", SEALED)
@pytest.mark.parametrize("path", "oO")
def test_what_the_rfc_sealed_is_opened(ask: Ask, name: str, path: str) -> None:
    *parts, wanted = SEALED[name]
    assert ask(question(path, *map(bytes.fromhex, parts))) == b"\1" + wanted


# ----------------------------------------------------------------- cryptography


def test_poly1305_equals_cryptography(ask: Ask) -> None:
    """With keys and data whose limbs are often full, where carries go wrong."""
    from cryptography.hazmat.primitives.poly1305 import Poly1305

    rng = random.Random(3)

    def draw(size: int) -> bytes:
        return bytes(rng.choice([0, 1, 0xFE, 0xFF, rng.randrange(256)]) for _ in range(size))

    cases = [(draw(32), draw(16 * rng.randrange(12))) for _ in range(400)]
    found = ask(*(question("p", key, data) for key, data in cases))
    assert found == b"".join(Poly1305.generate_tag(key, data) for key, data in cases)


@pytest.mark.parametrize("path", "oO")
def test_what_was_sealed_is_opened(ask: Ask, path: str) -> None:
    rng = random.Random(4)
    sizes = [*range(70), 127, 128, 129, *range(254, 260), 511, 512, 1000, 4096, 100_003]
    questions, wanted = [], b""
    for size in sizes:
        key, aad, data = rng.randbytes(32), rng.randbytes(rng.randrange(40)), rng.randbytes(size)
        nonce, sealed, tag = seal(data, key, aad)
        assert (len(nonce), len(sealed), len(tag)) == (12, size, 16)
        questions.append(question(path, key, nonce, aad, sealed, tag))
        wanted += b"\1" + data
    assert ask(*questions) == wanted


def test_what_was_changed_is_refused_and_nothing_is_written(ask: Ask) -> None:
    rng = random.Random(5)
    key, aad, data = rng.randbytes(32), rng.randbytes(21), rng.randbytes(300)
    parts = [key, *(lambda nonce, sealed, tag: (nonce, aad, sealed, tag))(*seal(data, key, aad))]
    changed = []
    for number, part in enumerate(parts):
        for bit in rng.sample(range(8 * len(part)), min(100, 8 * len(part))):
            flipped = bytearray(part)
            flipped[bit // 8] ^= 1 << bit % 8
            changed.append([*parts[:number], bytes(flipped), *parts[number + 1 :]])
    changed.append([*parts[:2], aad[:-1], *parts[3:]])
    changed.append([*parts[:3], parts[3][:-1], parts[4]])
    changed.append([*parts[:3], parts[3] + b"\0", parts[4]])
    found = ask(*(question("o", *case) for case in changed))
    assert found == b"".join(b"\0" + b"\xee" * len(case[3]) for case in changed)


def test_more_than_the_cipher_can_hold_is_refused(ask: Ask) -> None:
    assert ask(question("l")) == b"\0"


@pytest.mark.parametrize("flags", [["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]])
def test_it_compiles_for_a_microcontroller(flags: list[str], tmp_path: Path) -> None:
    if not shutil.which("arm-none-eabi-g++"):
        pytest.skip("there is no arm-none-eabi-g++ here")
    (tmp_path / "main.cpp").write_text('#include "seal.h"\n#include "sha256.h"\nauto* f = &netglot::open;\n')
    command = ["arm-none-eabi-g++", *STRICT, *flags, "-c", "-o", str(tmp_path / "main.o"), str(tmp_path / "main.cpp")]
    subprocess.run(command, check=True)


# ------------------------------------------------------------- on our side of it


def test_a_seal_is_never_the_same_twice() -> None:
    """A nonce that comes back under the same key gives both texts away."""
    assert len({seal(b"text", bytes(32), b"")[0] for _ in range(100)}) == 100


def test_an_array_is_sealed_where_it_lies(tmp_path: Path) -> None:
    import numpy as np
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    np.arange(1000, dtype=np.float32).reshape(10, 100).tofile(tmp_path / "weights")
    array = np.memmap(tmp_path / "weights", np.float32, "r", shape=(10, 100))
    nonce, sealed, tag = seal(array, bytes(32), b"aad")
    assert ChaCha20Poly1305(bytes(32)).decrypt(nonce, sealed + tag, b"aad") == array.tobytes()


def test_what_is_too_long_to_seal_is_refused() -> None:
    data = memoryview(mmap.mmap(-1, LONGEST + 1))  # never touched: costs no memory
    with pytest.raises(ConversionError, match="2147483648 bytes"):
        seal(data, bytes(32), b"")


@pytest.mark.parametrize("written", [bytes(range(32)), bytes(range(32)).hex().encode(),
    bytes(range(32)).hex().upper().encode() + b"\n", bytes(range(32)).hex().encode() + b"\r\n"])  # fmt: skip
def test_a_key_is_read(written: bytes, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(written)
    assert read_key(tmp_path / "key") == bytes(range(32))


@pytest.mark.parametrize(("written", "found"), [
    (b"", "0 bytes"), (bytes(31), "31 bytes"), (bytes(33), "33 bytes"), (b"ab" * 31, "62 bytes"),
    (b"ab" * 33, "66 bytes"), (b"x" * 64, "64 bytes"), (b"ab" * 32 + b"\n\n", "66 bytes"), (b"a b" * 22, "66 bytes"),
])  # fmt: skip
def test_a_key_of_another_length_is_refused(written: bytes, found: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(written)
    with pytest.raises(ConversionError, match=f"holds {found}") as error:
        read_key(tmp_path / "key")
    assert "32 bytes" in str(error.value)
    assert "64 hexadecimal digits" in str(error.value)


def test_a_key_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="can't read the key"):
        read_key(tmp_path / "none")
    with pytest.raises(ConversionError, match="can't read the key"):
        read_key(tmp_path)
