"""LaTeX read as a person reads it: macros as the signs or words they stand for, groups without their braces.

The grammar is small on purpose. Nothing of TeX is run, and what is no LaTeX, or is broken, stays as it is.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import NamedTuple
from unicodedata import category

from newsletter.rendering.latex import macros
from newsletter.rendering.latex.formulas import Formula, formulas

_DEEPEST = 25  # Nobody nests deeper. What does is shown as it is written, so that no text takes long.

_MACRO = re.compile(r"(\\+)([A-Za-z]+|[^A-Za-z\\])?", re.DOTALL)
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"\S+")
_RUN = {False: re.compile(r"[^\\${}^]+"), True: re.compile(r"[^\\${}^_~&'\s]+")}
_ALIGNMENT = re.compile(r"&(?!#?\w{1,8};)")  # An ampersand, but not that of an entity of HTML.
_TIE = re.compile(r"~(?=[\w(\\$])")
_PRIMES = re.compile(r"'+")
_LIMITS = re.compile(r"\s*\\(?:no)?limits(?![A-Za-z])")
_WORD_FOLLOWS = re.compile(r"[^\W_]|\\[A-Za-z]")
_LOOSE = re.compile(r"(?<=[(\[⟨⌊⌈]) +|(?<! ) +(?=[)\]⟩⌋⌉,;])")  # Space that nobody writes beside brackets and commas.
_DELIMITED = re.compile(r"left|right|[bB]igg?[lrm]?")
_DELIMITERS = frozenset("()[]|./\\")
_OPTION = re.compile(r"\s?\[[^\[\]{}]{0,100}\](?=\{)")
_DEGREE = re.compile(r"\s?\[([^\[\]{}]{1,20})\]")
_ENVIRONMENT = re.compile(r"\{([A-Za-z]{1,30})\*?\}(?:\[[^\[\]{}]{0,30}\])?(?:\{[lcrp|@ .\d]{1,30}\})?")
_VERBATIM = re.compile(r"([^\sA-Za-z*])(.{1,300}?)\1")
_ESCAPED = re.compile(r"\\([%&$#_{}~^\\])(?:\{\})?")
# A group in running text is one of LaTeX when it begins with a macro or a formula, or hides dashes or quotes.
_GROUP = re.compile(
    r"\{{1,5}(?:"
    r"\\(?:[A-Za-z]{2}|[^A-Za-z\s\"*()\[\]/]|\"\{?\\?[A-Za-z]\}?\}|[HLOPScdijklorv]\b)|\$[^$]{1,100}\$|(?:'+|`+|-+|,)\})"
)
_DRIVE = re.compile(r"(?<!\w)[A-Za-z]:$")
_SHARE = re.compile(r"\w[\w.$-]*\\\w")
_DOTLESS = re.compile(r"\\{1,2}([ij])(?![A-Za-z])(?: (?=[a-z]))?")
_CONTRACTION = re.compile(r"(?:s|t|re|ve|ll|d|m)\b")
_CLOSED_QUOTE = re.compile(r'[^"\\\n]{1,100}\\"(?!\w)')

# What stands above and below a stroke without parentheses. Below it, "2n" would read as half of n.
_ABOVE = re.compile(r"[\w.∂∇⁺⁻₊₋′]+|\w*\([^()]*\)|√\w+|\|[^|]+\|")
_BELOW = re.compile(r"\d[\d.]*[⁰-⁹¹²³⁻]*|(?:[^\W\d]|[∂∇⁺⁻₊₋′])+|\w*\([^()]*\)|√\w+|\|[^|]+\|")
_SHORT_SCRIPT = re.compile(r"[A-Za-z0-9\u0370-\u03ff]+|\d+\.\d+|[^\w\s]")
_LONG_WORD = re.compile(r"[^\W\d_]{4}")
_PREFIXES = "∂∇∑∏∫∮√∀∃¬∄"


class _Mode(Enum):
    RUNNING = "running text, where what is no LaTeX stays"
    GROUP = "text in the braces of a macro"
    MATH = "a formula"


class _Within(NamedTuple):
    """What is being read: up to where, as what, and how deep it is nested."""

    end: int
    mode: _Mode
    depth: int = 0

    @property
    def math(self) -> bool:
        return self.mode is _Mode.MATH

    def inside(self, end: int, mode: _Mode | None = None) -> "_Within":
        return _Within(end, mode or (_Mode.MATH if self.math else _Mode.GROUP), self.depth + 1)


class _Call(NamedTuple):
    """A macro: its name, where the text goes on after the name, what is being read, and the character said before."""

    name: str
    at: int
    within: _Within
    before: str

    @property
    def space(self) -> str:
        """The space between this and what was said before."""
        return "" if not self.before or self.before.isspace() else " "


_Said = tuple[str, int]
"""What a piece reads as, and where the text goes on after it."""


def read_latex(text: str) -> str:
    """A text with LaTeX in it as plain text; ties, dashes and quotes stay as they are.

    It takes time in proportion to the length, whatever the text.
    """
    reader = _Reader(text, _closing_braces(text), formulas(text))
    return reader.read(0, _Within(len(text), _Mode.RUNNING))


def _closing_braces(text: str) -> dict[int, int]:
    closing: dict[int, int] = {}
    opened: list[int] = []
    for match in _BRACE.finditer(text):
        if match[0] == "{":
            opened.append(match.start())
        elif match[0] == "}" and opened:
            closing[opened.pop()] = match.start()
    return closing


@dataclass(frozen=True, slots=True)
class _Reader:
    """A text being read.

    Attributes:
        closing: for each brace that opens, where the one is that closes it.
        formulas: what to read as a formula, by where it begins.
    """

    text: str
    closing: Mapping[int, int]
    formulas: Mapping[int, Formula]

    def read(self, at: int, within: _Within) -> str:
        if within.depth > _DEEPEST:
            return self.text[at : within.end]
        said: list[str] = []
        while at < within.end:
            before = said[-1][-1] if said else ""
            piece, at = self._piece(at, within, before)
            if within.math and before.isspace():
                piece = piece.lstrip()
            if piece:
                said.append(piece)
        return "".join(said)

    def _piece(self, at: int, within: _Within, before: str) -> _Said:
        formula = self.formulas.get(at)
        if formula and formula.after <= within.end:
            said = self.read(formula.start, within.inside(formula.end, _Mode.MATH))
            return self._set_apart(_LOOSE.sub("", said.strip()), formula.after, within, before)
        character = self.text[at]
        if character == "\\":
            return self._macro(at, within, before)
        if character == "{":
            return self._group(at, within)
        if within.math:
            return self._piece_of_formula(at, within, before)
        if character == "^":
            return self._script_in_text(at, within, before)
        return self._run(at, within)

    def _set_apart(self, said: str, after: int, within: _Within, before: str) -> _Said:
        # "1$\frac{1}{2}$" is no eleven halves, and a tie after a formula is a space: "$10^4$~K".
        apart = " " if before.isdecimal() and said[:1].isdecimal() else ""
        tied = _TIE.match(self.text, after, within.end) is not None
        return f"{apart}{said}{' ' if tied else ''}", after + tied

    def _piece_of_formula(self, at: int, within: _Within, before: str) -> _Said:
        character = self.text[at]
        if character in "^_":
            return self._script(at, within)
        if character.isspace() or character == "~" or _ALIGNMENT.match(self.text, at):
            return "" if not before or before.isspace() else " ", self._after_space(at + 1, within)
        if character == "'":
            primes = _matched(_PRIMES, self.text, at, within.end)
            return "″" if len(primes) == 2 else "′" * len(primes), at + len(primes)
        return self._run(at, within)

    def _run(self, at: int, within: _Within) -> _Said:
        run = _matched(_RUN[within.math], self.text, at, within.end) or self.text[at]
        return run, at + len(run)

    def _group(self, at: int, within: _Within) -> _Said:
        closing = self._closing(at, within)
        if closing is None or (within.mode is _Mode.RUNNING and not _GROUP.match(self.text, at, closing + 1)):
            return "{", at + 1
        return self.read(at + 1, within.inside(closing)), closing + 1

    # Macros

    def _macro(self, at: int, within: _Within, before: str) -> _Said:
        match = _MACRO.match(self.text, at, within.end)
        assert match is not None  # noqa: S101 - there is a backslash
        slashes, name, end = len(match[1]), match[2] or "", match.end()
        if within.depth > _DEEPEST:
            return match[0], end
        if within.mode is _Mode.RUNNING and (kept := self._kept(match, before)):
            return self.text[at:kept], kept
        # A macro that was escaped twice on its way has two backslashes; a line break has no macro's name after it.
        twice = slashes % 2 == 0 and _is_known(name) and not (within.math and len(name) == 1)
        if slashes > 1 and not twice:
            return self._line_break(_Call("", at + slashes - slashes % 2, within, before))
        call = _Call(name, end, within, before)
        said, end = self._named(call) if name.isalpha() else self._escaped(call)
        if name.isalpha() and self.text.startswith("{}", end, within.end):
            end += 2
        if said and not within.math and (name.startswith("math") or macros.sign(name)):
            # "\ell_2" without dollars is a formula all the same.
            while end < within.end and self.text[end] in "^_":
                script, after = self._script(end, within.inside(within.end, _Mode.MATH))
                said, end = said + script, after
        return said, end

    def _kept(self, match: re.Match[str], before: str) -> int:
        r"""Where something ends that only looks like a macro: a path, or the ``\n`` of a program. 0 for a macro."""
        at, slashes, name = match.start(), len(match[1]), match[2] or ""
        if not name or _is_known(name):
            return 0
        drive = _DRIVE.search(self.text[max(0, at - 3) : at])
        share = slashes == 2 and not before.isalnum() and _SHARE.match(self.text, at + 2)
        if drive or share:
            return at + len(_matched(_WORD, self.text, at, len(self.text)))
        code = not name.isalpha() or (len(name) == 1 and name.islower())
        return match.end() if code or slashes == 2 or before.isalnum() else 0

    def _line_break(self, call: _Call) -> _Said:
        end = self._after_space(call.at, call.within)
        if call.within.math and call.before and end < call.within.end:
            return "; ", end
        return call.space, end

    def _escaped(self, call: _Call) -> _Said:
        name, at = call.name, call.at
        if macros.SPACES.fullmatch(name):
            return call.space, self._after_space(at, call.within)
        if name in macros.NOTHING:
            return "", at
        if macros.is_accent(name):
            return self._accent(call)
        return {"": "\\", "|": "‖"}.get(name, name), at

    def _named(self, call: _Call) -> _Said:
        name, at, within, _ = call
        if within.math and len(name) == 1:
            return self._unknown(call)
        if handler := _HANDLERS.get(name):
            return handler(self, call)
        if macros.is_accent(name):
            return self._accent(call)
        if macros.SPACES.fullmatch(name):
            return call.space, self._after_space(at, within)
        if _DELIMITED.fullmatch(name) and self.text[at : at + 1] in _DELIMITERS:
            return "", at + self.text.startswith(".", at)
        if macros.is_switch(name, within.mode is not _Mode.RUNNING):
            return "", self._after_space(at, within)
        if name in macros.ABBREVIATIONS and not within.math:
            return macros.ABBREVIATIONS[name].removesuffix("." if self.text[at : at + 1] == "." else ""), at
        if macros.is_font(name):
            return self._font(call)
        found = macros.sign(name)
        if found is None or (name == "deg" and within.math):
            return self._unknown(call)
        return self._function(call, found) if found.isascii() and found[0].isalpha() else self._sign(call, found)

    def _sign(self, call: _Call, found: str) -> _Said:
        """A sign, and how much of the space after it belongs to the macro rather than to the text."""
        name, at, within, before = call
        after = self._after_space(at, within)
        following = self.text[after : after + 1] if after < within.end else ""
        if not within.math:
            # "S\o rensen" is one word, "0.2 \AA of" are two.
            joined = macros.LETTERS.fullmatch(name) and (before.isalpha() or len(name) == 1) and following.islower()
            return found, after if joined else at
        kind = category(found[0])
        if found.isalpha() or found in _PREFIXES:
            return found, after if following.isalnum() and following.isascii() else at
        tight = (kind == "Sm" or found == "·") and not before.isspace()
        return found, after if kind == "Ps" or tight else at

    def _function(self, call: _Call, said: str) -> _Said:
        """A name, in a formula with a space where it would run into what stands beside it."""
        at, within, before = call.at, call.within, call.before
        if not within.math:
            return said, at
        at += len(_matched(_LIMITS, self.text, at, within.end))
        left = " " if before.isalnum() or before in (")", "]", "}") else ""
        right = " " if _WORD_FOLLOWS.match(self.text, at, within.end) else ""
        return left + said + right, at

    def _unknown(self, call: _Call) -> _Said:
        """A macro that nobody here knows: what stands in its braces, or its name."""
        at, within = self._after_star(call), call.within
        at += len(_matched(_OPTION, self.text, at, within.end))
        arguments = []
        while (closing := self._closing(at, within)) is not None:
            arguments.append(self.read(at + 1, within.inside(closing)))
            at = closing + 1
        said = " ".join(filter(None, arguments))
        return (said, at) if said else self._function(call._replace(at=at), call.name)

    def _font(self, call: _Call) -> _Said:
        name, within = call.name, call.within
        at = self._after_star(call)
        after = self._after_space(at, within)
        if not (within.math or name.startswith("math")) and self._closing(after, within) is None:
            return ("", after) if name.startswith("text") else (name, at)
        said, at = self._argument(at, within, _Mode.GROUP if macros.is_text_font(name) else _Mode.MATH)
        if name == "operatorname":
            return self._function(call._replace(at=at), said)
        return macros.in_font(name, said), at

    # What macros take

    def _after_space(self, at: int, within: _Within) -> int:
        return at + len(_matched(_SPACE, self.text, at, within.end))

    def _after_star(self, call: _Call) -> int:
        return call.at + 1 if self.text.startswith("*{", call.at) else call.at

    def _closing(self, at: int, within: _Within) -> int | None:
        """Where the group ends that begins here, None where there is none."""
        closing = self.closing.get(at, within.end)
        return closing if closing < within.end else None

    def _argument(self, at: int, within: _Within, mode: _Mode | None = None) -> _Said:
        """A group, a macro with its own arguments, or one character; "" where nothing is."""
        begin = self._after_space(at, within)
        closing = self._closing(begin, within)
        if closing is not None:
            return self.read(begin + 1, within.inside(closing, mode)), closing + 1
        if begin >= within.end or self.text[begin] in "{}$&^_":
            return "", at
        if self.text[begin] == "\\":
            said, end = self._macro(begin, within.inside(within.end, mode), "")
            # The space after it is not the argument's.
            return said, begin + len(self.text[begin:end].rstrip())
        # In running text a letter without braces begins a word.
        return ("", at) if within.mode is _Mode.RUNNING else (self.text[begin], begin + 1)

    def _raw(self, at: int, within: _Within) -> _Said:
        """A group as it is written, as addresses are."""
        begin = self._after_space(at, within)
        closing = self._closing(begin, within)
        if closing is None:
            return "", at
        return _ESCAPED.sub(r"\1", self.text[begin + 1 : closing]).strip(), closing + 1

    # Superscripts and subscripts

    def _script(self, at: int, within: _Within) -> _Said:
        said, end = self._argument(at + 1, within, _Mode.MATH)
        if end == at + 1:
            return self.text[at], end
        return _as_script(self.text[at], said, self.text[end : end + 1]), end

    def _script_in_text(self, at: int, within: _Within, before: str) -> _Said:
        r"""A superscript outside a formula, where it is plainly one: ``O(n^{-2})``, ``25^\circ C``."""
        closing = self._closing(at + 1, within)
        short = closing is not None and closing - at < 20
        if (before.isalnum() or before in (")", "]")) and (short or self.text.startswith("\\", at + 1)):
            said, end = self._script(at, within.inside(within.end, _Mode.MATH))
            if not said.startswith("^"):
                return said, end
        return "^", at + 1

    # Accents

    def _accent(self, call: _Call) -> _Said:
        name, at, within, _ = call
        if within.math:
            said, end = self._argument(at, within)
            return macros.accented(name, said) if len(said) == 1 else said or name, end
        if self._is_plain(call):
            return name, at
        closing = self._closing(at, within)
        if closing is not None:
            said = self.read(at + 1, within.inside(closing))
            bare = "" if name.isalpha() else name
            return macros.accented(name, said[0]) + said[1:] if said else bare, closing + 1
        letter, end = self._letter(call)
        if letter and len(composed := macros.accented(name, letter)) == 1:
            return composed, end
        return name if name in "'\"`~^" else "\\" + name, at

    def _letter(self, call: _Call) -> _Said:
        """The letter that an accent stands on, when it has no braces; "" for none."""
        name, at, within, _ = call
        dotless = _DOTLESS.match(self.text, at, within.end)
        if dotless:
            return dotless[1], dotless.end()
        if name.isalpha():
            if name in ("b", "d") or not self.text.startswith(" ", at):
                return "", at
            at += 1
        letter = self.text[at : at + 1] if at < within.end else ""
        good = letter.isascii() and letter.isalpha() and (name != "." or letter in "zZI")
        return (letter, at + 1) if good else ("", at)

    def _is_plain(self, call: _Call) -> bool:
        r"""Whether a sign was escaped without being an accent: ``it\'s``, ``\"yes\"``, ``/\~user``."""
        name, at, within, before = call
        if name == "'":
            return before.isalpha() and _CONTRACTION.match(self.text, at, within.end) is not None
        if name == '"':
            return not before.isalnum() and _CLOSED_QUOTE.match(self.text, at, within.end) is not None
        return name == "~" and before == "/"

    # Macros that take arguments of their own

    def _two(self, call: _Call, mode: _Mode | None = None) -> tuple[str, str, int]:
        first, at = self._argument(call.at, call.within, mode)
        second, at = self._argument(at, call.within, mode)
        return first.strip(), second.strip(), at

    def _fraction(self, call: _Call) -> _Said:
        above, below, at = self._two(call, _Mode.MATH)
        if not above or not below:
            return above or below or call.name, at
        above = above if _ABOVE.fullmatch(above) else f"({above})"
        below = below if _BELOW.fullmatch(below) else f"({below})"
        left = " " if call.within.math and call.before.isalnum() else ""
        right = " " if call.within.math and self.text[at : at + 1].isalnum() else ""
        return f"{left}{above}/{below}{right}", at

    def _root(self, call: _Call) -> _Said:
        degree = _DEGREE.match(self.text, call.at, call.within.end)
        said, at = self._argument(degree.end() if degree else call.at, call.within, _Mode.MATH)
        said = said.strip()
        index = degree[1].strip() if degree else "2"
        root = {"2": "√", "3": "∛", "4": "∜"}.get(index) or f"{macros.raised(index) or index + '-'}√"
        return root + (said if not said or _ABOVE.fullmatch(said) else f"({said})"), at

    def _binomial(self, call: _Call) -> _Said:
        above, below, at = self._two(call, _Mode.MATH)
        return f"({above} choose {below})" if above and below else above or below or call.name, at

    def _stacked(self, call: _Call) -> _Said:
        script, base, at = self._two(call)
        return base + _as_script("_" if call.name == "underset" else "^", script, self.text[at : at + 1]), at

    def _placed(self, call: _Call) -> _Said:
        said, at = self._argument(call.at, call.within)
        return _as_script("^" if call.name == "textsuperscript" else "_", said, self.text[at : at + 1]), at

    def _modulo(self, call: _Call) -> _Said:
        said, at = self._argument(call.at, call.within)
        return f"{call.space}(mod {said})", at

    def _negated(self, call: _Call) -> _Said:
        if not call.within.math:
            return call.name, call.at
        said, at = self._argument(call.at, call.within)
        return macros.negated(said), at

    def _link(self, call: _Call) -> _Said:
        address, at = self._raw(call.at, call.within)
        closing = self._closing(at, call.within)
        shown = self.read(at + 1, call.within.inside(closing)) if closing is not None else ""
        at = at if closing is None else closing + 1
        if not shown or address.removesuffix("/").endswith(shown.removesuffix("/")):
            return address or call.name, at
        return f"{shown} ({address})" if address else shown, at

    def _address(self, call: _Call) -> _Said:
        said, at = self._raw(call.at, call.within)
        return said or call.name, at

    def _verbatim(self, call: _Call) -> _Said:
        match = _VERBATIM.match(self.text, call.at, call.within.end)
        return (match[2], match.end()) if match else (call.name, call.at)

    def _footnote(self, call: _Call) -> _Said:
        said, at = self._argument(call.at, call.within)
        return f"{call.space}({said.strip()})" if said.strip() else "", at

    def _second(self, call: _Call) -> _Said:
        """The second of two arguments, such as what is shown in a colour."""
        first, at = self._argument(call.at, call.within)
        return (first, at) if self._closing(at, call.within) is None else self._argument(at, call.within)

    def _dropped(self, call: _Call) -> _Said:
        _, at = self._raw(call.at, call.within)
        return "", at if call.space else self._after_space(at, call.within)

    def _gap(self, call: _Call) -> _Said:
        _, at = self._raw(call.at, call.within)
        return call.space, self._after_space(at, call.within)

    def _environment(self, call: _Call) -> _Said:
        match = _ENVIRONMENT.match(self.text, call.at, call.within.end)
        if not match:
            return call.name, call.at
        bracket = macros.BRACKETS.get(match[1], "  ")[call.name == "end"].strip()
        after = self._after_space(match.end(), call.within)
        if call.within.math:
            return bracket, after if call.name == "begin" else match.end()
        return call.space if after < call.within.end else "", after

    def _bracketed(self, call: _Call) -> _Said:
        said, at = self._argument(call.at, call.within, _Mode.MATH)
        brackets = macros.BRACKETS[call.name]
        return brackets[0] + said + brackets[1] if said else call.name, at

    def _bullet(self, call: _Call) -> _Said:
        return f"{call.space}• ", self._after_space(call.at, call.within)


