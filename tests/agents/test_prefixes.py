"""How much of a prompt was there before."""

from hypothesis import given
from hypothesis import strategies as st

from swarmlab.agents.prefixes import Prompts
from swarmlab.models.prefixes import shared_characters

TEXTS = st.text(alphabet="ab", max_size=12)


def _slowly(one: str, other: str) -> int:
    return max(n for n in range(len(one) + 1) if other.startswith(one[:n]))


@given(TEXTS, TEXTS)
def test_shared_characters_are_the_common_beginning(one: str, other: str) -> None:
    """Halving finds what a loop over the characters finds."""
    assert shared_characters(one, other) == _slowly(one, other)


@given(st.lists(TEXTS, max_size=12))
def test_a_prompt_shares_most_with_the_best_of_all_earlier_ones(prompts: list[str]) -> None:
    """The neighbour in sorted order is as good as any earlier prompt; the first shares nothing."""
    seen = Prompts()
    for number, prompt in enumerate(prompts):
        expected = max((_slowly(prompt, other) for other in prompts[:number]), default=0)
        assert seen.add(prompt) == expected
