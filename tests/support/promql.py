"""PromQL, as far as the dashboard and the alerts use it: a query is evaluated on two scrapes.

The grammar is Prometheus's own, in part: selectors with matchers and a range, ``rate`` and
``increase``, ``histogram_quantile``, ``sum``, ``min`` and ``max`` with ``by``, ``*``, ``/`` and
comparisons. It is stricter where a query would quietly find nothing: a label that no series of the
metric has is an error, in a matcher as in ``by``. A comparison returns what is compared.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SECONDS: Final = 10.0
"""Between the two scrapes."""

_TOKENS: Final = re.compile(
    r"""\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<name>[a-zA-Z_:][\w:]*)|(?P<text>"(?:[^"\\]|\\.)*")"""
    r"""|(?P<range>\[\d+[smhd]\])|(?P<sign>==|!=|>=|<=|=~|!~|[-+*/><={}(),]))"""
)
_COMPARISONS: Final = {"==", "!=", ">", "<", ">=", "<="}
_AGGREGATIONS: Final[dict[str, Callable[[Iterable[float]], float]]] = {
    "sum": sum,
    "min": min,
    "max": max,
}

Labels: TypeAlias = frozenset[tuple[str, str]]
Vector: TypeAlias = dict[Labels, float]


class PromQLError(Exception):
    """The query is none, or would find nothing."""


class Scrapes:
    """What a target has answered twice.

    Args:
        earlier: The text of the first scrape.
        later: The text of the second one.
        labels: Those that Prometheus gives the target.
    """

    def __init__(self, earlier: str, later: str, **labels: str) -> None:
        self._earlier, self._later = (_samples(text, labels) for text in (earlier, later))

    def select(self, name: str) -> dict[Labels, tuple[float | None, float]]:
        """Return the values of the series of a metric, in both scrapes."""
        found = self._later.get(name)
        if not found:
            raise PromQLError(f"There is no metric {name}")
        before = self._earlier.get(name, {})
        return {labels: (before.get(labels), value) for labels, value in found.items()}


def _samples(text: str, target: dict[str, str]) -> dict[str, Vector]:
    found: defaultdict[str, Vector] = defaultdict(dict)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name][frozenset({**sample.labels, **target}.items())] = sample.value
    return found


class _Token(NamedTuple):
    kind: str
    text: str


def _tokens(query: str) -> Iterator[_Token]:
    position, query = 0, query.strip()
    while position < len(query):
        match = _TOKENS.match(query, position)
        if match is None or match.lastgroup is None:
            raise PromQLError(f"Unreadable: {query[position:]}")
        position = match.end()
        yield _Token(match.lastgroup, match[match.lastgroup])


def evaluate(query: str, scrapes: Scrapes) -> Vector:
    """Return the result of a query: values by labels."""
    reader = _Reader(query, scrapes)
    found = reader.comparison()
    if reader.token.kind != "end":
        raise PromQLError(f"{reader.token.text} is too much in {query}")
    assert isinstance(found, dict)
    return found


