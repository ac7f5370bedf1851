"""What a simulated model writes: values of a JSON schema and sentences, grounded in the prompt.

The same prompt, schema, lengths and digest always give the same value. Choices follow the prompt's facts
(`grounding`), prose is made of the facts' words and holds no digit, and how much is written is drawn from the
profile's `Lengths`.
"""

import math
import re
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from swarmlab.errors import ModelError
from swarmlab.models.constraint import prose_bounds
from swarmlab.models.draws import Stream
from swarmlab.models.grounding import ground_of
from swarmlab.models.numbers import number_within
from swarmlab.models.patterns import matching_text
from swarmlab.models.profile import Lengths
from swarmlab.models.schemas import kind_of, merged, resolved

OPEN_LIST_ITEMS = 3
"""Items that a list may have beyond its least where its schema sets no most."""
SENTENCE_WORDS = (6, 18)
"""Bounds of a sentence that no schema bounds."""
PHRASE_WORDS = (1, 6)
"""Bounds of a string that is no sentence."""
_LIST_ITEM = re.compile(r"^\s*- ", re.MULTILINE)
_FRUGAL_DEPTH = 5
_DEEPEST = 24
_FORMATS = {
    "date": "2000-01-01",
    "time": "12:00:00Z",
    "date-time": "2000-01-01T12:00:00Z",
    "duration": "P1D",
    "email": "name@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def write_json(schema: Mapping[str, Any], prompt: str, lengths: Lengths, digest: bytes) -> Any:
    """Return a value that fits a schema as `json_schema_of` gives it.

    Parameters
    ----------
    prompt
        What is asked in its first line, what is known in the others.
    digest
        All that is drawn follows from it.

    Raises
    ------
    ModelError
        The schema is one this writer finds no value for.
    """
    return _Writer(schema, prompt, lengths, digest).value(schema, 0)


def write_text(prompt: str, lengths: Lengths, digest: bytes) -> str:
    """Return a few sentences of the prompt's words."""
    writer = _Writer({}, prompt, lengths, digest)
    return " ".join(writer.sentence(*SENTENCE_WORDS) for _ in range(writer.n_items(1, OPEN_LIST_ITEMS)))


def is_listed(prompt: str) -> bool:
    """Whether lines of a prompt are list items."""
    return _LIST_ITEM.search(prompt) is not None


class _Writer:
    """One answer in the making."""

    def __init__(self, root: Mapping[str, Any], prompt: str, lengths: Lengths, digest: bytes) -> None:
        self._root = root
        self._prompt = prompt
        self._ground = ground_of(prompt)
        self._lengths = lengths
        self._stream = Stream(digest)

    def value(self, schema: Any, depth: int) -> Any:
        if depth > _DEEPEST or schema is False:
            raise ModelError("a simulated model found no end to a schema, or one that allows no value")
        schema = resolved(schema, self._root)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._options(schema["enum"], 1)[0]
        if "anyOf" in schema:
            return self._any_of(schema, depth)
        match kind_of(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return self._string(schema)
            case "integer" | "number" as kind:
                return number_within(schema, kind == "integer", self._ground.numbers, self._stream)
            case "boolean":
                return self._stream.below(2) == 1
            case _:
                return None

    def sentence(self, least: int, most: int) -> str:
        """Words of the facts, a capital first and a full stop at the end; never a digit."""
        words = self._words(self._n_sentence_words(least, most))
        return f"{' '.join(words).capitalize()}."

    def n_items(self, least: int, most: int) -> int:
        """How many items of a list, between two bounds."""
        return self._between(least, most, self._lengths.items, self._lengths.items_spread)

    def _n_words(self, least: int, most: int) -> int:
        return self._between(least, most, self._lengths.words, self._lengths.words_spread)

    def _n_sentence_words(self, least: int, most: int) -> int:
        words = self._lengths.sentence_words
        if words is None:
            return self._n_words(least, most)
        listed = self._lengths.sentence_words_listed
        if listed is not None and is_listed(self._prompt):
            words = listed
        drawn = words + self._lengths.sentence_spread * (2 * self._stream.uniform() - 1)
        return min(max(self._whole(drawn), least), most)

    def _between(self, least: int, most: int, share: float, spread: float) -> int:
        drawn = share + spread * (2 * self._stream.uniform() - 1)
        return least + self._whole((most - least) * min(max(drawn, 0.0), 1.0))

    def _whole(self, number: float) -> int:
        """One of the two whole numbers around `number`, which stays the mean: 0.2 is a 1 once in five."""
        return math.floor(number + self._stream.uniform())

    def _words(self, n: int) -> list[str]:
        words = self._ground.words(self._stream.below(self._ground.n_lines))
        # A sentence's capital is a plain one; a prompt of other letters has no word to begin with.
        first = next((word for word in islice(words, 100) if word[0] < "{"), "so")
        return [first, *islice(words, n - 1)]

    def _any_of(self, schema: Mapping[str, Any], depth: int) -> Any:
        siblings = {name: part for name, part in schema.items() if name != "anyOf"}
        branches = list(schema["anyOf"])
        names = [_tool_name(branch) for branch in branches]
        if all(names):
            branches = [branches[i] for i in self._ground.ranked(names, 0)]
        elif depth > _FRUGAL_DEPTH:
            branches.sort(key=lambda branch: "$ref" in str(branch))
        for branch in branches:
            try:
                return self.value(merged(resolved(branch, self._root), siblings), depth + 1)
            except ModelError as error:
                refusal = error
        raise refusal

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties, required = schema.get("properties", {}), schema.get("required", ())
        frugal = depth > _FRUGAL_DEPTH
        wanted = [name for name in properties if name in required or not frugal]
        wanted += [name for name in required if name not in properties]
        spare = [name for name in wanted if name not in required]
        most = schema.get("maxProperties")
        if most is not None and len(wanted) > most:
            dropped = set(spare[max(len(spare) - (len(wanted) - most), 0) :])
            wanted = [name for name in wanted if name not in dropped]
        written: dict[str, Any] = {}
        for name in wanted:
            try:
                written[name] = self.value(self._property(schema, name), depth + 1)
            except ModelError:
                # What may be left out is left out where nothing fits it.
                if name in required:
                    raise
        for name in self._more_names(schema, written):
            written[name] = self.value(self._property(schema, name), depth + 1)
        return written

    def _more_names(self, schema: Mapping[str, Any], written: Mapping[str, Any]) -> list[str]:
        """Names that bring an object to its least number of properties."""
        missing = schema.get("minProperties", 0) - len(written)
        names = [name for name in schema.get("properties", {}) if name not in written][: max(missing, 0)]
        patterns = list(schema.get("patternProperties", {}))
        for number in range(1000):
            if len(names) >= missing:
                return names
            if patterns and schema.get("additionalProperties") is False:
                name = matching_text(
                    patterns[number % len(patterns)], number // len(patterns), None, self._stream
                )
            else:
                name = f"key_{number + 1}"
            if name not in written and name not in names:
                names.append(name)
        raise ModelError(f"a simulated model found no {missing} more names for the properties of an object")

    def _property(self, schema: Mapping[str, Any], name: str) -> Any:
        """All that an object's schema says of one property."""
        rules = [schema["properties"][name]] if name in schema.get("properties", {}) else []
        if patterns := schema.get("patternProperties"):
            rules += [rule for pattern, rule in patterns.items() if re.search(pattern, name)]
        if not rules:
            return schema.get("additionalProperties", True)
        whole = resolved(rules[0], self._root)
        for rule in rules[1:]:
            whole = merged(whole, resolved(rule, self._root))
        return whole

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        first, rest = list(schema.get("prefixItems", ())), schema.get("items", True)
        least = schema.get("minItems", 0)
        most = schema.get("maxItems", max(least, len(first) if rest is False else OPEN_LIST_ITEMS))
        if rest is False:
            most = min(most, len(first))
        n = least if depth > _FRUGAL_DEPTH else self.n_items(least, max(most, least))
        written = [self.value(item, depth + 1) for item in first[:n]]
        options = resolved(rest, self._root).get("enum") if rest is not False else None
        if options and n > len(written):
            return written + self._options(options, n - len(written))
        return written + [self.value(rest, depth + 1) for _ in range(n - len(written))]

    def _options(self, options: Sequence[Any], n: int) -> list[Any]:
        """The best grounded of some options, each once as long as they last."""
        if not options:
            raise ModelError("a simulated model found no option that a schema allows")
        turn = self._stream.below(len(options))
        if all(isinstance(option, str) for option in options):
            places = self._ground.ranked(options, turn)
        else:
            places = [(turn + k) % len(options) for k in range(len(options))]
        return [options[places[k % len(places)]] for k in range(n)]

    def _string(self, schema: Mapping[str, Any]) -> str:
        if bounds := prose_bounds(schema):
            return self.sentence(*bounds)
        least, most = schema.get("minLength", 0), schema.get("maxLength")
        if "format" in schema:
            return _FORMATS[schema["format"]]
        if "pattern" in schema:
            return matching_text(schema["pattern"], least, most, self._stream)
        fits = (q for q in self._ground.quoted if least <= len(q) <= (len(q) if most is None else most))
        if (quoted := next(fits, None)) is not None:
            return quoted
        text = " ".join(self._words(self._n_words(*PHRASE_WORDS)))
        if len(text) < least:
            text = " ".join([text, *self._words(math.ceil(least / 2))])
        if most is not None and len(text) > most:
            cut = text[:most].rpartition(" ")[0].rstrip()
            text = cut if len(cut) >= max(least, 1) else text[:most]
        return text


def _tool_name(branch: Any) -> str:
    """Name of the tool that a branch calls; empty for any other branch."""
    name = branch.get("properties", {}).get("name", {}) if isinstance(branch, Mapping) else {}
    return str(name.get("const", "")) if isinstance(name, Mapping) else ""
