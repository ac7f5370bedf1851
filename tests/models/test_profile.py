"""Profiles: what is read, what is refused and how it is named."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from simulations import PLAIN, make_profile

from swarmlab.errors import ModelUnavailableError, SpecError
from swarmlab.models import check_model, load_model, load_profile
from swarmlab.models.identity import model_id
from swarmlab.models.profile import Prices, TokenRate
from swarmlab.models.text_tokens import TokenCounter, text_features
from swarmlab.trace.clock import VirtualClock, WallClock


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a test's profile is written."""
    return tmp_path / "own.yaml"


def write(file: Path, document: Any) -> str:
    """Write a profile; returns its name for `load_profile`."""
    file.write_text(document if isinstance(document, str) else yaml.safe_dump(document), encoding="utf-8")
    return str(file)


def without(section: str, field: str) -> dict[str, Any]:
    """The plain document with one field of a section left out."""
    return {**PLAIN, section: {name: value for name, value in PLAIN[section].items() if name != field}}


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (without("prefill", "tokens_per_s"), r"field 'prefill.tokens_per_s': Field required"),
        (
            {**PLAIN, "decode": {"tokens_per_s": -5}},
            r"field 'decode.tokens_per_s': .*greater than 0 \(got -5\)",
        ),
        ({**PLAIN, "decode": {"tokens_per_s": 0}}, r"field 'decode.tokens_per_s'"),
        ({**PLAIN, "decode": {"tokens_per_s": float("nan")}}, r"field 'decode.tokens_per_s': .*finite"),
        ({**PLAIN, "decode": {"tokens_per_s": float("inf")}}, r"field 'decode.tokens_per_s': .*finite"),
        ({**PLAIN, "decode": {"tokens_per_s": "fast"}}, r"field 'decode.tokens_per_s'"),
        ({**PLAIN, "decode": {"tokens_per_s": True}}, r"field 'decode.tokens_per_s': .*true or false"),
        ({**PLAIN, "time_to_first_token_s": 1e308}, r"field 'time_to_first_token_s': .*less than"),
        ({**PLAIN, "prefix_cache": {"ttl_s": 1e308}}, r"field 'prefix_cache.ttl_s': .*less than"),
        ({**PLAIN, "prices": {"output_per_million_usd": 1e308}}, r"field 'prices.output_per_million_usd'"),
        ({**PLAIN, "concurrency": 0}, r"field 'concurrency'"),
        ({**PLAIN, "concurrency": 10**12}, r"field 'concurrency'"),
        ({**PLAIN, "concurency": 1}, r"field 'concurency': Extra inputs"),
        ({**PLAIN, "limits": {"tokens_per_minute": -1}}, r"field 'limits.tokens_per_minute'"),
        ({**PLAIN, "failure": {"rate": 1.5}}, r"field 'failure.rate'"),
        ({**PLAIN, "jitter": {"kind": "gauss"}}, r"field 'jitter.kind'"),
        ({**PLAIN, "name": "../x"}, r"field 'name'"),
        ({**PLAIN, "calibration": {}}, r"says from which runs"),
        (
            {**PLAIN, "text": {**PLAIN["text"], "lengths": {}}},
            r"field 'text': lengths needs an entry 'default'",
        ),
        (
            {**PLAIN, "text": {**PLAIN["text"], "lengths": {"default": {"sentence_spread": 2}}}},
            r"field 'text.lengths.default': sentence_words_listed and sentence_spread need sentence_words",
        ),
        (
            {**PLAIN, "tools": {"baseline": PLAIN["tools"]["baseline"]}},
            r"tools needs the costs of 'vectorized'",
        ),
        ({**PLAIN, "kind": "declared"}, r"source for each number; 'time_to_first_token_s' has none"),
        ("name: [unclosed", r"cannot be read: .*line 1"),
        ("- a\n- list\n", r"expected a mapping of fields, got list"),
        ("", r"expected a mapping of fields, got NoneType"),
    ],
)
def test_a_bad_profile_names_the_file_and_the_field(file: Path, document: Any, problem: str) -> None:
    """A user's mistake is a SpecError (exit 2) that says where it is, from every way in."""
    name = write(file, document)
    with pytest.raises(SpecError, match=rf"profile .*own\.yaml:? .*{problem}") as refusal:
        load_profile(name)
    assert refusal.value.exit_code == 2
    for way_in in (load_model, check_model):
        with pytest.raises(SpecError, match=problem):
            way_in(f"simulated:{name}", clock=VirtualClock())


