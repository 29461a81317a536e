"""The table of docs/experiments.md is what its command prints."""

from pathlib import Path

from benchmarks import experiments

PAGE = Path(__file__).resolve().parents[2] / "docs" / "experiments.md"


def test_the_page_has_every_claim_and_all_of_them_hold(capsys):
    experiments.main(["--experiments", "2"])
    claims = [line.split(" | ")[0] for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    table = PAGE.read_text("utf-8").split("python -m benchmarks.experiments")[1].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows] == claims
    assert "| NO |" not in table


def test_a_claim_fails_where_the_binomial_interval_excludes_it():
    hits = [True] * 20 + [False] * 180
    assert experiments.count("claim", hits, most=0.05, wanted="at most 5 %").holds is False
    assert experiments.count("claim", hits, most=0.08, wanted="at most 8 %").holds is True
    assert str(experiments.count("claim", hits)) == "| claim | 200 |  | 10.0 % | 6.6-14.9 % |  |"
