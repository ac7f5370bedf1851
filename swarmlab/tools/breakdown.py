"""Facts about each entity of a dimension: one line a metric, regular ids and labels."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from swarmlab.tools.facts import Fact, FactSheet, of
from swarmlab.tools.sales import TOP_N, Floats, Sales

NOUNS = {"store_id": "store"}
"""How a dimension is called in a label, where its column name does not read well."""

PLURALS = {"category": "categories", "country": "countries"}


class Breakdown:
    """The reported entities of one dimension, largest revenue first, and the facts to be told of each."""

    def __init__(
        self, sheet: FactSheet, sales: Sales, dimension: str, *, focus: Sequence[str] = (), top: int = TOP_N
    ) -> None:
        self.dimension = dimension
        self.noun = NOUNS.get(dimension, dimension)
        self.order = sales.ranked(dimension, top=top, focus=focus)
        self.names = sales.names(dimension)
        self.leader = self.names[self.order[0]]
        self._sheet = sheet
        self._rows = sales.sums("rows", dimension)
        self._n_present = int((self._rows > 0).sum())

    @property
    def plural(self) -> str:
        """How the dimension's entities are called together."""
        return PLURALS.get(self.noun, f"{self.noun}s")

    @property
    def circle(self) -> str:
        """Words to be put after "of": "the categories", or "the largest categories" if there are more."""
        many = self._n_present > len(self.order)
        return f"the largest {self.plural}" if many else f"the {self.plural}"

    def add(
        self,
        metric: str,
        label: str,
        values: Sequence[float] | Floats,
        unit: str,
        *,
        headline: Collection[str] = (),
    ) -> None:
        """Add a fact for each entity; `label` has a `{}` for e.g. "brand Fizz", `values` go by code."""
        for code in self.order:
            name = self.names[code]
            self._sheet.add(
                of(metric, self.dimension, name),
                label.format(f"{self.noun} {name}"),
                float(values[code]),
                unit,
                rows=self._rows[code],
                headline=name in headline,
            )

    def choose(self, metric: str, label: str, name: str | None, *, headline: bool = False) -> Fact:
        """Add the fact that names one of the entities."""
        return self._sheet.add(metric, label, name, "name", headline=headline)

    def named(self, values: Sequence[float] | Floats) -> dict[str, float]:
        """Values of the reported entities by name."""
        return {self.names[code]: float(values[code]) for code in self.order}
