"""Scope: what it restricts, and what it refuses."""

import pytest
from sales_frames import random_frame, values

from swarmlab.errors import SpecError, ToolError
from swarmlab.tools import Scope, check_scope, market_overview, market_share

KNOWN = {"brands": ["National", "Private"], "categories": ["GROCERY", "DELI"], "regions": ["367"]}


def test_a_known_scope_passes() -> None:
    """Names that are in the data are no error."""
    check_scope(Scope(brands=("Private",), categories=("DELI",), regions=("367",)), KNOWN)


@pytest.mark.parametrize(
    ("scope", "message"),
    [
        (Scope(brands=("Privat",)), r"brands has 'Privat'.*did you mean 'Private'\?"),
        (Scope(categories=("deli",)), r"categories has 'deli'.*did you mean 'DELI'\?"),
        (Scope(regions=("Narnia",)), r"regions has 'Narnia'.*known are 367"),
    ],
)
def test_an_unknown_name_is_an_error_that_shows_the_nearest_known(scope: Scope, message: str) -> None:
    """The message names the field, the value and what it may have meant."""
    with pytest.raises(SpecError, match=message):
        check_scope(scope, KNOWN)


def test_regions_in_data_without_any_are_an_error() -> None:
    """Data with no region, country or store cannot be restricted to one."""
    with pytest.raises(SpecError, match="the data has no regions"):
        check_scope(Scope(regions=("North",)), {**KNOWN, "regions": []})
    with pytest.raises(ToolError, match="no region, country or store"):
        market_overview(random_frame(1, columns=()), Scope(regions=("North",)))


@pytest.mark.parametrize("bad", [{"forecast_periods": 0}, {"budget": 0}, {"budget": float("nan")}])
def test_settings_without_meaning_are_refused(bad: dict[str, float]) -> None:
    """A horizon of no month and a budget of nothing are errors at once."""
    with pytest.raises(SpecError):
        Scope(**bad)  # type: ignore[arg-type]


def test_categories_and_regions_restrict_the_rows() -> None:
    """Facts of a scope are those of the rows that it leaves."""
    frame = random_frame(3)
    left = frame[frame["category"].isin(["Tea", "Cola"]) & (frame["region"] == "North")]
    facts = values(market_overview(frame, Scope(categories=("Tea", "Cola"), regions=("North",))))
    assert facts["n_rows"] == len(left)
    assert facts["total_revenue"] == pytest.approx(left["total_revenue"].sum(), abs=0.5)
    assert facts["first_date"] == str(frame["sale_date"].min().date())


def test_brands_in_focus_do_not_restrict_the_market() -> None:
    """A focus brand outside the ten largest gets its facts; all others stay as they were."""
    frame = random_frame(4)
    without, focused = values(market_share(frame)), values(market_share(frame, Scope(brands=("Brand 13",))))
    assert "revenue_share[brand=Brand 13]" not in without
    assert focused["revenue_share[brand=Brand 13]"] == pytest.approx(
        100 * frame.groupby("brand")["total_revenue"].sum()["Brand 13"] / frame["total_revenue"].sum(),
        abs=0.051,
    )
    assert without.items() <= focused.items()


def test_a_scope_that_leaves_no_row_is_an_error() -> None:
    """Nothing is computed from nothing."""
    with pytest.raises(ToolError, match="no row of the data is in scope"):
        market_share(random_frame(5), Scope(categories=("Rum",)))
