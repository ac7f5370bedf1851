"""Plots and report: what they show, and that nothing untrusted gets out of its text."""

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pytest
from fake_ablation import make_design, make_runs, write_ablation
from fake_results import LEVELS, make_failed, make_record, make_spans, write_fake_results
from matplotlib import colors
from matplotlib.backends.backend_agg import FigureCanvasAgg

from swarmlab.errors import StoreError
from swarmlab.records.design import Design
from swarmlab.records.manifest import write_manifest
from swarmlab.records.palette import CATEGORY_COLOURS
from swarmlab.records.plots import PLOTS, PlotOptions, plots_of, svg_text
from swarmlab.records.published import load_study
from swarmlab.records.report import publish
from swarmlab.records.store import StoredRun, write_run
from swarmlab.records.tables import build_tables
from swarmlab.trace.spans import CATEGORIES

HOSTILE = "<script>alert('x')</script> & $a$ \" id=\"y"


# The presets as a factorial, so that one fixture has something for every plot.
DESIGN = Design(
    base="blackboard",
    target="full",
    factors=("roster", "tool_impl"),
    levels={"blackboard": "00", "none": "10", "partial": "01", "full": "11"},
)
FIVE = make_design("roster+agent_schedule", "context", "tool_schedule", "tool_impl+cache", "output")
SAVED = dict(zip(FIVE.factors, (-12.0, -9.5, 0.4, -8.0, 3.0), strict=True))


def seconds(on, block):
    """Return seconds that each factor changes by its own amount, with a fixed pattern for a spread."""
    return 55.0 + sum(SAVED[name] for name in on) + 0.3 * ((len(on) * 7 + block * 3) % 5)


@pytest.fixture(scope="module")
def tables():
    """Return the tables of one run of each level, with the published study."""
    runs = []
    for level in LEVELS:
        spans = make_spans(level)
        runs.append(StoredRun(None, make_record(spans, level=level), tuple(spans)))
    return build_tables(runs, load_study(), DESIGN)


@pytest.fixture(scope="module")
def ablation(tmp_path_factory):
    """Return the published results of an ablation of five factors, each of 32 levels run twice."""
    folder = tmp_path_factory.mktemp("results") / "fake-ablation"
    write_ablation(folder, FIVE, make_runs(FIVE, 2, seconds))
    return folder, publish(folder)


def texts(figure):
    """Return the text of each text element of the figure's SVG."""
    root = ET.fromstring(svg_text(figure))
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


def drawn_texts(figure):
    """Return the figure's texts, bar the labels of ticks beyond an axis's limits: those are not drawn."""
    beyond = set()
    for axes in figure.axes:
        low, high = axes.get_xlim()
        # Asking for the labels would lay them out again; the ticks hold those that were drawn.
        beyond |= {tick.label1 for tick in axes.xaxis.majorTicks if not low <= tick.get_loc() <= high}
    found = figure.findobj(lambda artist: hasattr(artist, "get_text") and hasattr(artist, "get_fontsize"))
    return [text for text in found if text.get_text().strip() and text.get_visible() and text not in beyond]


def test_every_category_has_one_colour():
    """No category is without a colour and no two share one."""
    assert set(CATEGORY_COLOURS) == set(CATEGORIES)
    assert len({colors.to_hex(colour) for colour in CATEGORY_COLOURS.values()}) == len(CATEGORIES)


@pytest.mark.parametrize("name", list(PLOTS))
def test_plots_are_drawn_and_labelled(tables, name):
    """Every plot has ink, 900 pixels of width, a title and its axes' names as text."""
    figure = PLOTS[name](tables, PlotOptions())
    assert isinstance(figure.canvas, FigureCanvasAgg)
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())
    assert pixels.shape[1] == 900
    assert (pixels[..., :3] < 250).any(axis=-1).mean() > 0.02
    assert any("seconds" in text for text in texts(figure))


@pytest.mark.parametrize("name", list(PLOTS))
def test_no_labels_overlap(tables, name):
    """No two texts of a plot lie over each other, and none leaves the picture."""
    figure = PLOTS[name](tables, PlotOptions(margin=0.05))
    figure.canvas.draw()
    boxes = {
        f"{text.get_text()} {index}": text.get_window_extent()
        for index, text in enumerate(drawn_texts(figure))
    }
    names = list(boxes)
    overlapping = [
        (first, second)
        for index, first in enumerate(names)
        for second in names[index + 1 :]
        if boxes[first].overlaps(boxes[second])
    ]
    assert overlapping == []
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= 900 for box in boxes.values())


@pytest.mark.parametrize("name", list(PLOTS))
def test_svg_bytes_depend_on_the_figure_alone(tables, name):
    """Drawing twice gives the same SVG."""
    assert svg_text(PLOTS[name](tables, PlotOptions())) == svg_text(PLOTS[name](tables, PlotOptions()))


