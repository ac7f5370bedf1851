"""Facts about a proportion: its value in percent and the ends of Wilson's interval."""

from __future__ import annotations

from statsmodels.stats.proportion import proportion_confint

from swarmlab.tools.facts import FactSheet
from swarmlab.tools.ratios import NAN, pct


def wilson_pct(count: float, whole: float) -> tuple[float, float]:
    """Ends of the 95 % interval of count / whole, in percent (Wilson, 1927); NaN without a whole."""
    if whole <= 0:
        return NAN, NAN
    low, high = proportion_confint(count, whole, alpha=0.05, method="wilson")
    return 100 * float(low), 100 * float(high)


def add_proportion(sheet: FactSheet, metric: str, label: str, count: float, whole: float) -> None:
    """Add the headline facts `metric`_pct, `metric`_low_pct and `metric`_high_pct."""
    low, high = wilson_pct(count, whole)
    sheet.add(f"{metric}_pct", label, pct(count, whole), "%", headline=True)
    sheet.add(f"{metric}_low_pct", f"low end of the interval of {label}", low, "%")
    sheet.add(f"{metric}_high_pct", f"high end of the interval of {label}", high, "%")