class _Reader:
    def __init__(self, query: str, scrapes: Scrapes) -> None:
        self._rest = [*_tokens(query), _Token("end", "")]
        self._scrapes = scrapes

    @property
    def token(self) -> _Token:
        return self._rest[0]

    def _take(self, *expected: str) -> str:
        token = self._rest.pop(0)
        if expected and token.text not in expected and token.kind not in expected:
            raise PromQLError(f"{token.text!r} where {expected} is due")
        return token.text

    def comparison(self) -> Vector | float:
        left = self._product()
        if self.token.text in _COMPARISONS:
            self._take()
            self._product()
        return left

    def _product(self) -> Vector | float:
        left = self._operand()
        while self.token.text in {"*", "/"}:
            sign, right = self._take(), self._operand()
            left = _combine(left, right, divide=sign == "/")
        return left

    def _operand(self) -> Vector | float:
        if self.token.kind == "number":
            return float(self._take())
        if self.token.text == "(":
            return self._in_brackets()
        name = self._take("name")
        if name in _AGGREGATIONS:
            return self._aggregated(name)
        if name in {"rate", "increase"}:
            return self._rate(per=SECONDS if name == "rate" else 1.0)
        if name == "histogram_quantile":
            return self._quantile()
        return {labels: value for labels, (_, value) in self._selected(name).items()}

    def _in_brackets(self) -> Vector | float:
        self._take("(")
        found = self.comparison()
        self._take(")")
        return found

    def _aggregated(self, name: str) -> Vector:
        by: list[str] = []
        if self.token.text == "by":
            self._take()
            self._take("(")
            by.append(self._take("name"))
            while self._take(",", ")") == ",":
                by.append(self._take("name"))
        vector = self._in_brackets()
        assert isinstance(vector, dict)
        groups: defaultdict[Labels, list[float]] = defaultdict(list)
        for labels, value in vector.items():
            known = dict(labels)
            if not known.keys() >= {*by}:
                raise PromQLError(f"Of {by} there is only {sorted(known)}")
            groups[frozenset((label, known[label]) for label in by)].append(value)
        return {labels: _AGGREGATIONS[name](values) for labels, values in groups.items()}

    def _rate(self, per: float) -> Vector:
        self._take("(")
        found = self._selected(self._take("name"))
        self._take("range")
        self._take(")")
        # As in Prometheus, a series has a rate from its second sample on.
        return {
            labels: (later - earlier) / per
            for labels, (earlier, later) in found.items()
            if earlier is not None
        }

    def _quantile(self) -> Vector:
        self._take("(")
        share = float(self._take("number"))
        self._take(",")
        buckets = self.comparison()
        self._take(")")
        assert isinstance(buckets, dict)
        counts: defaultdict[Labels, dict[float, float]] = defaultdict(dict)
        for labels, count in buckets.items():
            known = dict(labels)
            bound = float(known.pop("le"))
            counts[frozenset(known.items())][bound] = count
        return {labels: _bucket_at(share, of_one) for labels, of_one in counts.items()}

    def _selected(self, name: str) -> dict[Labels, tuple[float | None, float]]:
        found = self._scrapes.select(name)
        if self.token.text == "{":
            self._take()
            while self.token.text != "}":
                found = self._matching(found)
                if self.token.text == ",":
                    self._take()
            self._take("}")
        if not found:
            raise PromQLError(f"Nothing matches of {name}")
        return found

    def _matching(
        self, found: dict[Labels, tuple[float | None, float]]
    ) -> dict[Labels, tuple[float | None, float]]:
        label, sign = self._take("name"), self._take("=", "!=", "=~", "!~")
        value = self._take("text")[1:-1]
        pattern = re.compile(value if "~" in sign else re.escape(value))
        if not all(label in dict(labels) for labels in found):
            raise PromQLError(f"There is no label {label}")
        wanted = not sign.startswith("!")
        return {
            labels: values
            for labels, values in found.items()
            if (pattern.fullmatch(dict(labels)[label]) is not None) == wanted
        }


def _combine(left: Vector | float, right: Vector | float, *, divide: bool) -> Vector | float:
    def of(one: float, other: float) -> float:
        if divide:
            return one / other if other else float("nan")
        return one * other

    if isinstance(left, dict) and isinstance(right, dict):
        found = {one: of(value, right[one]) for one, value in left.items() if one in right}
        if not found:
            raise PromQLError("The two sides have no labels alike")
        return found
    if isinstance(left, dict):
        assert isinstance(right, float)
        return {labels: of(value, right) for labels, value in left.items()}
    assert isinstance(left, float)
    if isinstance(right, dict):
        return {labels: of(left, value) for labels, value in right.items()}
    return of(left, right)


def _bucket_at(share: float, counts: dict[float, float]) -> float:
    """Return the bound of the bucket with this quantile. Prometheus interpolates within it."""
    wanted = share * counts[float("inf")]
    return min(bound for bound, count in counts.items() if count >= wanted)
