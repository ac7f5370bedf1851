"""The mind of a simulated model: writes the answer to a request and counts its tokens; remembers both."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from jsonschema.validators import Draft202012Validator, validator_for
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from swarmlab.errors import ModelError
from swarmlab.models.constraint import FixedSchema, json_schema_of
from swarmlab.models.conversation import chat_messages
from swarmlab.models.draws import digest
from swarmlab.models.profile import Profile
from swarmlab.models.text_tokens import TokenCounter
from swarmlab.models.writing import write_json, write_text

REMEMBERED = 16_384
"""Answers, and schemas, that are kept; the oldest go first. Runs of one brief ask the same again."""

V = TypeVar("V")

_PLAIN = (SystemMessage, HumanMessage)

_CHOICE_KEYWORDS = {"title", "description", "type", "properties", "required", "additionalProperties"}

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Draft(NamedTuple):
    """An answer before any time has passed."""

    prompt: str
    text: str
    finish_reason: str
    """`stop` or `length`."""
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, eq=False)
class AnswerForm:
    """A schema made ready; one object a schema, so that it can be told by identity."""

    schema: dict[str, Any]
    text: str

    @cached_property
    def validator(self) -> Any:
        """Made when it is needed: the schema of a choice is checked without, and every exam has its own."""
        return validator_for(self.schema, default=Draft202012Validator)(self.schema)

    def check(self, value: Any) -> None:
        """Raise ModelError for a value that does not fit."""
        if _is_choice(self.schema, value):
            return
        for error in self.validator.iter_errors(value):
            raise ModelError(
                f"a simulated model found no value for the schema: at {error.json_path}, {error.message}"
            )


class Bounds(NamedTuple):
    """What ends an answer early."""

    max_tokens: int | None = None
    stop: tuple[str, ...] = ()


class Author:
    """Writes as a profile says: the same request, the same answer, in every process."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.fingerprint = profile.fingerprint
        text = profile.text
        self.prompt_counter = TokenCounter(text.tokens)
        answer_tokens = text.answer_tokens
        self._answer_counter = TokenCounter(answer_tokens) if answer_tokens else self.prompt_counter
        self._answer_end = answer_tokens.per_prompt if answer_tokens else 0.0
        self._forms: dict[Any, AnswerForm] = {}
        self._drafts: dict[Any, Draft] = {}
        self._replies: dict[Any, Draft] = {}
        self._counted: dict[str, tuple[str, int]] = {}
        self._shares: dict[tuple[str, int], float] = {}

    def form_of(self, schema: Mapping[str, Any] | type, string_limit: int | None) -> AnswerForm:
        """Return the form of a pydantic or TypedDict class, a tool or a JSON schema.

        Raises
        ------
        ModelError
            As `json_schema_of`.
        """
        try:
            key = (_text_of(schema), string_limit)
        except TypeError:
            # A schema that holds what JSON does not know is made ready each time.
            json_schema = json_schema_of(schema, string_limit)
            return AnswerForm(json_schema, _encode(json_schema))
        known = self._forms.get(key)
        if known is not None:
            return known
        json_schema = json_schema_of(schema, string_limit)
        # Most of the agents' schemas are bounded as they are; their text is known.
        if isinstance(schema, FixedSchema) and json_schema == schema:
            text = schema.text
        else:
            text = _encode(json_schema)
        return _remember(self._forms, key, AnswerForm(json_schema, text))

    def form(self, json_schema: dict[str, Any]) -> AnswerForm:
        """Return the form of a schema that `json_schema_of` gave."""
        text = _encode(json_schema)
        return self._forms.get(text) or _remember(self._forms, text, AnswerForm(json_schema, text))

    def draft(self, messages: Sequence[Mapping[str, str]], form: AnswerForm | None, bounds: Bounds) -> Draft:
        """Write the answer to a conversation.

        Parameters
        ----------
        messages
            As `chat_messages` gives them.
        form
            What the answer has to fit; None for free text.

        Raises
        ------
        ModelError
            The prompt fills the context, or no value for the schema was found.
        """
        turns = [(message["role"], message["content"]) for message in messages]
        prompt = "\0".join(part for turn in turns for part in turn)
        key = (prompt, form, bounds)
        return self._drafts.get(key) or _remember(self._drafts, key, self._new(prompt, turns, form, bounds))

    def reply(self, messages: Sequence[BaseMessage], form: AnswerForm | None, bounds: Bounds) -> Draft:
        """`draft` of LangChain's messages; plain ones that were answered before are told by their texts."""
        texts = []
        for message in messages:
            if type(message) not in _PLAIN or type(message.content) is not str:
                return self.draft(chat_messages(messages), form, bounds)
            texts.append((message.type, message.content))
        key = (tuple(texts), form, bounds)
        known = self._replies.get(key)
        return known or _remember(self._replies, key, self.draft(chat_messages(messages), form, bounds))

    def answer_tokens(self, text: str) -> int:
        """Tokens of an answer; at least one."""
        return max(round(self._answer_counter.count(text) + self._answer_end), 1)

    def share_within(self, prompt: str, characters: int) -> float:
        """Share of a prompt's tokens that is in its first characters, in proportion within a line.

        By lines, because facts have far more tokens a character than instructions.
        """
        known = self._shares.get((prompt, characters))
        if known is not None:
            return known
        return _remember(self._shares, (prompt, characters), self._share(prompt, characters))

    def _share(self, prompt: str, characters: int) -> float:
        count = self.prompt_counter.count
        begin = prompt.rfind("\n", 0, characters) + 1
        end = prompt.find("\n", characters)
        line = prompt[begin : end if end >= 0 else len(prompt)]
        whole = count(prompt)
        if not whole:
            return characters / len(prompt)
        within = (characters - begin) / len(line) * count(line) if line else 0.0
        return ((count(prompt[: begin - 1]) if begin else 0.0) + within) / whole

    def _new(
        self, prompt: str, turns: Sequence[tuple[str, str]], form: AnswerForm | None, bounds: Bounds
    ) -> Draft:
        # One text for all answers to it: texts that are the same object are soon found to be equal.
        prompt, prompt_tokens = self._counted.get(prompt) or _remember(
            self._counted, prompt, (prompt, self.prompt_counter.prompt(turns))
        )
        room = self.profile.context_tokens - prompt_tokens
        if room < 1:
            raise ModelError(
                f"the prompt has {prompt_tokens} tokens, the model's context holds "
                f"{self.profile.context_tokens}; shorten the prompt or use a profile with a longer context"
            )
        text = self._text(prompt, _asked(turns), form)
        for end in bounds.stop:
            text = text.partition(end)[0]
        limit = room if bounds.max_tokens is None else min(bounds.max_tokens, room)
        tokens = self.answer_tokens(text)
        if tokens <= limit:
            return Draft(prompt, text, "stop", prompt_tokens, tokens)
        return Draft(prompt, self._cut(text, limit), "length", prompt_tokens, limit)

    def _text(self, prompt: str, asked: str, form: AnswerForm | None) -> str:
        all_lengths = self.profile.text.lengths
        if form is None:
            return write_text(asked, all_lengths["default"], digest(self.profile.seed, prompt))
        lengths = all_lengths.get(str(form.schema.get("title")), all_lengths["default"])
        value = write_json(form.schema, asked, lengths, digest(self.profile.seed, prompt, form.text))
        form.check(value)
        return _encode(value)

    def _cut(self, text: str, limit: int) -> str:
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            if self._answer_counter.count(text[:middle]) <= limit:
                low = middle
            else:
                high = middle - 1
        return text[:low]


def _is_choice(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether a schema wants an object of one text among some, and nothing else, and the value is that."""
    if schema.keys() - _CHOICE_KEYWORDS or schema.get("type") != "object" or not isinstance(value, dict):
        return False
    rules = schema.get("properties", {})
    return value.keys() == rules.keys() == set(schema.get("required", ())) and all(
        rule.keys() == {"type", "enum"}
        and rule["type"] == "string"
        and isinstance(value[name], str)
        and value[name] in rule["enum"]
        for name, rule in rules.items()
    )


def _text_of(schema: Mapping[str, Any] | type) -> str | type:
    if isinstance(schema, type):
        return schema
    return schema.text if isinstance(schema, FixedSchema) else _encode(schema)


def _asked(turns: Sequence[tuple[str, str]]) -> str:
    """What the user said last."""
    return next((text for role, text in reversed(turns) if role == "user"), turns[-1][1] if turns else "")


def _remember(known: dict[Any, V], key: Any, value: V) -> V:
    if len(known) >= REMEMBERED:
        del known[next(iter(known))]
    known[key] = value
    return value
