import html
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from datamodules.sets.image_set import ImageSet
from evaluation.feature_map import FeatureMap
from evaluation.figures import Chart, Series
from evaluation.formatting import MISSING, duration, number, size
from evaluation.report import ReportData, render_report, write_report
from evaluation.scores import SCORE_NAMES, ScoreRow, Similarities, SimilarityRow, StageCost

MANY = tuple(f"category {label}" for label in range(25))
EVIL = '<script>alert("x")</script>'


def image_set(names, count, seed=0):
    rng = np.random.default_rng(seed)
    return ImageSet(rng.integers(0, 256, (count, 1, 8, 8), dtype=np.uint8), rng.integers(0, len(names), count), names)


def report_data(**changes):
    names = ("cat", EVIL)
    row = {"noise_multiplier": 2.5, "sensitivity": 2.0, "epsilon_alone": 0.75, "share": 0.1}
    selected = [{"category": f"public {label}", "label": label, "noisy_count": 9 - 7 * label} for label in range(8)]
    data = ReportData(
        run_name=EVIL,
        method="privimage_d",
        sensitive_name="digits",
        public_name="glyphs",
        records=1437,
        epsilon=9.876,
        delta=1e-5,
        accountant="rdp",
        target_epsilon=10.0,
        composed={"rdp": 9.876, "prv": 9.123},
        groups=[{"records": 2, "epsilon": 23.45678}, {"records": 10, "epsilon": None}],
        not_private="",
        budget=[
            row | {"name": "semantic query", "kind": "gaussian query", "sampling_rate": 1.0, "steps": 1},
            row | {"name": "dp-sgd", "kind": "sampled gaussian", "sampling_rate": 0.28, "steps": 40},
        ],
        synthetic=image_set(names, 30),
        real_test=image_set(names, 100, seed=1),
        scores=[
            ScoreRow(name="synthetic (this run)", accuracies={"lr": 0.8, "cnn": 0.9}, frechet=12.34),
            ScoreRow(name="public only", accuracies={}),
        ],
        frechet_features="the classifier's features",
        precision_features="Inception's features",
        fid_reason="no weights were given",
        similarities=Similarities(
            0.321, [SimilarityRow(EVIL, 10, 0.25, 0.321), SimilarityRow("the whole public set", 40, 1, 0.0625)], "GloVe"
        ),
        feature_map=FeatureMap(
            np.eye(4)[:, :2], np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), ("synthetic", "real"), names
        ),
        selection={"cat": selected, EVIL: selected[:2]},
        public=image_set(tuple(f"public {label}" for label in range(9)), 60),
        charts=[Chart(EVIL, "Step", "Loss", [Series(EVIL, range(3), [3.0, 2.0, 1.0])])],
        stages=[StageCost(name="finetune", seconds=95.0, peak_bytes=3 * 2**30)],
        software={"torch": "2.9"},
    )
    return replace(data, **changes)


class Resources(HTMLParser):
    """Collects every address that a page names and every tag that it uses."""

    def __init__(self, page):
        super().__init__()
        self.addresses, self.tags = [], set()
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.addresses += [value for key, value in attributes if key in ("src", "href", "xlink:href", "srcset")]


def test_page_is_self_contained():
    page = render_report(report_data())
    resources = Resources(page)
    assert resources.addresses and all(address.startswith(("data:image/png", "#")) for address in resources.addresses)
    assert not resources.tags & {"script", "link", "iframe", "object"}
    assert not re.search(r"https?://|@import|url\((?!#)", page)


def test_names_are_escaped():
    page = render_report(report_data())
    assert EVIL not in page
    assert "&lt;script&gt;" in page


def test_numbers_stand_on_the_page():
    page = render_report(report_data())
    numbers = ("9.876", "9.123", "1e-05", "12.34", "0.321", "0.0625", "90.0 %", "± 3.0", "1 min 35 s", "3 GiB")
    for text in (*numbers, "GloVe"):
        assert text in page, text
    assert "No FID and no Inception Score: no weights were given." in page
    assert "Internal page." in page and "add or remove" in page
    assert "and 2 more: public 6, public 7" in page
    assert "-5 votes" in page


@pytest.mark.slow
@pytest.mark.parametrize("name", SCORE_NAMES)
def test_a_score_has_its_column_where_there_is_one(name):
    rows = [ScoreRow(name="synthetic (this run)", accuracies={"cnn": 0.9}, **{name: 27.25}), ScoreRow(name="public")]
    page = render_report(report_data(scores=rows, fid_reason=""))
    columns = re.findall(r"<th>(.*?)</th>", page[page.index("<th>Trained on</th>") :].partition("</tr>")[0])
    assert [column.partition("<br>")[0] for column in columns] == ["Trained on", "CNN", SCORE_NAMES[name]]
    assert re.search(r">27\.[23]5?</td>", page)


def test_banner_where_there_is_no_guarantee():
    assert "NOT PRIVATE" not in render_report(report_data())
    page = render_report(report_data(not_private="The key is known."))
    assert "NOT PRIVATE" in page and "The key is known." in page
    assert "guarantee of the release, by" not in page


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"selection": {}, "public": None, "charts": [], "budget": [], "composed": {}, "similarities": None},
        {"scores": [], "stages": []},
        {"scores": [ScoreRow(name="synthetic (this run)")]},
        {"public": None},
        {"feature_map": None, "similarities": Similarities(None, [SimilarityRow("all", 4, 1, None)], "GloVe")},
        {"charts": [Chart("nothing was logged", "Step", "Loss", [])]},
        {"synthetic": image_set(MANY, 30), "real_test": image_set(MANY, 9)},
    ],
)
def test_parts_that_are_missing_leave_no_hole(changes):
    assert "</html>" in render_report(report_data(**changes))


def test_written_as_a_whole(tmp_path):
    write_report(tmp_path / "internal" / "report.html", report_data())
    assert (tmp_path / "internal" / "report.html").read_text(encoding="utf-8") == render_report(report_data())
    assert [path.name for path in (tmp_path / "internal").iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    "words, value, expected",
    [
        (number, None, MISSING),
        (number, float("inf"), MISSING),
        (number, 3, "3"),
        (number, 1437.0, "1,437"),
        (number, 12345.678, "12,346"),
        (number, 0.123456, "0.1235"),
        (number, 1e-5, "1e-05"),
        (size, 0, MISSING),
        (size, 1023, "1,023 B"),
        (size, 2048, "2 KiB"),
        (size, 5.25 * 2**20, "5.25 MiB"),
        (size, 3 * 2**40, "3,072 GiB"),
        (duration, 59.94, "59.9 s"),
        (duration, 61, "1 min 01 s"),
        (duration, 7384, "2 h 03 min"),
    ],
)
def test_words_for_numbers(words, value, expected):
    assert words(value) == expected


@pytest.mark.parametrize(("accuracy", "taught"), [(0.9, True), (0.45, False)])
def test_accuracies_stand_next_to_guessing_and_images_that_teach_nothing_are_said(accuracy, taught):
    page = html.unescape(render_report(report_data(scores=[ScoreRow(name="this run", accuracies={"cnn": accuracy})])))
    assert "Guessing has 50.0 % by chance, and 5" in page
    assert ("the images teach nothing yet" not in page) == taught
