"""Takes the meaning out of generated C++: names become numbers that only the owner's map can turn back.

Every identifier of ours is replaced by one derived from a secret salt (HMAC-SHA256), the same in all files; comments
go; layers are permuted and merged. Nothing that is computed changes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import PurePath
from typing import TypeVar

from netglot.backends.cpp.names import KEYWORDS
from netglot.errors import ConversionError, Problem
from netglot.ir.graph import Graph

T = TypeVar("T")

DIGITS = 15  # of a protected name, after its letter: digits alone spell no word
PROTECTED = re.compile(rf"(\d*)([xX]\d{{{DIGITS}}})")
SMALLEST_GROUP, LARGEST_GROUP = 2, 5

# ------------------------------------------------------------------------ names

_CONTEXTUAL = "defined final main override"
_ATTRIBUTES = "maybe_unused nodiscard noreturn fallthrough deprecated likely unlikely gnu clang"
# What headers of the system define and the code uses without std::.
_FOREIGN = """
size_t ptrdiff_t intptr_t uintptr_t int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t max_align_t
NULL EOF NAN INFINITY HUGE_VAL FLT_MAX FLT_MIN FLT_EPSILON DBL_MAX DBL_MIN INT_MIN INT_MAX UINT_MAX SIZE_MAX CHAR_BIT
INT8_MIN INT8_MAX INT16_MIN INT16_MAX INT32_MIN INT32_MAX INT64_MIN INT64_MAX UINT8_MAX UINT16_MAX UINT32_MAX UINT64_MAX
assert errno offsetof stdin stdout stderr getauxval AT_HWCAP FILE va_list va_start va_end
"""
# Members of what std:: holds, and NEON's arrays of vectors. Where one follows a dot, an arrow or a :: it may be theirs,
# so it stays, also as ours.
_STD_MEMBERS = """
append assign at back begin c_str capacity clear compare count data denorm_min detach digits emplace emplace_back
empty end epsilon erase exchange fetch_add fetch_and fetch_or fetch_sub find find_first_not_of find_first_of first
front get has_infinity infinity insert is_integer is_signed join joinable length load lock lowest max min notify_all
notify_one now npos owns_lock pop_back push_back quiet_NaN rbegin release rend reserve reset resize rfind second size
store str substr swap time_since_epoch try_lock type unlock val value wait wait_for
"""
_KEPT = KEYWORDS | frozenset(f"std {_CONTEXTUAL} {_FOREIGN}".split())
_MAY_BE_STD = frozenset(_STD_MEMBERS.split())
_INTRINSIC = re.compile(
    r"_\w*|\w*__\w*"  # reserved for the compiler, and so never ours
    r"|v[a-z0-9]+(_[a-z0-9]+)*_[usfpb](8|16|32|64)(_[usfpb]?(8|16|32|64))?(_x[234])?"  # NEON: vaddq_f32
    r"|(u?int|float|poly|bfloat)(8|16|32|64)x\d+(x\d)?_t|(float|poly|bfloat)(8|16|32|64)_t"  # its types
    r"|bit_[A-Z0-9_]+"  # of <cpuid.h>
)


def stand_in(name: str, salt: bytes, attempt: int = 0) -> str:
    """The name that stands for `name`: a letter and digits, as random as the salt."""
    digest = hmac.digest(salt, f"{attempt}:{name}".encode("utf-8", "surrogatepass"), hashlib.sha256)
    return f"x{int.from_bytes(digest) % 10**DIGITS:0{DIGITS}}"


class Names(dict[str, str]):
    """Names and what stands for each; made when first asked for, never the same for two."""

    def __init__(self, salt: bytes) -> None:
        super().__init__()
        self.salt = salt
        self._taken: set[str] = set()

    def __missing__(self, name: str) -> str:
        if name in self._taken:  # is protected already
            return name
        new = next(new for attempt in count() if (new := stand_in(name, self.salt, attempt)) not in self._taken)
        self._taken.add(new)
        self[name] = new
        return new


# ----------------------------------------------------------------------- tokens

_TOKEN = re.compile(
    r"""
    (?P<comment> // (?: \\\r?\n | [^\n] )* | /\* .*? \*/ )
  | (?P<raw> (?: u8 | [uUL] )? R"(?P<mark> [^()\\\s]{0,16} ) \( .*? \) (?P=mark) " )
  | (?P<string> (?: u8 | [uUL] )? " (?: \\. | [^"\\\n] )* " )
  | (?P<char> (?: u8 | [uUL] )? ' (?: \\. | [^'\\\n] )* ' )
  | (?P<number> \.? \d (?: [eEpP][+-] | '\w | \w | \. )* )
  | (?P<word> [A-Za-z_] \w* )
  | (?P<newline> \r?\n )
  | (?P<space> (?: [ \t\f\v] | \\\r?\n )+ )
  | (?P<sign> :: | -> | \#\# | . )
    """,
    re.DOTALL | re.VERBOSE,
)


@dataclass
class Token:
    """One of C++'s tokens, a stretch of white space, or a comment."""

    kind: str
    text: str
    directive: str = ""  # the preprocessor's: the name of the one that this token belongs to


def tokenize(text: str) -> list[Token]:
    """All of `text` as tokens: their texts joined are `text` again."""
    tokens = [Token(str(match.lastgroup if match.lastgroup != "mark" else "raw"), match[0]) for match in _matches(text)]
    _mark_directives(tokens)
    return tokens


def _matches(text: str) -> Iterator[re.Match[str]]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        assert match is not None, "a dot takes whatever is nothing else"
        yield match
        at = match.end()


def _mark_directives(tokens: Sequence[Token]) -> None:
    line_is_empty, directive = True, ""
    for token in tokens:
        if token.kind == "newline":
            line_is_empty, directive = True, ""
        elif token.text == "#" and line_is_empty:
            directive, line_is_empty = "#", False
        elif token.kind not in ("space", "comment"):
            if directive == "#" and token.kind == "word":
                directive = token.text
            line_is_empty = False
        token.directive = directive


def _code(tokens: Iterable[Token]) -> list[Token]:
    return [token for token in tokens if token.kind not in ("space", "newline", "comment")]


# ---------------------------------------------------------------- what stays


def _is_foreign(name: str) -> bool:
    """Whether a name means the same wherever it stands, and that something of the language or its libraries."""
    return name in _KEPT or _INTRINSIC.fullmatch(name) is not None


def _std_names(code: Sequence[Token]) -> set[int]:
    """The places of names in std::, as of all of std::chrono::steady_clock and of the max of std::less<T>::max."""
    found: set[int] = set()
    for i, token in enumerate(code):
        if token.kind == "word" and i >= 2 and code[i - 1].text == "::":
            before = _qualifier(code, i - 2)
            if code[before].text == "std" or before in found:
                found.add(i)
    return found


def _qualifier(code: Sequence[Token], i: int) -> int:
    """The place of the name that ends at `i`, which may be the > of its arguments."""
    if code[i].text != ">":
        return i
    depth = 0
    for at in range(i, 0, -1):
        depth += (code[at].text == ">") - (code[at].text == "<")
        if depth == 0:
            return at - 1
    return i


def _in_attributes(code: Sequence[Token]) -> set[int]:
    """The places of the names within [[...]], __attribute__((...)) and __declspec(...)."""
    found: set[int] = set()
    for i, token in enumerate(code[:-1]):
        if token.text == "[" and code[i + 1].text == "[":
            found.update(at for at in _within(code, i, "[", "]") if code[at].text in _ATTRIBUTES.split())
        if token.text in ("__attribute__", "__declspec"):
            found.update(_attribute_names(code, i + 1, 2 if token.text == "__attribute__" else 1))
    return found


def _attribute_names(code: Sequence[Token], start: int, level: int) -> Iterator[int]:
    """The places within `level` brackets: what is within more are arguments, which may be names of ours."""
    depth = 1
    for i in _within(code, start, "(", ")"):
        depth += (code[i].text == "(") - (code[i].text == ")")
        if depth == level:
            yield i


def _within(code: Sequence[Token], start: int, opening: str, closing: str) -> range:
    """The places between the bracket at `start` and the one that closes it."""
    depth = 0
    for i in range(start, len(code)):
        depth += (code[i].text == opening) - (code[i].text == closing)
        if depth == 0:
            return range(start + 1, i)
    return range(start + 1, len(code))


def _shared_with_std(code: Sequence[Token], of_std: set[int]) -> set[str]:
    """Names that may be a member of something of std:: where they stand, or that `using std::name` brings in."""
    after = {i for i in range(1, len(code)) if code[i - 1].text in (".", "->", "::")}
    members = {code[i].text for i in after - of_std if code[i].text in _MAY_BE_STD}
    used = {i for i in of_std if i >= 3 and [code[i - n].text for n in (3, 1)] == ["using", "::"]}
    return members | {code[i].text for i in used}


def _pasted(code: Sequence[Token]) -> tuple[set[str], set[str]]:
    """The macros that paste their arguments together (##), and what they paste besides."""
    macros, parts = set(), set()
    for i, token in enumerate(code):
        if token.text != "##":
            continue
        define = max(at for at in range(i) if code[at].text == "define" and code[at - 1].text == "#")
        macros.add(code[define + 1].text)
        parameters = {code[at].text for at in _within(code, define + 2, "(", ")")}
        parts |= {code[at].text for at in (i - 1, i + 1) if code[at].kind == "word"} - parameters
    return macros, parts


def _arguments(code: Sequence[Token], macros: Collection[str]) -> set[str]:
    """The names that are all of an argument of a macro that pastes."""
    calls = [i for i, token in enumerate(code) if token.text in macros and not _is_definition(code, i)]
    places = [at for i in calls for at in _within(code, i + 1, "(", ")")]
    return {
        code[at].text
        for at in places
        if code[at].kind == "word" and code[at - 1].text in "(," and code[at + 1].text in ",)"
    }


def _is_definition(code: Sequence[Token], i: int) -> bool:
    return i > 0 and code[i - 1].text == "define"


# -------------------------------------------------------------------- the folder

# Symbols that nobody needs once the library is made. Apple's strip has its own letter for it.
_STRIPPED = """\
if(APPLE)
  set(STRIP_FLAG -x)
else()
  set(STRIP_FLAG --strip-unneeded)
endif()
if(CMAKE_STRIP AND NOT MSVC)
  add_custom_command(TARGET {0} POST_BUILD COMMAND ${{CMAKE_STRIP}} ${{STRIP_FLAG}} $<TARGET_FILE:{0}>)
endif()"""
_PLAIN_FILES = ("CMakeLists.txt", "interface.json")  # whoever builds or runs the folder looks for them by these names


@dataclass
class Protection:
    """How the texts of one folder are rewritten: by one table of names for all of them.

    `files`: what the files of the folder are called; `kept`: identifiers that stay.
    """

    names: Names
    files: Mapping[str, str]
    kept: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, texts: Mapping[str, str], names: Names, others: Iterable[str] = ()) -> Protection:
        """`others`: more files that the texts speak of."""
        self = cls(names, {name: file_name(name, names) for name in (*texts, *others)})
        sources = [_code(tokenize(text)) for name, text in texts.items() if is_source(name)]
        macros: set[str] = set()
        for code in sources:
            self.kept |= _shared_with_std(code, _std_names(code))
            pasting, parts = _pasted(code)
            macros |= pasting
            ours = sorted(part for part in parts if not _is_foreign(part))
            if ours:
                raise ConversionError(f"can't protect a macro that makes names of {', '.join(ours)}")
        for code in sources:
            self.kept |= _arguments(code, macros)
        return self

    def source(self, text: str) -> str:
        """A C++ source or header."""
        tokens = tokenize(text)
        code = _code(tokens)
        stay = {id(code[i]) for i in _std_names(code) | _in_attributes(code)}
        _make_local(code)
        written = "".join(self._token(token, id(token) in stay) for token in tokens)
        return re.sub(r"[ \t]+(?=\n)", "", written).replace("\r", "").strip("\n") + "\n"

    def _token(self, token: Token, stays: bool) -> str:
        if token.kind == "comment":
            return "\n" * token.text.count("\n") or " "
        if token.directive in ("error", "warning") and token.text not in ("#", token.directive):
            return ""  # what they say is for whoever reads the plain code
        if token.directive == "pragma":
            return token.text
        if token.kind == "string":
            return self._string(token.text)
        if token.kind != "word" or stays or token.directive == token.text or self._is_kept(token):
            return token.text
        return self.names[token.text]

    def _is_kept(self, token: Token) -> bool:
        in_brackets = token.directive == "include"  # <...>; a file of ours would be a string
        return in_brackets or token.text in self.kept or _is_foreign(token.text)

    def _string(self, text: str) -> str:
        return f'"{self.files[text[1:-1]]}"' if text[1:-1] in self.files else text

    def build(self, text: str) -> str:
        """A CMakeLists.txt: names of files, macros and targets; no comments."""
        lines = [line.partition("#")[0].rstrip() for line in text.splitlines()]
        target = re.findall(r"project\((\w+)", text)

        def renamed(match: re.Match[str]) -> str:
            word = match[0]
            return self.names[word] if word in target or word.startswith("NETGLOT_") else self.files.get(word, word)

        stripped = [_STRIPPED.format(name) for name in target]
        return re.sub(r"[\w.]+", renamed, "\n".join(filter(None, [*lines, *stripped]))) + "\n"


def _make_local(code: Sequence[Token]) -> None:
    """Puts what is compiled with the layers into nameless namespaces.

    Its symbols, whose template arguments are shapes, are then known to one object file only, and can be stripped.
    """
    for i in range(len(code) - 2):
        if [token.text for token in code[i : i + 3]] == ["namespace", "NETGLOT_NAMESPACE", "{"]:
            end = _within(code, i + 2, "{", "}").stop
            code[i + 2].text, code[end].text = "{ namespace {", "}}"


def is_source(name: str) -> bool:
    return PurePath(name).suffix in (".h", ".cpp", ".c", ".mm")


def file_name(name: str, names: Names) -> str:
    """What the file `name` is called in a protected folder."""
    if name in _PLAIN_FILES:
        return name
    return names[PurePath(name).stem] + PurePath(name).suffix


def protected(texts: Mapping[str, str], names: Names, others: Iterable[str] = ()) -> dict[str, str]:
    """File name -> text of a folder (its sources, headers and CMakeLists.txt) without any name of ours.

    `names` holds afterwards what each name and file became. `others`: files without a text, like the weights. The
    interface.json stays as it is; what is for readers, like a README.md, is left out. ConversionError for what can't be
    renamed word by word: a macro that makes names of ours out of parts.
    """
    protection = Protection.of(texts, names, others)
    written = {protection.files[name]: protection.source(text) for name, text in texts.items() if is_source(name)}
    if "CMakeLists.txt" in texts:
        written["CMakeLists.txt"] = protection.build(texts["CMakeLists.txt"])
    if "interface.json" in texts:
        written["interface.json"] = texts["interface.json"]
    return written


# ------------------------------------------------------------------ the map file


def map_text(names: Names, tensors: Mapping[str, str]) -> str:
    """The map file, as JSON: who has it can read what is protected. `tensors`: those of `names` that are no code."""
    hidden = set(tensors.values())
    others = {name: new for name, new in names.items() if new not in hidden}
    return json.dumps({"salt": names.salt.hex(), "tensors": dict(tensors), "names": others}, indent=1) + "\n"


def read_map(text: str | bytes) -> dict[str, str]:
    """Protected name -> name, of a map file's text. ConversionError if it is none."""
    try:
        content = json.loads(text)
        return {str(new): str(name) for part in ("names", "tensors") for name, new in content[part].items()}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ConversionError(f"this is no map of protected names: {error}") from None


def unmap(text: str, sources: Mapping[str, str]) -> str:
    """`text` (a crash report, a list of symbols) with the names of the source, which `sources` has for protected ones.

    Within a mangled symbol, the length before a name is set right too, so that c++filt can read it afterwards.
    """

    def restored(match: re.Match[str]) -> str:
        length, name = match[1], sources.get(match[2].lower())
        if name is None:
            return match[0]
        name = PROTECTED.sub(restored, name)  # some are made of the names of tensors
        digits = str(1 + DIGITS)
        mangled = length.endswith(digits)
        return f"{length.removesuffix(digits)}{len(name)}{name}" if mangled else f"{length}{name}"

    return PROTECTED.sub(restored, text)


# ------------------------------------------------------------------- the graph


def hide(graph: Graph, salt: bytes) -> tuple[Names, dict[str, str]]:
    """Permutes the nodes, and gives the graph and its values protected names, so that none of theirs is ever written.

    Returns the table for the names of the code, in which those of the graph are taken, and name -> protected name of
    the graph's: a tensor that is called like something of ours must not become the same.
    """
    names, nodes = Names(salt), graph.nodes()
    places = {node: i for i, node in enumerate(nodes)}
    needed = [
        {places[x] for value in graph.nx.predecessors(node) for x in graph.nx.predecessors(value)} for node in nodes
    ]
    graph.set_order(permute(nodes, needed, salt))
    tensors = {name: names[f"tensor {name}"] for name in (graph.name, *(value.name for value in graph.values()))}
    for value in list(graph.values()):
        graph.rename(value, tensors[value.name])
    graph.name = tensors[graph.name]
    return names, tensors


def unhidden(error: ConversionError, tensors: Mapping[str, str]) -> ConversionError:
    """The same error, with the names that its reader knows."""
    sources = {new: name for name, new in tensors.items()}

    def known(problem: Problem) -> Problem:
        return replace(problem, what=unmap(problem.what, sources), hint=unmap(problem.hint, sources))

    return type(error)([known(problem) for problem in error.problems])


# ------------------------------------------------------------------- the layers


def _random(salt: bytes, purpose: str) -> random.Random:
    return random.Random(hmac.digest(salt, purpose.encode(), hashlib.sha256))


def permute(layers: Sequence[T], dependencies: Sequence[Collection[int]], salt: bytes) -> list[T]:
    """The layers in a random order in which each comes after those that it needs.

    `dependencies`: for each layer, the indices of the layers that it needs.
    """
    rng = _random(salt, "order")
    missing = [len(set(needed)) for needed in dependencies]
    needed_by: list[list[int]] = [[] for _ in layers]
    for i, needed in enumerate(dependencies):
        for j in set(needed):
            needed_by[j].append(i)
    ready, order = [i for i, number in enumerate(missing) if number == 0], []
    while ready:
        i = ready.pop(rng.randrange(len(ready)))
        order.append(i)
        for later in needed_by[i]:
            missing[later] -= 1
            if missing[later] == 0:
                ready.append(later)
    if len(order) != len(layers):
        raise ValueError("the layers need each other in a circle")
    return [layers[i] for i in order]


def merge(layers: Sequence[T], salt: bytes) -> list[list[T]]:
    """The layers in their order, in groups of two to five (a single layer is a group of its own)."""
    rng, groups, start = _random(salt, "groups"), list[list[T]](), 0
    while (left := len(layers) - start) > 0:
        sizes = [size for size in range(SMALLEST_GROUP, LARGEST_GROUP + 1) if left - size != 1 and size <= left]
        size = rng.choice(sizes) if sizes else left
        groups.append(list(layers[start : start + size]))
        start += size
    return groups
