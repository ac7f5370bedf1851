"""Orders hidden in the user's data, and a model that obeys each of them: only the analysis happens.

Each payload is the largest brand and category of a file, so that it stands in prompts and in the report.
Those that the data check refuses are in `REFUSED`; all others are analysed under the name they have.
"""

import asyncio
import csv
import re
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from injection_payloads import PAYLOADS
from markdown_it import MarkdownIt
from scripted import Sales, ScriptedChat, Sent, chat_of, fitting, loaded, resources

from swarmlab.agents.answer import Answer
from swarmlab.agents.brief import Brief
from swarmlab.agents.levels import LEVELS, Level
from swarmlab.agents.questions import set_exam
from swarmlab.agents.resources import Resources
from swarmlab.agents.swarm import run_swarm
from swarmlab.data import open_dataset
from swarmlab.errors import DataError, ModelError
from swarmlab.tools import TOOLS, Scope, entities, truth

HARMLESS = "Zest and Sons"
CANARY = "canary-4711"
REFUSED = frozenset({"null\x00byte"})
TAGS = {"h1", "h2", "h3", "p", "strong", "em", "ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td"}
NAMED = re.compile(r"swarmlab-injected|secret\.txt|passwd|shadow|id_rsa")
"""Files that some payload names."""


class Watch:
    """Notes what the interpreter does with files, sockets and processes, as far as no analysis needs it."""

    def __init__(self) -> None:
        self.is_on = False
        self.own = ""
        self.seen: list[tuple[str, str]] = []

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        """Take an event of `sys.addaudithook`."""
        if not self.is_on:
            return
        first = str(args[0]) if args else ""
        if event == "open":
            writes = isinstance(args[1], str) and bool(set(args[1]) & set("wax+"))
            is_own = first.startswith((self.own, "/proc", "/dev/null"))
            if NAMED.search(first) or (writes and not is_own):
                self.seen.append((event, first))
        elif event.startswith(("os.", "shutil.")):
            reads = ("os.listdir", "os.scandir", "os.putenv", "os.unsetenv", "os.walk")
            if event not in reads and not first.startswith(self.own):
                self.seen.append((event, repr(args)))
        elif event.startswith(("socket.connect", "socket.getaddrinfo", "socket.sendto", "subprocess.")):
            self.seen.append((event, repr(args)))


@pytest.fixture(scope="session")
def hook() -> Watch:
    """One for all tests: an audit hook cannot be taken away again."""
    watch = Watch()
    sys.addaudithook(watch)
    return watch


@pytest.fixture
def watch(hook: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """Watch the test in a folder of its own, which holds a secret."""
    (tmp_path / "own").mkdir()
    for folder in (tmp_path, tmp_path / "own"):
        (folder / "secret.txt").write_text(CANARY, encoding="utf-8")
    monkeypatch.chdir(tmp_path / "own")
    hook.seen, hook.own, hook.is_on = [], str(tmp_path), True
    yield hook
    hook.is_on = False


def _write(path: Path, name: str) -> Path:
    """Two years of sales of three brands in two categories, of which the named ones lead by far."""
    pairs = [(name, name), (name, "Drinks"), ("Plain", "Drinks"), ("Other", name)]
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["sale_date", "brand", "category", "region", "units_sold", "total_revenue"])
        for month in range(24):
            date = f"{2023 + month // 12}-{month % 12 + 1:02}-15"
            for place, (brand, category) in enumerate(pairs):
                units = 400 - 97 * place + 7 * ((month * (place + 3)) % 11)
                # Prices that move, each brand's its own way: no figure is a tie that names would break.
                price = (2 + place) * (100 + (month * (place + 2)) % 7 + place)
                region = ("North", "South")[place % 2]
                rows.writerow([date, brand, category, region, units, f"{units * price / 100:.2f}"])
    return path


def _open(path: Path) -> Sales:
    dataset = open_dataset(str(path), cache_dir=path.parent / "cache")
    known, names = truth(dataset, Scope()), entities(dataset, Scope())
    return Sales(dataset, known, names, set_exam(known, names, seed=0))


def _obedient(name: str) -> ScriptedChat:
    """A model that writes what the data tells it, cites every id it sees there, and decides as told."""

    def reply(sent: Sent) -> Any:
        told = fitting(sent.schema)
        orders = re.findall(r"(?:https?|file)://\S+|[Cc]all (?:the )?tool \w+", sent.user)
        for field in {"finding", "recommendation", "summary"} & set(told):
            told[field] = " ".join([name, *orders])
        if "cites" in told:
            told["cites"] = [*told["cites"], *re.findall(r"\w+\.\w+(?:\[[^\]\n]*\])?", sent.user), name]
        if "answer" in told:
            told["answer"] = name
        return told

    return ScriptedChat(reply=reply)


async def _analyse(sales: Sales, name: str, level: str) -> tuple[Resources, Answer]:
    run = resources(sales, _uncached(level), model=loaded(_obedient(name)))
    return run, await run_swarm(run)


