"""The language of `registry search`: comparisons of figures and texts with `and`, `or`, `not` and parentheses.

    accuracy > 0.9 and device.cortex-a76.instructions < 700000
    verdict = PASS and not (artifact = "tflite/float32" or size_disk_bytes >= 1e6)

Names hold letters, digits, `_`, `.` and `-`. A name that a version does not have compares as false, whatever it is compared with.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.model_registry.version import Version
from edgeship.untrusted import printable

Test = Callable[[Version], bool]
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"[^"]*"|'[^']*')|(?P<operator><=|>=|!=|==|=|<|>)|(?P<bracket>[()])|(?P<word>[^\s()<>=!"']+))"""
)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}
SIGNS = "<, <=, =, !=, >= or >"
WORDS = ("and", "or", "not")
NESTING = 50
SHOWN = 12  # names in a message
OWN = ("version", "added", "who", "alias")  # beside those of the record


@dataclass(frozen=True)
class Token:
    """A part of a query: its kind, its text without quotation marks, and where it begins (from 1)."""

    kind: str
    text: str
    place: int


def search_versions(query: str, rows: Sequence[Version]) -> list[Version]:
    """The versions for which a query holds. Raises InputError that says where it is wrong, or which names there are."""
    test = parse_query(query, rows)
    return [row for row in rows if test(row)]


def parse_query(query: str, rows: Sequence[Version]) -> Test:
    """What a query asks of a version; the names in it must be those of one of the `rows`."""
    return _Parser(query, rows).parse()


class _Parser:
    def __init__(self, query: str, rows: Sequence[Version]) -> None:
        self.query, self.tokens, self.at, self.depth = query, _split(query), 0, 0
        self.figures = {name for row in rows for name in row.record.figures} | {"version"}
        self.texts = {name for row in rows for name in row.record.texts} | {*OWN} - {"version"}

    def parse(self) -> Test:
        test = self._any()
        if token := self._peek():
            raise self._error(f"'{token.text}' stands where and, or, or the end should", token)
        return test

    def _any(self) -> Test:
        tests = [self._all()]
        while self._take_word("or"):
            tests.append(self._all())
        return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)

    def _all(self) -> Test:
        tests = [self._one()]
        while self._take_word("and"):
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)

    def _one(self) -> Test:
        self.depth += 1
        if self.depth > NESTING:
            raise self._error(f"more than {NESTING} levels of not and parentheses", self._peek())
        try:
            if self._take_word("not"):
                inner = self._one()
                return lambda row: not inner(row)
            token = self._peek()
            if token and token.text == "(" and token.kind == "bracket":
                self.at += 1
                inner = self._any()
                closing = self._peek()
                if not closing or closing.text != ")":
                    raise self._error("a parenthesis is not closed", closing)
                self.at += 1
                return inner
            return self._comparison()
        finally:
            self.depth -= 1

    def _comparison(self) -> Test:
        name = self._next("a name")
        if name.kind != "word" or name.text.lower() in WORDS:
            raise self._error(f"'{name.text}' stands where a name should", name)
        sign = self._next(SIGNS)
        if sign.kind != "operator":
            raise self._error(f"'{sign.text}' stands where {SIGNS} should", sign)
        value = self._next("a value")
        if value.kind not in ("word", "text"):
            raise self._error(f"'{value.text}' stands where a value should", value)
        if name.text in self.figures:
            return self._compare_figure(name.text, sign, value)
        if name.text in self.texts:
            return self._compare_text(name.text, sign, value)
        raise self._unknown(name)

    def _compare_figure(self, name: str, sign: Token, value: Token) -> Test:
        if value.kind != "word" or not _NUMBER.fullmatch(value.text):
            raise self._error(f"{name} is a number, and is not compared with '{value.text}'", value)
        number, compare = float(value.text), OPERATORS[sign.text]

        def test(row: Version) -> bool:
            figure = row.number if name == "version" else row.record.figures.get(name)
            return figure is not None and compare(figure, number)

        return test

    def _compare_text(self, name: str, sign: Token, value: Token) -> Test:
        ordered = name in ("added", "created")  # ISO 8601, whose order is that of time
        if sign.text not in ("=", "==", "!=") and not ordered:
            raise self._error(f"{name} is a text, which = and != compare", sign)
        equal, wanted = sign.text != "!=", value.text
        if ordered and sign.text not in ("=", "==", "!="):
            compare: Callable[[str, str], bool] = OPERATORS[sign.text]  # type: ignore[assignment]  # of texts as of numbers
            return lambda row: any(compare(text, wanted) for text in _texts(row, name))
        return lambda row: bool(found := _texts(row, name)) and (wanted in found) == equal

    def _unknown(self, name: Token) -> InputError:
        known = self.figures | self.texts
        close = get_close_matches(name.text, known, SHOWN, 0.5)
        shown = close or sorted(known, key=lambda item: (item.count("."), item))[:SHOWN]
        more = (
            f", and {len(known) - len(shown)} more (registry show lists a version's)" if len(known) > len(shown) else ""
        )
        return self._error(f"no version has '{name.text}'; known: {', '.join(shown)}{more}", name)

    def _peek(self) -> Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def _next(self, what: str) -> Token:
        token = self._peek()
        if token is None:
            raise self._error(f"it ends where {what} should stand", None)
        self.at += 1
        return token

    def _take_word(self, word: str) -> bool:
        token = self._peek()
        found = token is not None and token.kind == "word" and token.text.lower() == word
        self.at += found
        return found

    def _error(self, what: str, token: Token | None) -> InputError:
        where = f"at character {token.place}" if token else "at its end"
        return InputError(f"query, {where}: {printable(what)[:600]}")


def _split(query: str) -> list[Token]:
    tokens, at, end = [], 0, len(query.rstrip())
    while at < end:
        match = _TOKEN.match(query, at)
        if match is None:
            strange = query[at:].lstrip()
            where = len(query) - len(strange) + 1
            raise InputError(
                f"query, at character {where}: {printable(strange[:1])!r} has no meaning, or is not closed"
            )
        kind = str(match.lastgroup)
        text = match[kind][1:-1] if kind == "text" else match[kind]
        tokens.append(Token(kind, text, match.start(kind) + 1))
        at = match.end()
    if not tokens:
        raise InputError('query: is empty; for example "accuracy > 0.9 and verdict = PASS"')
    return tokens


def _texts(row: Version, name: str) -> Iterable[str]:
    own = {"added": (row.record.added,), "who": (row.record.who,), "alias": row.aliases}
    if name in own:
        return own[name]
    text = row.record.texts.get(name)
    return () if text is None else (text,)