def test_the_breakdown_shows_levels_panels_and_the_published_bar(tables):
    """Every level, its duration, the cache state and the published study are written in the plot."""
    shown = texts(PLOTS["breakdown"](tables, PlotOptions()))
    assert {*LEVELS, "cold cache", "published (not comparable)", "143.1 s (its claimed split)"} <= set(shown)
    durations = tables["runs"].set_index("level")["duration_s"]
    assert f"{durations['blackboard']:.2f} s" in shown


def test_a_failed_level_is_drawn_as_failed():
    """A level without a successful run keeps its place in the breakdown, with the word."""
    spans = make_spans()
    runs = [StoredRun(None, make_record(spans), tuple(spans)), StoredRun(None, make_failed("full"), ())]
    shown = texts(PLOTS["breakdown"](build_tables(runs), PlotOptions()))
    assert "failed (0 of 1 succeeded)" in shown


@pytest.mark.parametrize("name", list(PLOTS))
def test_simulated_runs_say_so_in_title_and_axis(name):
    """A virtual clock is named in the title and at the time axis."""
    spans = make_spans()
    record = make_record(spans, clock="virtual", profile="fake-profile")
    built = build_tables([StoredRun(None, record, tuple(spans))], design=DESIGN)
    figure = PLOTS[name](built, PlotOptions())
    shown = texts(figure)
    assert any(text.startswith("Simulated: ") for text in shown)
    assert any("simulated seconds" in text for text in shown)


@pytest.mark.parametrize("name", list(PLOTS))
@pytest.mark.parametrize("runs", [[], [StoredRun(None, make_failed(), ())]])
def test_plots_of_nothing_do_not_fail(name, runs):
    """Without runs, or with only failed ones, each plot is drawn and says what it can."""
    assert texts(PLOTS[name](build_tables(runs), PlotOptions()))


def test_the_gantt_shows_overlapping_calls_on_rows_of_their_own(tables):
    """Parallel tools of one agent are drawn one above the other, sequential ones on one row."""

    def rows_of_tools(run_id):
        axes = PLOTS["gantt"](tables, PlotOptions(run_id=run_id)).axes[0]
        tool = colors.to_rgba(CATEGORY_COLOURS["tool"])
        bars = [bar for bar in axes.patches if bar.get_facecolor() == tool]
        return {bar.get_y() for bar in bars}

    assert len(rows_of_tools("partial-cold-0")) == 2 * 3
    assert len(rows_of_tools("none-cold-0")) == 3


def test_the_gantt_of_an_unknown_run_is_an_error(tables):
    """A run that is not there is named."""
    with pytest.raises(StoreError, match="no run 'nobody'"):
        PLOTS["gantt"](tables, PlotOptions(run_id="nobody"))


