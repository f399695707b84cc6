"""Convert LaTeX to what a reader would see: macros as symbols or words, groups without their braces.

The grammar is small on purpose. TeX is not executed, and anything that is not LaTeX, or is broken, stays as it is.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from unicodedata import category

from newsletter.support.latex import macros
from newsletter.support.latex.formulas import Formula, formulas
from newsletter.support.latex.macro_arguments import HANDLERS, is_known
from newsletter.support.latex.scripts import as_script
from newsletter.support.latex.stored_formulas import stored_formula
from newsletter.support.latex.syntax import SPACE, Call, Mode, Purpose, Reading, Within, matched

_DEEPEST = 25  # Nobody nests deeper; deeper text is left as it is, to limit the time.

_MACRO = re.compile(r"(\\+)([A-Za-z]+|[^A-Za-z\\])?", re.DOTALL)
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_WORD = re.compile(r"\S+")
_RUN = {False: re.compile(r"[^\\${}^]+"), True: re.compile(r"[^\\${}^_~&'\s]+")}
_ALIGNMENT = re.compile(r"&(?!#?\w{1,8};)")  # An ampersand, except in an HTML entity.
_TIE = re.compile(r"~(?=[\w(\\$])")
_PRIMES = re.compile(r"'+")
_LIMITS = re.compile(r"\s*\\(?:no)?limits(?![A-Za-z])")
_WORD_FOLLOWS = re.compile(r"[^\W_]|\\[A-Za-z]")
_LOOSE = re.compile(r"(?<=[(\[⟨⌊⌈]) +|(?<! ) +(?=[)\]⟩⌋⌉,;])")  # Unusual space next to brackets and commas.
_DELIMITED = re.compile(r"left|right|[bB]igg?[lrm]?")
_DELIMITERS = frozenset("()[]|./\\")
_OPTION = re.compile(r"\s?\[[^\[\]{}]{0,100}\](?=\{)")
_ESCAPED = re.compile(r"\\([%&$#_{}~^\\])(?:\{\})?")
# A group in running text is LaTeX if it begins with a macro or a formula, or protects dashes or quotes.
_GROUP = re.compile(
    r"\{{1,5}(?:"
    r"\\(?:[A-Za-z]{2}|[^A-Za-z\s\"*()\[\]/]|\"\{?\\?[A-Za-z]\}?\}|[HLOPScdijklorv]\b)|\$[^$]{1,100}\$|(?:'+|`+|-+|,)\})"
)
_DRIVE = re.compile(r"(?<!\w)[A-Za-z]:$")
_SHARE = re.compile(r"\w[\w.$-]*\\\w")
_DOTLESS = re.compile(r"\\{1,2}([ij])(?![A-Za-z])(?: (?=[a-z]))?")
_CONTRACTION = re.compile(r"(?:s|t|re|ve|ll|d|m)\b")
_CLOSED_QUOTE = re.compile(r'[^"\\\n]{1,100}\\"(?!\w)')

# What TeX prints for these signs; a tilde in an address is one.
_LIGATURES = {"---": "—", "--": "–", "``": "“", "''": "”", "!`": "¡", "?`": "¿", "~": " ", "}": ""}
_LIGATURE = re.compile("---|--|``|''|[!?]`|(?<!/)~|}")

_PREFIXES = "∂∇∑∏∫∮√∀∃¬∄"


def read_latex(text: str, purpose: Purpose = Purpose.DISPLAY) -> str:
    """Convert a text with LaTeX to plain text; ties, dashes and quotes stay as they are, except in a field of BibTeX.

    The time is proportional to the length, whatever the text.
    """
    reader = _Scanner(text, _closing_braces(text), formulas(text), purpose)
    return reader.read(0, Within(len(text), Mode.GROUP if purpose is Purpose.FIELD else Mode.RUNNING))


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
class _Scanner:
    """A text being converted.

    Attributes:
        closing: for each opening brace, the position of its closing brace.
        formulas: what to read as a formula, by start position.
    """

    text: str
    closing: Mapping[int, int]
    formulas: Mapping[int, Formula]
    purpose: Purpose

    def read(self, at: int, within: Within) -> str:
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

    def _piece(self, at: int, within: Within, before: str) -> Reading:
        formula = self.formulas.get(at)
        if formula and formula.after <= within.end:
            if self.purpose is not Purpose.DISPLAY and not within.math:
                return stored_formula(self.text, at, formula, before), formula.after
            said = self.read(formula.start, within.inside(formula.end, Mode.MATH))
            return self._set_apart(_LOOSE.sub("", said.strip()), formula.after, within, before)
        character = self.text[at]
        if character == "\\":
            return self._macro(at, within, before)
        if character == "{":
            return self._group(at, within)
        if within.math:
            return self._piece_of_formula(at, within, before)
        if character == "^" and self.purpose is Purpose.DISPLAY:
            return self._script_in_text(at, within, before)
        return self._run(at, within)

    def _set_apart(self, said: str, after: int, within: Within, before: str) -> Reading:
        # "1$\frac{1}{2}$" is not eleven halves, and a tie after a formula is a space: "$10^4$~K".
        apart = " " if before.isdecimal() and said[:1].isdecimal() else ""
        tied = _TIE.match(self.text, after, within.end) is not None
        return f"{apart}{said}{' ' if tied else ''}", after + tied

    def _piece_of_formula(self, at: int, within: Within, before: str) -> Reading:
        character = self.text[at]
        if character in "^_":
            return self._script(at, within)
        if character.isspace() or character == "~" or _ALIGNMENT.match(self.text, at):
            return "" if not before or before.isspace() else " ", self.after_space(at + 1, within)
        if character == "'":
            primes = matched(_PRIMES, self.text, at, within.end)
            return "″" if len(primes) == 2 else "′" * len(primes), at + len(primes)
        return self._run(at, within)

    def _run(self, at: int, within: Within) -> Reading:
        run = matched(_RUN[within.math], self.text, at, within.end) or self.text[at]
        end = at + len(run)
        if self.purpose is Purpose.FIELD and not within.math:
            run = _LIGATURE.sub(lambda found: _LIGATURES[found[0]], run)
        return run, end

    def _group(self, at: int, within: Within) -> Reading:
        closing = self.closing_brace(at, within)
        if closing is None and self.purpose is Purpose.FIELD:
            return "", at + 1
        if closing is None or (within.mode is Mode.RUNNING and not _GROUP.match(self.text, at, closing + 1)):
            return "{", at + 1
        return self.read(at + 1, within.inside(closing)), closing + 1

    # Macros

    def _macro(self, at: int, within: Within, before: str) -> Reading:
        match = _MACRO.match(self.text, at, within.end)
        assert match is not None  # noqa: S101 - there is a backslash
        slashes, name, end = len(match[1]), match[2] or "", match.end()
        if within.depth > _DEEPEST:
            return match[0], end
        if within.mode is Mode.RUNNING and (kept := self._kept(match, before)):
            return self.text[at:kept], kept
        if self.purpose is Purpose.FIELD and (path := self._path(at, slashes, before)):
            return self.text[at:path], path
        # A macro that was escaped twice on its way has two backslashes; a line break has no macro name after it.
        twice = slashes % 2 == 0 and is_known(name) and not (within.math and len(name) == 1)
        if slashes > 1 and not twice:
            return self._line_break(Call("", at + slashes - slashes % 2, within, before))
        call = Call(name, end, within, before)
        said, end = self._named(call) if name.isalpha() else self._escaped(call)
        if name.isalpha() and self.text.startswith("{}", end, within.end):
            end += 2
        if said and not within.math and (name.startswith("math") or macros.sign(name)):
            # "\ell_2" without dollars is still a formula.
            while end < within.end and self.text[end] in "^_":
                script, after = self._script(end, within.inside(within.end, Mode.MATH))
                said, end = said + script, after
        return said, end

    def _kept(self, match: re.Match[str], before: str) -> int:
        r"""Return the end of text that only looks like a macro: a path, or the `` `` of a program. 0 for a macro."""
        at, slashes, name = match.start(), len(match[1]), match[2] or ""
        if not name or is_known(name):
            return 0
        if path := self._path(at, slashes, before):
            return path
        code = not name.isalpha() or (len(name) == 1 and name.islower())
        return match.end() if code or slashes == 2 or before.isalnum() else 0

    def _path(self, at: int, slashes: int, before: str) -> int:
        """Return the end of a path of Windows; 0 for anything else."""
        drive = _DRIVE.search(self.text[max(0, at - 3) : at])
        share = slashes == 2 and not before.isalnum() and _SHARE.match(self.text, at + 2)
        return at + len(matched(_WORD, self.text, at, len(self.text))) if drive or share else 0

    def _line_break(self, call: Call) -> Reading:
        end = self.after_space(call.at, call.within)
        if call.within.math and call.before and end < call.within.end:
            return "; ", end
        return call.space, end

    def _escaped(self, call: Call) -> Reading:
        name, at = call.name, call.at
        if macros.SPACES.fullmatch(name):
            return call.space, self.after_space(at, call.within)
        if name in macros.NOTHING or (name == "/" and self.purpose is Purpose.FIELD):
            return "", at
        if macros.is_accent(name):
            return self._accent(call)
        return {"": "\\", "|": "‖"}.get(name, name), at

    def _named(self, call: Call) -> Reading:
        name, at, within, _ = call
        if within.math and len(name) == 1:
            return self._unknown(call)
        if handler := HANDLERS.get(name):
            return handler(self, call)
        if macros.is_accent(name):
            return self._accent(call)
        if macros.SPACES.fullmatch(name):
            return call.space, self.after_space(at, within)
        if _DELIMITED.fullmatch(name) and self.text[at : at + 1] in _DELIMITERS:
            return "", at + self.text.startswith(".", at)
        if macros.is_switch(name, within.mode is not Mode.RUNNING):
            return "", self.after_space(at, within)
        if name in macros.ABBREVIATIONS and not within.math:
            return macros.ABBREVIATIONS[name].removesuffix("." if self.text[at : at + 1] == "." else ""), at
        if macros.is_font(name):
            return self._font(call)
        found = macros.sign(name)
        if found is None or (name == "deg" and within.math):
            return self._unknown(call)
        return self._function(call, found) if found.isascii() and found[0].isalpha() else self._sign(call, found)

    def _sign(self, call: Call, found: str) -> Reading:
        """Return a symbol, and how much of the space after it belongs to the macro rather than to the text."""
        name, at, within, before = call
        after = self.after_space(at, within)
        following = self.text[after : after + 1] if after < within.end else ""
        if not within.math:
            if self.purpose is Purpose.FIELD and (macros.is_text_sign(name) or (name == "AA" and following == "n")):
                return found, after
            # "S\o rensen" is one word, "0.2 \AA of" are two.
            joined = macros.LETTERS.fullmatch(name) and (before.isalpha() or len(name) == 1) and following.islower()
            return found, after if joined else at
        kind = category(found[0])
        if found.isalpha() or found in _PREFIXES:
            return found, after if following.isalnum() and following.isascii() else at
        tight = (kind == "Sm" or found == "·") and not before.isspace()
        return found, after if kind == "Ps" or tight else at

    def _function(self, call: Call, said: str) -> Reading:
        """Return a name; in a formula, with a space where it would run into its neighbours."""
        at, within, before = call.at, call.within, call.before
        if not within.math:
            return said, at
        at += len(matched(_LIMITS, self.text, at, within.end))
        left = " " if before.isalnum() or before in (")", "]", "}") else ""
        right = " " if _WORD_FOLLOWS.match(self.text, at, within.end) else ""
        return left + said + right, at

    def _unknown(self, call: Call) -> Reading:
        """Return the contents of an unknown macro's braces, or its name."""
        at, within = self._after_star(call), call.within
        at += len(matched(_OPTION, self.text, at, within.end))
        arguments = []
        while (closing := self.closing_brace(at, within)) is not None:
            arguments.append(self.read(at + 1, within.inside(closing)))
            at = closing + 1
        said = " ".join(filter(None, arguments))
        if not said and self.purpose is Purpose.FIELD and not within.math:
            return "", at if arguments else self.after_space(at, within)
        return (said, at) if said else self._function(call._replace(at=at), call.name)

    def _font(self, call: Call) -> Reading:
        name, within = call.name, call.within
        at = self._after_star(call)
        after = self.after_space(at, within)
        if not (within.math or name.startswith("math")) and self.closing_brace(after, within) is None:
            return ("", after) if name.startswith("text") else (name, at)
        said, at = self.argument(at, within, Mode.GROUP if macros.is_text_font(name) else Mode.MATH)
        if name == "operatorname":
            return self._function(call._replace(at=at), said)
        return macros.in_font(name, said), at

    # Arguments of macros

    def after_space(self, at: int, within: Within) -> int:
        return at + len(matched(SPACE, self.text, at, within.end))

    def _after_star(self, call: Call) -> int:
        return call.at + 1 if self.text.startswith("*{", call.at) else call.at

    def closing_brace(self, at: int, within: Within) -> int | None:
        """Return the end of the group that begins here, None if no group begins here."""
        closing = self.closing.get(at, within.end)
        return closing if closing < within.end else None

    def argument(self, at: int, within: Within, mode: Mode | None = None) -> Reading:
        """Read a group, a macro with its own arguments, or one character; "" if there is nothing."""
        begin = self.after_space(at, within)
        closing = self.closing_brace(begin, within)
        if closing is not None:
            return self.read(begin + 1, within.inside(closing, mode)), closing + 1
        if begin >= within.end or self.text[begin] in "{}$&^_":
            return "", at
        if self.text[begin] == "\\":
            said, end = self._macro(begin, within.inside(within.end, mode), "")
            # The space after it does not belong to the argument.
            return said, begin + len(self.text[begin:end].rstrip())
        # In running text a letter without braces begins a word.
        return ("", at) if within.mode is Mode.RUNNING else (self.text[begin], begin + 1)

    def raw_argument(self, at: int, within: Within) -> Reading:
        """Return a group as it is written, for addresses."""
        begin = self.after_space(at, within)
        closing = self.closing_brace(begin, within)
        if closing is None:
            return "", at
        return _ESCAPED.sub(r"\1", self.text[begin + 1 : closing]).strip(), closing + 1

    # Superscripts and subscripts

    def _script(self, at: int, within: Within) -> Reading:
        said, end = self.argument(at + 1, within, Mode.MATH)
        if end == at + 1:
            return self.text[at], end
        return as_script(self.text[at], said, self.text[end : end + 1]), end

    def _script_in_text(self, at: int, within: Within, before: str) -> Reading:
        r"""Read a superscript outside a formula, if it clearly is one: ``O(n^{-2})``, ``25^\circ C``."""
        closing = self.closing_brace(at + 1, within)
        short = closing is not None and closing - at < 20
        if (before.isalnum() or before in (")", "]")) and (short or self.text.startswith("\\", at + 1)):
            said, end = self._script(at, within.inside(within.end, Mode.MATH))
            if not said.startswith("^"):
                return said, end
        return "^", at + 1

    # Accents

    def _accent(self, call: Call) -> Reading:
        name, at, within, _ = call
        if within.math:
            said, end = self.argument(at, within)
            return macros.accented(name, said) if len(said) == 1 else said or name, end
        if self._is_plain(call):
            return name, at
        closing = self.closing_brace(at, within)
        if closing is not None:
            said = self.read(at + 1, within.inside(closing))
            if within.mode is Mode.RUNNING and name.isalpha() and said and not said[0].isalpha():
                return f"\\{name}", at  # of a regular expression: "\d{3}"
            bare = "" if name.isalpha() else name
            return macros.accented(name, said[0]) + said[1:] if said else bare, closing + 1
        letter, end = self._letter(call)
        if letter and len(composed := macros.accented(name, letter)) == 1:
            return composed, end
        return name if name in "'\"`~^" else "\\" + name, at

    def _letter(self, call: Call) -> Reading:
        """Return the letter under an accent, if it has no braces; "" for none."""
        name, at, within, _ = call
        dotless = _DOTLESS.match(self.text, at, within.end)
        if dotless:
            return dotless[1], dotless.end()
        if name.isalpha():
            if name in ("b", "d") or not self.text.startswith(" ", at):
                return "", at
            at += 1
        elif self.purpose is Purpose.FIELD:
            at = self.after_space(at, call.within)
        letter = self.text[at : at + 1] if at < within.end else ""
        good = letter.isascii() and letter.isalpha() and (name != "." or letter in "zZI")
        return (letter, at + 1) if good else ("", at)

    def _is_plain(self, call: Call) -> bool:
        r"""Return whether a character was escaped without being an accent: ``it\'s``, ``\"yes\"``, ``/\~user``."""
        name, at, within, before = call
        if name == "'":
            return before.isalpha() and _CONTRACTION.match(self.text, at, within.end) is not None
        if name == '"':
            return not before.isalnum() and _CLOSED_QUOTE.match(self.text, at, within.end) is not None
        return name == "~" and before == "/"
