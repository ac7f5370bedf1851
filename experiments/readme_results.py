"""Prints the README's table of results from `results/reference/levels`; `--write` puts it into README.md."""

import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "results" / "reference" / "levels"
HEADER = (
    "level",
    "seconds: median (range)",
    "times faster than blackboard [95 %]",
    "tokens",
    "agents",
    "tool calls",
    "required facts right",
    "decisions right",
    "tools, s",
    "summaries, s",
    "drafts, s",
    "decisions, s",
)
BEGIN, END = "<!-- results: experiments/readme_results.py -->", "<!-- end of results -->"


def results() -> str:
    """The block between the README's two markers."""
    comparison = pd.read_csv(REFERENCE / "comparison.csv")
    steps = pd.read_csv(REFERENCE / "steps.csv").pivot(index="level", columns="step", values="exclusive_s")
    measured = comparison[comparison["kind"] == "measured"]
    lines = [f"| {' | '.join(HEADER)} |", "|" + " --- |" * len(HEADER)]
    lines += [_measured(row, steps.loc[str(row["level"])].fillna(0)) for _, row in measured.iterrows()]
    lines += [_published(row) for _, row in comparison[comparison["kind"] == "published"].iterrows()]
    return "\n".join([BEGIN, *lines, "", _caption(measured), END])


def _measured(row: "pd.Series", step: "pd.Series") -> str:
    seconds = f"{row.duration_median_s:.1f} ({row.duration_min_s:.1f} to {row.duration_max_s:.1f})"
    interval = f"{row.ratio:.2f} [{row.ratio_low:.2f}, {row.ratio_high:.2f}]"
    ratio = interval if row.level != row.baseline else "1"
    parts = [step.get(name, 0.0) for name in ("tool", "summarise", "draft", "decide")]
    cells = [
        row.level,
        seconds,
        ratio,
        f"{row.total_tokens:,.0f}",
        f"{row.n_agents:.0f}",
        f"{row.n_tool_calls:.0f}",
        f"{row.fact_coverage:.2f}",
        f"{row.decision_accuracy:.2f}",
        *(f"{part:.1f}" for part in parts),
    ]
    return "| " + " | ".join(cells) + " |"


def _published(row: "pd.Series") -> str:
    seconds = "failed" if pd.isna(row.duration_median_s) else f"{row.duration_median_s:.2f}"
    tokens = "" if pd.isna(row.total_tokens) else f"{row.total_tokens:,.0f} (estimate)"
    counts = ["" if pd.isna(count) else f"{count:.0f}" for count in (row.n_agents, row.n_tool_calls)]
    cells = [f"*{row.level}, published*", seconds, "not comparable", tokens, *counts, *["not checked"] * 2]
    return "| " + " | ".join([*cells, *[""] * 4]) + " |"


def _caption(measured: pd.DataFrame) -> str:
    first = measured.iloc[0]
    succeeded, attempted = measured["succeeded"].sum(), measured["attempted"].sum()
    return (
        f"Cold cache; {succeeded} of {attempted} runs succeeded, interleaved at random. Ratios are geometric "
        f"means of {measured['n_pairs'].min():.0f} pairs with t intervals on their logarithms; the step "
        "columns are means. Decisions are one exam, answered at temperature 0: its score is one observation "
        f"a level, not one a run. On the same exam a keyword router scores {first.keyword_accuracy:.2f} and "
        f"chance {first.chance_accuracy:.2f}. Others used {100 * measured.other_cpu_share.max():.1f} "
        "% of the machine or less (medians by level)."
    )


def main() -> None:
    """Print the block, or write it into the README."""
    block = results()
    if "--write" not in sys.argv[1:]:
        print(block)
        return
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    readme.write_text(before + block + after, encoding="utf-8")


if __name__ == "__main__":
    main()