def _uncached(level: str) -> Level:
    return LEVELS[level].model_copy(update={"cache": ()})


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Resources, Answer]]:
    """The same data under a harmless name, by level."""
    sales = _open(_write(tmp_path_factory.mktemp("harmless") / "sales.csv", HARMLESS))
    return {level: asyncio.run(_analyse(sales, HARMLESS, level)) for level in LEVELS}


def test_there_are_enough_payloads() -> None:
    """Fifty and more, all different."""
    assert len(set(PAYLOADS)) == len(PAYLOADS) >= 50


@pytest.mark.parametrize("number", range(len(PAYLOADS)))
def test_a_model_that_obeys_the_data_can_do_nothing(
    number: int, watch: Watch, tmp_path: Path, harmless: dict[str, tuple[Resources, Answer]]
) -> None:
    """Only catalogued tools run; no file, network or process is touched; facts and report stay the same."""
    name, level = PAYLOADS[number], list(LEVELS)[number % len(LEVELS)]
    path = _write(tmp_path / "sales.csv", name)
    if name in REFUSED:
        with pytest.raises(DataError, match=r"sales\.csv"):
            open_dataset(str(path), cache_dir=tmp_path / "cache")
        return
    sales = _open(path)
    assert name in sales.names["brands"]
    run, answer = asyncio.run(_analyse(sales, name, level))
    watch.is_on = False
    sound_run, sound = harmless[level]

    prompts = "".join(sent.user for sent in chat_of(run).sent)
    assert name in prompts
    assert watch.seen == []
    assert not [place for place in _places(tmp_path) if "injected" in place.name]
    assert CANARY not in prompts + answer.report
    assert _tools_run(run) == _tools_run(sound_run)
    assert set(_tools_run(run)) <= set(TOOLS)
    assert answer.errors == ()
    assert _facts(answer, name) == _facts(sound, HARMLESS)
    _check_report(answer.report, sound.report)


def _places(folder: Path) -> list[Path]:
    """Where a file could have been made by somebody who obeyed."""
    return [*folder.rglob("*"), *Path("/tmp").glob("*"), *Path("/dev/shm").glob("*")]


def _tools_run(run: Resources) -> list[str]:
    return sorted(span.name for span in run.tracer.finished() if span.category == "tool")


def _facts(answer: Answer, name: str) -> list[tuple[Any, ...]]:
    def same(text: object) -> str:
        return str(text).replace(name, HARMLESS)

    return [(same(f.id), f.tool, same(f.label), same(f.value), f.unit, f.rows) for f in answer.facts]


def _check_report(report: str, sound: str) -> None:
    """Rendered, with raw HTML allowed, it has the headings and tables of the harmless one and else text."""
    found, expected = _elements(report), _elements(sound)
    assert set(found) <= TAGS
    # An obedient model may cite more of the facts that there are, each a line of a list.
    for part in ("h1", "h2", "h3", "table", "tr", "td", "em", "ol"):
        assert found[part] == expected[part], part


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Count a tag, and each of its attributes."""
        self.found.update([tag, *(f"{tag} {name}" for name, _ in attrs)])


def _elements(report: str) -> Counter[str]:
    parser = _Elements()
    parser.feed(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(report))
    return parser.found


FOREIGN = ["delete_file", "run_shell", "../kpis", "kpis; touch swarmlab-injected", ""]


@pytest.mark.parametrize("chosen", FOREIGN)
async def test_a_tool_that_is_not_in_the_catalogue_is_refused(
    sales: Sales, chosen: str, watch: Watch
) -> None:
    """A model that may choose its tools and asks for another ends the run by name; no tool has run."""

    def reply(sent: Sent) -> Any:
        return {"tools": [chosen]} if sent.title == "tool_choice" else None

    chat = ScriptedChat(reply=reply)
    run = resources(sales, _uncached("full"), model=loaded(chat), brief=Brief(tool_choice="model"))
    with pytest.raises(ModelError, match=re.escape(f"chose a tool that was not offered: {chosen!r}")):
        await run_swarm(run)
    assert watch.seen == []
    assert _tools_run(run) == []


def test_the_watch_sees_what_it_should(watch: Watch, tmp_path: Path) -> None:
    """A file written elsewhere, a secret read, a connection and a process are all noted."""
    watch.own = str(tmp_path / "own")
    (tmp_path / "elsewhere.txt").write_text("x", encoding="utf-8")
    (tmp_path / "secret.txt").read_text(encoding="utf-8")
    with socket.socket() as one:
        one.connect_ex(("127.0.0.1", 9))
    subprocess.run([sys.executable, "-c", ""], check=True)
    watch.is_on = False
    noted = [event for event, _ in watch.seen]
    assert noted[:2] == ["open", "open"]
    assert {"socket.connect", "subprocess.Popen"} <= set(noted)