_HANDLERS: Mapping[str, Callable[[_Reader, _Call], _Said]] = {
    **dict.fromkeys(("frac", "dfrac", "tfrac", "cfrac", "nicefrac", "sfrac", "textfrac"), _Reader._fraction),
    **dict.fromkeys(("binom", "dbinom", "tbinom"), _Reader._binomial),
    **dict.fromkeys(("overset", "underset", "stackrel"), _Reader._stacked),
    **dict.fromkeys(("textsuperscript", "textsubscript"), _Reader._placed),
    **dict.fromkeys(("url", "nolinkurl", "path"), _Reader._address),
    **dict.fromkeys(("textcolor", "colorbox", "texorpdfstring", "scalebox"), _Reader._second),
    **dict.fromkeys(("color", "thanks", "phantom", "hphantom", "vphantom", "tag"), _Reader._dropped),
    **dict.fromkeys(("ket", "bra", "abs", "norm", "ceil", "floor"), _Reader._bracketed),
    **dict.fromkeys(("vspace", "hspace"), _Reader._gap),
    **dict.fromkeys(("begin", "end"), _Reader._environment),
    **dict.fromkeys(("footnote", "footnotetext"), _Reader._footnote),
    "sqrt": _Reader._root,
    "pmod": _Reader._modulo,
    "not": _Reader._negated,
    "href": _Reader._link,
    "verb": _Reader._verbatim,
    "item": _Reader._bullet,
}


@lru_cache(maxsize=1024)
def _is_known(name: str) -> bool:
    """Whether a macro of this name is one of LaTeX, or one that many define alike."""
    if name in _HANDLERS or name in macros.ABBREVIATIONS or macros.SPACES.fullmatch(name):
        return True
    if name in macros.NOTHING or name in macros.ESCAPED or macros.is_accent(name):
        return True
    return macros.is_font(name) or macros.is_switch(name, inside=True) or macros.sign(name) is not None


def _as_script(mark: str, said: str, following: str) -> str:
    """A superscript or subscript: in characters that Unicode has for it, or as it is typed, ``x_max``."""
    said = said.strip()
    if not said:
        return ""
    if not _LONG_WORD.search(said):
        small = (macros.raised if mark == "^" else macros.lowered)("".join(said.split()))
        if small:
            return small
    bare = _SHORT_SCRIPT.fullmatch(said) and not (said[-1].isalnum() and following.isalnum())
    return mark + (said if bare else f"{{{said}}}")


def _matched(pattern: re.Pattern[str], text: str, at: int, end: int) -> str:
    match = pattern.match(text, at, end)
    return match[0] if match else ""