class Page(HTMLParser):
    """Collects what a page would fetch or run, and its ids."""

    def __init__(self):
        super().__init__()
        self.tags, self.addresses, self.ids = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href", "action", "data", "srcset") or name.startswith("on"):
                self.addresses.append(value)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Return the text of a report over results with a hostile name in every place that takes one."""
    folder = tmp_path_factory.mktemp("results") / "fake-experiment"
    write_fake_results(folder, failing=("none",), model=HOSTILE, data_name=HOSTILE, slowest_tool=HOSTILE)
    write_run(folder, make_failed("full", error=HOSTILE, run_id="hostile"), ())
    spans = [span._replace(agent=span.agent and HOSTILE) for span in make_spans("full")]
    write_run(folder, make_record(spans, level="full", run_id="first", order=0), spans)
    write_manifest(folder, {"command": "swarmlab run fake.yaml", "machine": {"cpu_model": HOSTILE}})
    publish(folder, load_study())
    return (folder / "report.html").read_text(encoding="utf-8")


def test_the_report_fetches_nothing_and_runs_nothing(page):
    """No script, no external address, no style sheet from elsewhere."""
    parsed = Page()
    parsed.feed(page)
    assert not {"script", "link", "iframe", "img", "object", "embed"} & set(parsed.tags)
    assert all(address.startswith("#") for address in parsed.addresses)
    # Only the names of XML vocabularies may look like addresses.
    assert set(re.findall(r"https?://[^\s\"'<>)]+", page)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert "@import" not in page


def test_the_report_escapes_names(page):
    """A name from the data stays text wherever it is shown."""
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_the_report_has_unique_ids_and_its_links_lead_somewhere(page):
    """Tables have fixed ids, no id is there twice, and every inner link has its target."""
    parsed = Page()
    parsed.feed(page)
    assert len(parsed.ids) == len(set(parsed.ids))
    assert {"table-comparison", "table-runs", "table-exclusive", "figure-breakdown"} <= set(parsed.ids)
    assert {address[1:] for address in parsed.addresses} <= set(parsed.ids)


def test_the_report_tells_all_it_should(page):
    """Failures with their errors, alerts, environment, how to regenerate, and the study are in it."""
    for text in ("tool fake_tool_1 failed: made up", "swarmlab run fake.yaml", "cpu_model", "No rule fired",
                 "143.06", "Failures", "below 3/1"):  # fmt: skip
        assert text in page


def test_publishing_twice_gives_the_same_files(fake_results):
    """The report and every figure depend on the run folders alone."""
    folder = fake_results()
    publish(folder, load_study())
    files = [folder / "report.html", *sorted((folder / "figures").iterdir())]
    before = [file.read_bytes() for file in files]
    publish(folder, load_study())
    assert [file.read_bytes() for file in files] == before
    assert len(files) == 1 + 2 * len(PLOTS.keys() - {"waterfall"})


def test_a_notebook_shows_a_plot_as_a_picture(tables):
    """Without pyplot a figure has to bring its own PNG, and its name must not change with its size."""
    plot = PLOTS["gantt"](tables, PlotOptions())
    assert plot._repr_png_().startswith(b"\x89PNG")
    assert repr(plot) == "<swarmlab plot>"


def test_the_waterfall_leads_from_base_to_target(ablation):
    """Each bar begins where the one above ends, the last at the target; factors are in order of size."""
    axes = PLOTS["waterfall"](ablation[1], PlotOptions()).axes[0]
    bars = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches]
    ends = [end for _, end in bars]
    assert [start for start, _ in bars[1:-1]] == pytest.approx(ends[:-2])
    assert ends[-2] == pytest.approx(ends[-1])
    labels = [label.get_text() for label in axes.get_yticklabels()]
    by_size = sorted(SAVED, key=lambda name: abs(SAVED[name]), reverse=True)
    assert labels == ["blackboard", *by_size, "full"]
    shown = texts(PLOTS["waterfall"](ablation[1], PlotOptions()))
    assert "What each factor saves, from blackboard to full" in shown
    assert "cold cache, wall clock, fake-model" in shown
    assert "n = 64 runs in 2 blocks (exploratory)" in shown
    assert any(re.fullmatch(r"-1\d\.\d\d s \[-1\d\.\d\d, -1\d\.\d\d\]", text) for text in shown)


@pytest.mark.parametrize("name", ["breakdown", "waterfall"])
def test_labels_of_an_ablation_do_not_overlap(ablation, name):
    """With 32 levels and long factor names every text keeps its place in the picture."""
    figure = PLOTS[name](ablation[1], PlotOptions())
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in drawn_texts(figure)]
    assert not [1 for index, box in enumerate(boxes) for other in boxes[:index] if box.overlaps(other)]
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= 900 for box in boxes)


def test_a_waterfall_without_a_ledger_says_which_level_is_missing():
    """Where a level only failed there is no bar, but the reason."""
    runs = make_runs(FIVE, 1, seconds, status=lambda on, block: "failed" if len(on) == 5 else "ok")
    figure = PLOTS["waterfall"](build_tables(runs, design=FIVE), PlotOptions())
    assert not figure.axes[0].patches
    assert "no ledger without full (1 of 1 runs failed)" in texts(figure)


def test_only_an_ablation_has_a_waterfall(ablation, fake_results):
    """The figure is written where there is a design, and an earlier one goes with its design."""
    folder, made = ablation
    assert plots_of(made) == list(PLOTS)
    assert (folder / "figures" / "waterfall.png").is_file()
    other = fake_results()
    (other / "figures").mkdir()
    (other / "figures" / "waterfall.png").write_bytes((folder / "figures" / "waterfall.png").read_bytes())
    assert "waterfall" not in plots_of(publish(other))
    assert not list((other / "figures").glob("waterfall.*"))
    assert 'id="ledger"' not in (other / "report.html").read_text(encoding="utf-8")


def test_the_report_of_an_ablation_shows_its_ledger(ablation):
    """Credits, interactions, sentences and waterfall are in the report, whose ids stay unique."""
    page = (ablation[0] / "report.html").read_text(encoding="utf-8")
    parsed = Page()
    parsed.feed(page)
    assert len(parsed.ids) == len(set(parsed.ids))
    assert {"ledger", "table-ledger-1", "table-interactions-1", "figure-waterfall"} <= set(parsed.ids)
    assert {address[1:] for address in parsed.addresses} <= set(parsed.ids)
    for text in (
        "What each factor contributed",
        "64 of 64 runs succeeded",
        "roster+agent_schedule x context",
    ):
        assert text in page
