"""The companion tables of grocery hold what the package's tables hold, and are built once, within bounds."""

import duckdb
import pytest

from swarmlab.data import open_dataset
from swarmlab.data.companions import (
    COMPANIONS,
    companion_file,
    companion_key,
    companion_of,
    load_companion,
    table_columns,
)
from swarmlab.data.grocery import package_tables
from swarmlab.errors import DataError

FILES = ("transactions", "products", "promotions", "campaigns", "campaign_descriptions")


@pytest.fixture(scope="module")
def grocery():
    return open_dataset("grocery")


@pytest.fixture(scope="module")
def source():
    """Ask the package's own tables."""
    _, paths = package_tables({name: f"{name}.parquet" for name in FILES})
    connection = duckdb.connect()
    for name, path in paths.items():
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{path}')")
    yield lambda statement: connection.execute(statement).fetchall()
    connection.close()


@pytest.mark.parametrize("table", COMPANIONS["grocery"])
def test_a_table_has_its_columns_without_gaps(grocery, table):
    """Columns come in their order, typed, and only the product of a basket's row may be missing."""
    frame = load_companion(grocery, table)
    assert tuple(frame.columns) == table_columns(grocery, table)
    assert frame["total_revenue"].dtype == frame["units_sold"].dtype == "float64"
    assert set(frame.columns[frame.isna().any()]) <= {"product"}
    assert (frame[["units_sold", "total_revenue"]] >= 0).all(axis=None)


def test_baskets_are_the_sales_with_more_columns(grocery):
    """Rows, order and amounts are those of the sales frame, to the cent."""
    sales, baskets = grocery.load(), load_companion(grocery, "baskets")
    for name in ("sale_date", "units_sold", "total_revenue", "discount_value"):
        assert baskets[name].equals(sales[name])
    for name in ("brand", "category", "store_id"):
        assert (baskets[name].astype(str) == sales[name].astype(str)).all()


def test_baskets_hold_the_households_of_the_source(grocery, source):
    """A household's baskets and coupons are those of the transactions."""
    baskets = load_companion(grocery, "baskets")
    own = baskets[baskets["household_id"] == "900"]
    ((count, coupons),) = source(
        """SELECT count(DISTINCT basket_id), sum(coupon_disc + coupon_match_disc) FROM transactions
           JOIN products USING (product_id) WHERE household_id = 900
           AND coalesce(department NOT IN ('FUEL', 'COUPON', 'MISCELLANEOUS'), true)"""
    )
    assert own["basket_id"].nunique() == count
    assert own["coupon_value"].sum() == pytest.approx(coupons)


def test_weekly_prices_are_those_of_the_source(grocery, source):
    """An article's units and revenue by full week are the sums of its transactions."""
    prices = load_companion(grocery, "prices")
    own = prices[prices["product"] == "1082185"]
    rows = source(
        """SELECT week, sum(quantity), sum(sales_value) FROM transactions
           WHERE product_id = 1082185 AND week BETWEEN 2 AND 52 GROUP BY week ORDER BY week"""
    )
    assert own["units_sold"].tolist() == [units for _, units, _ in rows]
    assert own["total_revenue"].tolist() == pytest.approx([revenue for _, _, revenue in rows])
    assert set(own["sale_date"].dt.day_of_week) == {0}


def test_promoted_weeks_are_those_of_the_source(grocery, source):
    """An article has every week from its first to its last sale in a store, promoted where so listed."""
    frame = load_companion(grocery, "promotions")
    product, store = frame["product"].iloc[0], frame["store_id"].iloc[0]
    own = frame[(frame["product"] == product) & (frame["store_id"] == store)]
    ((first, last, units),) = source(
        f"""SELECT min(week), max(week), sum(quantity) FROM transactions WHERE quantity > 0
            AND product_id = {product} AND store_id = {store} AND week BETWEEN 2 AND 52"""
    )
    ((promoted,),) = source(
        f"""SELECT count(DISTINCT week) FROM promotions WHERE product_id = {product}
            AND store_id = {store} AND week BETWEEN {first} AND {last}"""
    )
    assert len(own) == last - first + 1
    assert (own["units_sold"].sum(), own["on_promotion"].sum()) == (units, promoted)
    assert own["sale_date"].diff().dropna().dt.days.eq(7).all()


