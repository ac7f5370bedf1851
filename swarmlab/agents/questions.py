"""The decision questions of a brief: a choice among named options, graded by rules over the ground truth.

The exam is set before the run from the truth, not from the agents' facts. Agents see a question's text; its
options are enforced by the schema; the right answers stay with the examiner.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Value = float | int | str

MAX_OPTIONS = 4


@dataclass(frozen=True)
class Question:
    """One decision. A `funding` question goes to the roster's last agent, any other to the owner of `topic`.

    The last agent has to know what others found, so this is where a lighter context can lose.
    """

    id: str
    topic: str
    text: str
    options: tuple[str, ...]
    funding: bool = False


@dataclass(frozen=True)
class Exam:
    """Questions with their right answers, by question id."""

    questions: tuple[Question, ...]
    answers: Mapping[str, str]


@dataclass(frozen=True)
class Rule:
    """A question whose answer is one named truth; `among` is a kind of entity or the fixed options.

    `{place}` in the text stands for what the data calls a region.
    """

    fact: str
    text: str
    among: str | tuple[str, ...]
    funding: bool = False


WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

RULES = (
    Rule("market_share.leader", "Which brand leads the market by revenue?", "brands"),
    Rule("market_share.hhi_band", "How high is the market concentration?", ("low", "moderate", "high")),
    Rule("time_series.trend", "What is the trend of revenue?", ("growing", "flat", "declining")),
    Rule("time_series.trough_month", "In which month is revenue the least?", "months"),
    Rule("time_series.peak_month", "For which month should the campaign plan most revenue?", "months", True),
    Rule("cross_section.top_category", "Which category has the most revenue?", "categories"),
    Rule("cross_section.bottom_category", "Which reported category has the least revenue?", "categories"),
    Rule("cross_section.dearest_category", "Which category has the highest average price?", "categories"),
    Rule("regional_performance.leader", "Which {place} has the most revenue?", "regions"),
    Rule("regional_performance.laggard", "Which reported {place} has the least revenue?", "regions"),
    Rule("regional_performance.fastest_growing", "Which fastest growing {place} to fund?", "regions", True),
    Rule("regional_performance.slowest_growing", "Which slowest growing {place} to help?", "regions", True),
    Rule("profitability.best_margin_category", "Which category has the best margin?", "categories"),
    Rule("profitability.worst_margin_category", "Which category has the worst margin?", "categories", True),
    Rule("profitability.deepest_discount_category", "Where are discounts deepest?", "categories", True),
    Rule("profitability.shallowest_discount_category", "Where are discounts smallest?", "categories"),
    Rule("brand_performance.fastest_growing", "Which fastest growing brand to back?", "brands", True),
    Rule("brand_performance.fastest_declining", "Which brand is declining fastest?", "brands"),
    Rule("brand_performance.biggest_share_gain", "Which brand gains the most share?", "brands"),
    Rule("brand_performance.highest_price_premium", "Which brand holds the highest price premium?", "brands"),
    Rule("kpis.best_weekday", "On which weekday is revenue per day the most?", WEEKDAYS, True),
    Rule("roi.best_return_category", "Which category gives the best return?", "categories"),
    Rule("budget_plan.top_funded", "Which category should get the most budget?", "categories"),
    Rule("budget_plan.least_funded", "Which category should get the least budget?", "categories"),
)


SPARE_RULES = (
    Rule("market_share.runner_up", "Which brand is second by revenue?", "brands"),
    Rule("cross_section.cheapest_category", "Which category has the lowest average price?", "categories"),
    Rule("kpis.worst_weekday", "On which weekday is revenue per day the least?", WEEKDAYS),
    Rule("roi.worst_return_category", "Which category gives the worst return?", "categories"),
    Rule("profitability.best_realisation_category", "Where is price realisation best?", "categories"),
    Rule("profitability.worst_realisation_category", "Where is price realisation worst?", "categories"),
    Rule("budget_plan.fastest_growing", "Which category is growing fastest?", "categories"),
    Rule("budget_plan.slowest_growing", "Which category is growing slowest?", "categories"),
)
"""Asked where the data leave fewer than `ENOUGH_QUESTIONS` of `RULES`, such as data without regions."""

ENOUGH_QUESTIONS = 20


def set_exam(
    truth: Mapping[str, Value], entities: Mapping[str, Sequence[str]], *, seed: int, place: str = "region"
) -> Exam:
    """Set the questions that the data can decide.

    Parameters
    ----------
    truth
        Value by fact id, computed apart from the agents' tools.
    entities
        Names under "brands", "categories" and "regions", largest revenue first; "months" in order, or those
        of `truth`.
    seed
        Draws the other options of each question and their order.
    place
        What the data tells regions apart by: "region", "country" or "store".

    Returns
    -------
    Exam
        Questions whose truth is one of at least two options; rules that the data cannot decide are left out.
    """
    months = entities.get("months") or months_of(truth)
    # Rivals are drawn among the ten largest: the tools report no more than those.
    named = {**{kind: names[:10] for kind, names in entities.items()}, "months": months}
    # One that is seeded anew for each question: to make one takes as long again.
    draw = random.Random(0)
    questions: list[Question] = []
    answers: dict[str, str] = {}
    for number, rule in enumerate((*RULES, *SPARE_RULES), 1):
        answer = truth.get(rule.fact)
        known = named.get(rule.among, ()) if isinstance(rule.among, str) else rule.among
        if not isinstance(answer, str) or answer not in known or len(known) < 2:
            continue
        if number > len(RULES) and len(questions) >= ENOUGH_QUESTIONS:
            break
        question_id = f"q{number:02d}"
        draw.seed(f"{seed} {question_id}")
        options = _options(answer, known, draw)
        topic, text = rule.fact.partition(".")[0], rule.text.format(place=place)
        questions.append(Question(question_id, topic, text, options, rule.funding))
        answers[question_id] = answer
    return Exam(tuple(questions), answers)


def months_of(truth: Mapping[str, Value]) -> list[str]:
    """The months whose revenue is known, in order."""
    # Sorted: the truth comes from SQL, whose order of rows is not the same in every process.
    return sorted(i.removeprefix(_MONTH).removesuffix("]") for i in truth if i.startswith(_MONTH))


def _options(answer: str, known: Sequence[str], draw: random.Random) -> tuple[str, ...]:
    rivals = [name for name in known if name != answer]
    options = [answer, *draw.sample(rivals, min(MAX_OPTIONS - 1, len(rivals)))]
    draw.shuffle(options)
    return tuple(options)


_MONTH = "time_series.revenue[month="
