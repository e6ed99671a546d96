"""What the figures show, and that nothing in them is cut off or hides anything else."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image
from predictions import make_predictions

from digits.evaluation import error_analysis, metrics, plots, plots_images
from digits.evaluation.corruptions import KINDS
from digits.evaluation.plotting import write_figure
from digits.evaluation.predictions import Predictions
from digits.evaluation.robustness import CLEAN

CLASSES = {
    "two": ("no", "yes"),
    "digits": tuple("0123456789"),
    "letters": tuple(f"capital letter {chr(65 + number)}" for number in range(26)),
}
CASES = [("two", 3), ("digits", 0), ("letters", 400)]
TITLE = "A dataset of a long name, recipe_of_a_longer_name"
ROBUSTNESS = pd.DataFrame(
    [(CLEAN, "apart", 1.0), *((name, "seen", i / 17) for i, name in enumerate(KINDS))],
    columns=["corruption", "group", "accuracy"],
)


def predict(class_count: int, error_count: int, count: int = 2_000) -> Predictions:
    """Make predictions of which the first ones are wrong, some of them surely."""
    labels = np.arange(count) % class_count
    guesses = np.where(np.arange(count) < error_count, (labels + 1) % class_count, labels)
    confidence = np.random.default_rng(class_count).uniform(0.55, 0.999, count)
    return make_predictions(labels, guesses, confidence, class_count)


def draw_all(names: Sequence[str], found: Predictions) -> dict[str, Figure]:
    labels, predicted = found.labels, found.predicted
    confusion = metrics.count_confusion(labels, predicted, len(names))
    reliability = metrics.tabulate_reliability(labels, found.probabilities)
    coverage = metrics.score_coverage(labels, found.probabilities)
    means = error_analysis.average_images(found)
    errors = error_analysis.tabulate_errors(found).head(40)
    captions = error_analysis.caption_errors(errors, names)
    return {
        "confusion": plots.draw_confusion(confusion, names, TITLE),
        "classes": plots.draw_classes(metrics.tabulate_classes(labels, predicted, names), TITLE),
        "reliability": plots.draw_reliability(reliability, TITLE),
        "rejection": plots.draw_rejection(*coverage, 0.999, TITLE),
        "robustness": plots.draw_robustness(ROBUSTNESS, 0.5, TITLE),
        "prototypes": plots_images.draw_prototypes(means, confusion, names, TITLE),
        "gallery": plots_images.draw_gallery(found.images[errors["index"]], captions, TITLE),
    }


def find_boxes(figure: Figure, artists: list[Text]) -> list[Bbox]:
    """Return where texts stand, in pixels."""
    figure.draw_without_rendering()
    return [text.get_window_extent() for text in artists if text.get_text()]


def overlap(one: Bbox, other: Bbox) -> bool:
    """Say whether two boxes share more than a pixel."""
    wide = min(one.x1, other.x1) - max(one.x0, other.x0)
    high = min(one.y1, other.y1) - max(one.y0, other.y0)
    return wide > 1 and high > 1


@pytest.mark.parametrize(("names", "error_count"), CASES)
def test_nothing_is_cut_off_and_no_text_of_a_gallery_hides_another(
    names: str, error_count: int
) -> None:
    figures = draw_all(CLASSES[names], predict(len(CLASSES[names]), error_count))
    for name, figure in figures.items():
        figure.draw_without_rendering()
        drawn = figure.get_tightbbox()
        width, height = figure.get_size_inches()
        assert min(drawn.x0, drawn.y0) > -0.01, name
        assert drawn.x1 < width + 0.01, name
        assert drawn.y1 < height + 0.01, name
    (sheet,) = figures["gallery"].axes
    texts = find_boxes(figures["gallery"], list(sheet.texts))
    images = [image.get_window_extent() for image in sheet.images]
    assert len(texts) > len(images)
    assert not [pair for pair in combinations([*texts, *images], 2) if overlap(*pair)]


def test_long_words_of_a_gallery_are_cut() -> None:
    name = "latin_small_letter_o_with_stroke"
    images = np.zeros((7, 28, 28), np.uint8)
    figure = plots_images.draw_gallery(images, [f"true {name}, #1"] * 7, TITLE)
    boxes = find_boxes(figure, list(figure.axes[0].texts))
    assert not [pair for pair in combinations(boxes, 2) if overlap(*pair)]
    assert name in "".join(figure.axes[0].texts[-1].get_text().split("\n"))


@pytest.mark.parametrize("names", CLASSES.values(), ids=CLASSES)
def test_counts_fit_into_their_cells(names: Sequence[str]) -> None:
    confusion = np.full((len(names), len(names)), 9_999)
    means = np.zeros((*confusion.shape, 28, 28))
    for figure in (
        plots.draw_confusion(confusion, names, TITLE),
        plots_images.draw_prototypes(means, confusion, names, TITLE),
    ):
        (axes,) = figure.axes
        boxes = find_boxes(figure, list(axes.texts))
        assert len(boxes) == confusion.size
        assert max(box.width for box in boxes) < axes.get_window_extent().width / len(names)
        assert not overlap(boxes[0], boxes[1])


def test_confusion_colours_only_errors() -> None:
    confusion = np.diag([900, 1_000, 0])
    confusion[0, 1], confusion[2, 0] = 1, 4
    figure = plots.draw_confusion(confusion, ["a", "b", "c"], TITLE)
    (axes,) = figure.axes
    texts = [text.get_text() for text in axes.texts if text.get_text()]
    assert sorted(texts) == ["0", "1", "1,000", "4", "900"]
    assert "5 of 1,905 test images misread" in figure.get_suptitle().replace("\n", " ")
    _, wrong = axes.collections
    colours = np.reshape(wrong.get_facecolor(), (3, 3, 4))  # red, green, blue, opacity
    assert not colours[np.eye(3, dtype=bool)][:, 3].any()
    darkness = 1 - colours[..., :3].mean(axis=2)
    assert darkness[1, 0] == 0 < darkness[0, 1] < darkness[2, 0]


def test_corruptions_are_sorted_and_marked_by_group() -> None:
    table = ROBUSTNESS.assign(accuracy=np.linspace(0.1, 0.95, len(ROBUSTNESS)))
    table.loc[5:, "group"] = "unseen"
    (axes,) = plots.draw_robustness(table, 0.523, TITLE).axes
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == table["corruption"].tolist()[::-1]
    assert axes.get_ylim() == (len(table) - 0.5, -0.5)  # the first one on top
    shares = [text.get_text() for text in axes.texts]
    assert (shares[0], shares[-1]) == ("95.0%", "10.0%")
    mean, *groups = axes.lines
    assert mean.get_xdata() == [0.523, 0.523]
    drawn = {str(line.get_label()).split(" in ")[0]: np.size(line.get_xdata()) for line in groups}
    assert drawn == {"not seen": 13, "seen": 4, "not counted": 1}


@pytest.mark.parametrize("error_count", [3, 400, 2_000])
def test_marker_of_rejection_lies_on_the_curve(error_count: int) -> None:
    found = predict(10, error_count)
    coverage, accuracy = metrics.score_coverage(found.labels, found.probabilities)
    (axes,) = plots.draw_rejection(coverage, accuracy, 0.999, TITLE).axes
    curve, _, marker = (np.asarray(line.get_xydata()).tolist() for line in axes.lines)
    if error_count == 2_000:  # the goal is out of reach
        assert marker == []
        assert axes.get_legend_handles_labels()[1] == ["99.9% accuracy at no share"]
        return
    ((rejected, risk),) = marker
    assert [rejected, risk] in curve
    assert rejected == pytest.approx(1 - metrics.find_coverage(coverage, accuracy, 0.999))
    assert risk <= 0.001
    assert axes.get_xlim()[0] < rejected < axes.get_xlim()[1]


def test_picture_says_which_question_it_answers_and_repeats_its_bytes(tmp_path: Path) -> None:
    for name in "ab":
        figure = plots.draw_robustness(ROBUSTNESS, 0.5, TITLE)
        write_figure(tmp_path / f"{name}.png", figure, "What breaks it?", "Read it so.")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as picture:
        texts = picture.info
    assert (texts["Title"], texts["Description"]) == ("What breaks it?", "Read it so.")
