"""The README says nothing that a command does not regenerate."""

import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_table_of_results_is_the_reference_s() -> None:
    """The README's three blocks of results are what its script makes from results/reference."""
    script = runpy.run_path(str(ROOT / "experiments" / "readme_results.py"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert script["results"]() in readme
    assert script["simulated"]() in readme
    assert script["tools"]() in readme


def test_ci_runs_the_readme_s_test_command() -> None:
    """CI reads its install and test commands from the README's marked block."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    command = readme.partition("<!-- test-command -->")[2].partition("```\n")[2].partition("\n```")[0]
    assert command == 'python -m pip install -c experiments/constraints.txt -e ".[test]" && pytest'
    assert "<!-- test-command -->" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
