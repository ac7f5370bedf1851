"""Where a token count comes from is always said."""

from langchain_core.messages import AIMessage, HumanMessage

from swarmlab.models.counts import TokenCounts, token_counts


def test_the_providers_counts_are_used_as_they_are() -> None:
    """Counts in the answer are returned with the cached part, labelled as the provider's."""
    answer = AIMessage(
        "ok",
        usage_metadata={
            "input_tokens": 30,
            "output_tokens": 2,
            "total_tokens": 32,
            "input_token_details": {"cache_read": 20},
        },
    )
    assert token_counts([HumanMessage("hi")], answer) == TokenCounts(30, 2, 20, "provider")


def test_counts_made_up_here_are_labelled_estimates() -> None:
    """Without counts in the answer there is an estimate that grows with the text and says what it is."""
    short = token_counts([HumanMessage("hi")], AIMessage("ok"))
    long = token_counts([HumanMessage("hi " * 400)], AIMessage("ok"))
    assert short.source == long.source == "estimate"
    assert long.prompt > short.prompt + 200