def test_bytes_that_are_no_text_are_refused(file: Path) -> None:
    """A binary file is named, not read."""
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match=r"own\.yaml cannot be read"):
        load_profile(str(file))


def test_an_unknown_profile_is_answered_with_the_known_ones() -> None:
    """A misspelt name shows what there is; a missing file is named."""
    with pytest.raises(SpecError, match=r"unknown profile 'embeded'; known: .*embedded-2core.* \.yaml file"):
        load_profile("embeded")
    with pytest.raises(SpecError, match=r"there is no profile /missing\.yaml"):
        check_model("simulated:/missing.yaml", clock=WallClock())
    with pytest.raises(SpecError, match="base URL"):
        check_model("simulated", clock=WallClock(), base_url="http://127.0.0.1:1/v1")
    with pytest.raises(ModelUnavailableError):
        check_model("simulate:embedded-2core", clock=WallClock())


def test_a_declared_profile_gives_a_source_for_each_number(file: Path) -> None:
    """A section's source covers its numbers; without one the first number that lacks it is named."""
    source = {"source": "the provider's page", "date": "2026-01-01"}
    covered = ["time_to_first_token_s", "prefill", "decode", "concurrency", "context_tokens", "text", "tools"]
    declared = {**PLAIN, "kind": "declared", "calibration": {}, "sources": dict.fromkeys(covered, source)}
    assert load_profile(write(file, declared)).kind == "declared"
    del declared["sources"]["decode"]
    with pytest.raises(SpecError, match=r"'decode\.tokens_per_s' has none"):
        load_profile(write(file, declared))


def test_a_checked_name_means_the_same_everywhere(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Names stay as they are, a relative path becomes absolute, and ids carry the profile's own name."""
    write(file, PLAIN)
    monkeypatch.chdir(tmp_path)
    assert check_model("simulated", clock=WallClock()) == "simulated"
    assert check_model("simulated:embedded-2core", clock=WallClock()) == "simulated:embedded-2core"
    assert check_model("simulated:own.yaml", clock=WallClock()) == f"simulated:{file}"
    assert model_id("simulated") == model_id("simulated:embedded-2core") == "simulated:embedded-2core"
    assert model_id(f"simulated:{file}") == "simulated:plain"
    assert model_id("openai:gpt") == "openai:gpt"


def test_the_fingerprint_is_of_what_shapes_a_simulation() -> None:
    """Any figure changes it; what is written about the profile does not."""
    plain = make_profile()
    assert make_profile(about="else", calibration={"other": 1}).fingerprint == plain.fingerprint
    for changes in ({"seed": 1}, {"decode": {"tokens_per_s": 11}}, {"retry": {"max_wait_s": 61}}):
        assert make_profile(**changes).fingerprint != plain.fingerprint


@given(st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 5000))
def test_a_rate_adds_up_over_a_split(context: int, first: int, rest: int) -> None:
    """Tokens take as long in one piece as in two, the second after the longer context."""
    rate = TokenRate(tokens_per_s=50, slowdown_per_1000_tokens=0.7)
    split = rate.seconds(first, context) + rate.seconds(rest, context + first)
    assert rate.seconds(first + rest, context) == pytest.approx(split)


def test_prices_are_by_the_million_and_cached_tokens_have_their_own() -> None:
    """Cached tokens are part of the prompt and cost their own price."""
    prices = Prices(input_per_million_usd=2, cached_input_per_million_usd=0.5, output_per_million_usd=8)
    assert prices.cost_usd(1_000_000, 400_000, 100_000) == pytest.approx(0.6 * 2 + 0.4 * 0.5 + 0.1 * 8)


def test_features_of_a_text_are_counted() -> None:
    """Words are runs of letters; an underscore is a symbol; white space is nothing but its line breaks."""
    assert text_features("Größe_2: 1,234 €\n\tok.") == (2, 7, 5, 5, 1)


@given(st.lists(st.text("ab 1,\n", max_size=8), max_size=6))
def test_texts_add_up_line_by_line(texts: list[str]) -> None:
    """Counting by remembered lines gives what counting the whole text gives."""
    weights = make_profile().text.tokens.model_copy(
        update={"per_letter": 0.1, "per_symbol": 0.5, "per_line": 2.0, "per_message": 3.0, "per_prompt": 1.5}
    )
    counter = TokenCounter(weights)
    whole = "\n".join(texts)
    words, letters, digits, symbols, lines = text_features(whole)
    expected = words + 0.1 * letters + digits + 0.5 * symbols + 2 * lines
    assert counter.count(whole) == pytest.approx(expected)
    assert counter.prompt([("user", whole)]) == max(round(counter.count(whole) + 4.5), 1)
