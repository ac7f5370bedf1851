"""`swarmlab certify A B`: is B faster than A and as good, at a declared margin; written to be handed on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.text import Text

from swarmlab.errors import StoreError, UserError
from swarmlab.lab.compare import RESULTS, compare_sides, lossy_between, matched_levels, switches_between
from swarmlab.lab.sides import Side, read_side
from swarmlab.records.atomic import write_text
from swarmlab.records.certificate_text import certificate_markdown
from swarmlab.records.contrast import Contrast
from swarmlab.records.contrast_text import contrast_table
from swarmlab.records.store import json_text
from swarmlab.records.verdict import VERDICTS, Verdict, judge

MARGIN = 0.01


@dataclass(frozen=True)
class Certificate:
    """The verdict on B against A, with all that it rests on; `path` is the JSON, the page lies beside it."""

    verdict: Verdict
    margin: float
    found: Contrast
    switches: tuple[str, ...] | None
    """Switches in which A and B differ; None where their definitions are not known."""
    lossy: tuple[str, ...]
    environment: dict[str, Any]
    path: Path

    def as_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {
            "timing": self.found.timing,
            "verdict": self.verdict.verdict,
            "means": VERDICTS[self.verdict.verdict],
            "a": self.found.a.level,
            "b": self.found.b.level,
            "margin": self.margin,
            "reasons": list(self.verdict.reasons),
            "pairs_needed": self.verdict.pairs_needed,
            "works_needed": self.verdict.works_needed,
            "switches": None if self.switches is None else list(self.switches),
            "lossy_switches": list(self.lossy),
            "contrast": self.found.as_dict(),
            "environment": self.environment,
        }

    def __rich__(self) -> Group:
        """Return it for the terminal."""
        said = f"{self.found.timing}; " if self.found.is_simulated else ""
        first = f"{said}{self.verdict.verdict}: {VERDICTS[self.verdict.verdict]} (margin {self.margin:g})"
        lines = [Text(f"  {reason}") for reason in self.verdict.reasons]
        where = Text(f"certificate: {self.path.with_suffix('.md')}")
        return Group(Text(first, style="bold"), *lines, contrast_table(self.found), where)


def certify(
    a: str,
    b: str,
    *,
    margin: float = MARGIN,
    results: str | Path = RESULTS,
    cache: str | None = None,
    out: str | Path | None = None,
) -> Certificate:
    """Judge B against the baseline A and write the certificate, as JSON and as a page.

    Parameters
    ----------
    a, b
        Sides of one level each, named as for `compare`.
    margin
        Non-inferiority margin of every quality score: B may lose less than this. Above 0, below 1.
    results
        The results folder of bare level names.
    cache
        The cache state to judge; None for cold where both have it, else the one that both have.
    out
        Where to write, without suffix; None for `certificates/<A>-vs-<B>` in B's results folder, with the
        cache state at the end when it is not cold.

    Raises
    ------
    UserError
        The margin is out of range, a side has several levels, or the two cannot be compared (see `compare`)
        or hold measured and simulated runs. Of simulated ones the verdict is "inconclusive".
    StoreError
        The certificate cannot be written.
    """
    if not 0 < margin < 1:
        raise UserError(f"the margin must be above 0 and below 1, a share of the score; got {margin:g}")
    side_a, side_b = (_one_level(read_side(text, Path(results))) for text in (a, b))
    matched_levels(side_a, side_b)
    rows = compare_sides(side_a, side_b, cache).rows
    if len({row.timing for row in rows}) > 1:
        kinds = ", ".join(dict.fromkeys(row.timing for row in rows))
        raise UserError(f"{a} and {b} hold runs that are never judged together: {kinds}; name folders of one")
    found = next((row for row in rows if row.cache_state == "cold"), rows[0])
    lossy = lossy_between(side_a, side_b)
    certificate = Certificate(
        verdict=judge(found, margin, is_lossless=not lossy),
        margin=margin,
        found=found,
        switches=_switches(side_a, side_b),
        lossy=tuple(lossy),
        environment=_environment(side_b),
        path=_place(found, side_a, side_b, out),
    )
    written = certificate.as_dict()
    write_text(certificate.path, json_text(written))
    write_text(certificate.path.with_suffix(".md"), certificate_markdown(found, certificate.verdict, written))
    return certificate


def _one_level(side: Side) -> Side:
    if len(side.levels) > 1:
        raise UserError(f"{side.text} holds {', '.join(side.levels)}; name one level, as {side.text}:LEVEL")
    return side


def _switches(a: Side, b: Side) -> tuple[str, ...] | None:
    one, other = (side.definition(side.levels[0]) for side in (a, b))
    return None if one is None or other is None else tuple(switches_between(one, other))


def _environment(side: Side) -> dict[str, Any]:
    """Return what the runs were made with and on, as far as the manifest and the records say."""
    machine = side.manifest.get("machine", {})
    runs = side.runs

    def seen(column: str) -> list[str]:
        return [str(value) for value in runs[column].dropna().unique()]

    return {
        "results": side.folder.name,
        "command": side.manifest.get("command"),
        "code_version": seen("code_version"),
        "model_hash": seen("model_hash"),
        "data_fingerprint": seen("data_fingerprint"),
        "seeds": seen("seed"),
        "started": None if runs["started_at"].isna().all() else f"{runs['started_at'].min():%Y-%m-%d}",
        "machine": {name: machine.get(name) for name in ("cpu_model", "cores", "platform", "python")},
        "packages": machine.get("packages", {}),
    }


def _place(found: Contrast, a: Side, b: Side, out: str | Path | None) -> Path:
    if out is not None:
        place = Path(out).expanduser()
        if place.is_dir():
            raise StoreError(f"{place} is a folder; name the file to write, without its suffix")
        return place.with_suffix(".json") if place.suffix in (".json", ".md") else Path(f"{place}.json")
    names = [found.a.level, found.b.level]
    if a.folder != b.folder:
        # The same level of another experiment is another side.
        names = [f"{side.folder.name}-{name}" for side, name in zip((a, b), names, strict=True)]
    state = "" if found.cache_state == "cold" else f"-{found.cache_state}"
    return b.folder / "certificates" / f"{names[0]}-vs-{names[1]}{state}.json"
