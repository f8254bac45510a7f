"""Names and text of an untrusted model as C++: nothing in them can leave a comment, a string or an identifier."""

from __future__ import annotations

import re

LONGEST = 48  # characters of a name that go into an identifier or a file name

_LANGUAGE = """
alignas alignof and and_eq asm atomic_cancel atomic_commit atomic_noexcept auto bitand bitor bool break case catch char
char8_t char16_t char32_t class compl concept const consteval constexpr constinit const_cast continue co_await co_return
co_yield decltype default delete do double dynamic_cast else enum explicit export extern false float for friend goto if
inline int long mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public reflexpr
register reinterpret_cast requires return short signed sizeof static static_assert static_cast struct switch
synchronized template this thread_local throw true try typedef typeid typename union unsigned using virtual void
volatile wchar_t while xor xor_eq
"""
# Macros that headers are known to define, and names that have a meaning of their own.
_OTHERS = """
assert errno far linux main major max min minor near signals slots stderr stdin stdout unix netglot std weights
"""
KEYWORDS = frozenset(_LANGUAGE.split())
_RESERVED = KEYWORDS.union(_OTHERS.split())


class Names:
    """Distinct identifiers of one scope."""

    def __init__(self, *taken: str) -> None:
        self._taken = set(taken)
        self._suffixes: dict[str, int] = {}

    def add(self, name: str, default: str) -> str:
        """An identifier as near to `name` as C++ allows, not given before in this scope."""
        base = identifier(name, default)
        wanted = base
        while wanted in self._taken:
            self._suffixes[base] = self._suffixes.get(base, 1) + 1
            wanted = f"{base}_{self._suffixes[base]}"
        self._taken.add(wanted)
        return wanted


def identifier(name: str, default: str) -> str:
    """ASCII letters, digits and single underscores. A keyword, or what may be a macro (all capitals), ends with one."""
    base = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:LONGEST].strip("_") or default
    if base[0].isdigit():
        base = f"{default}_{base}"
    return f"{base}_" if base in _RESERVED or base.isupper() else base


def file_name(name: str) -> str:
    """A plain file name (without its ending): whatever is not a letter, digit, dot, minus or underscore becomes _."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)[:LONGEST].lstrip(".") or "_"


def comment(text: str) -> str:
    """Text for a // comment: one line of plain ASCII without backslashes, question marks (trigraphs) and asterisks."""
    return re.sub(r"[^A-Za-z0-9 _.,:;()\[\]{}<>=+\-'\"#@!$%&|^~/]", "_", text)[:200]


def string(text: str) -> str:
    """A string literal of the UTF-8 bytes of `text`; all but letters, digits and a few signs as octal escapes."""
    data = text.encode("utf-8", "surrogatepass").decode("latin-1")
    return '"' + re.sub(r"[^A-Za-z0-9 _.+:/,()-]", lambda match: f"\\{ord(match[0]):03o}", data) + '"'