def test_campaigns_compare_targeted_households_with_those_no_campaign_reached(grocery, source):
    """Campaign 8 has 1,076 targeted households, four weeks before, seven during, and clean controls."""
    frame = load_companion(grocery, "campaigns")
    own = frame[frame["campaign"] == "campaign 8"]
    households = own.groupby("household_id", observed=True)["campaign_target"].max()
    assert int(households.sum()) == 1076
    assert own.groupby("household_id", observed=True).size().unique().tolist() == [11]
    assert own.groupby("campaign_active")["sale_date"].nunique().to_dict() == {0.0: 4, 1.0: 7}
    reached = source(
        """SELECT DISTINCT household_id FROM campaigns JOIN campaign_descriptions USING (campaign_id)
           WHERE start_date <= DATE '2017-06-25' AND end_date >= DATE '2017-05-08' - 28"""
    )
    controls = set(households.index[households == 0])
    assert controls
    assert not controls & {str(row[0]) for row in reached}


def test_a_campaign_week_holds_what_the_household_spent(grocery, source):
    """The revenue of a targeted household in the first week of campaign 8 is that of its transactions."""
    frame = load_companion(grocery, "campaigns")
    first = frame[(frame["campaign"] == "campaign 8") & (frame["sale_date"] == "2017-05-08")]
    row = first[first["total_revenue"] > 0].iloc[0]
    ((spent,),) = source(
        f"""SELECT sum(sales_value) FROM transactions JOIN products USING (product_id)
            WHERE household_id = {row["household_id"]} AND CAST(transaction_timestamp AS DATE)
            BETWEEN DATE '2017-05-08' AND DATE '2017-05-14'
            AND coalesce(department NOT IN ('FUEL', 'COUPON', 'MISCELLANEOUS'), true)"""
    )
    assert row["total_revenue"] == pytest.approx(spent)


def test_a_table_is_built_once_and_anew_when_damaged(grocery):
    """The same file serves again; one that is not what was written is replaced by the same content."""
    path = companion_file(grocery, "campaigns")
    content, written = path.read_bytes(), path.stat().st_mtime_ns
    assert companion_file(grocery, "campaigns").stat().st_mtime_ns == written
    path.write_bytes(content[:-1])
    assert companion_file(grocery, "campaigns").read_bytes()[-4:] == b"PAR1"
    assert len(load_companion(grocery, "campaigns")) > 100_000


def test_the_key_tells_tables_apart():
    """Each table has a key of its own, the same each time; what is the sales themselves has none."""
    grocery = open_dataset("grocery")
    keys = [companion_key(grocery, table) for table in COMPANIONS["grocery"]]
    assert keys == [companion_key(grocery, table) for table in COMPANIONS["grocery"]]
    assert len(set(keys)) == 4
    assert companion_key(grocery, "whole") == companion_key(grocery, "sales") == ""


def test_other_data_have_no_companions_but_their_whole():
    """Generated data have none of the tables; the whole is the sales with all columns."""
    beverage = open_dataset("beverage:1000")
    assert companion_of(beverage, "baskets") is None
    assert table_columns(beverage, "baskets") == beverage.columns
    assert load_companion(beverage, "whole").equals(beverage.load())
    with pytest.raises(DataError, match="no table 'baskets'"):
        companion_file(beverage, "baskets")


def test_the_whole_keeps_to_the_memory_limit(monkeypatch):
    """Sales that would not fit are refused with the variable to set."""
    beverage = open_dataset("beverage:1000")
    monkeypatch.setattr("swarmlab.data.companions.memory_limit", lambda: 1000)
    with pytest.raises(DataError, match="SWARMLAB_MEMORY_LIMIT"):
        load_companion(beverage, "whole")
