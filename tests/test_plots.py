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
    "letters": tuple(f"latin_small_letter_{chr(97 + number)}_with_stroke" for number in range(26)),
}
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
    confusion = np.full((len(names), len(names)), 9_999)  # as many as must fit into a cell
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
    shared = Bbox.intersection(one, other)
    return shared is not None and min(shared.width, shared.height) > 1


@pytest.mark.parametrize(("kind", "error_count"), [("two", 3), ("digits", 0), ("letters", 400)])
def test_nothing_is_cut_off_and_no_text_hides_another(kind: str, error_count: int) -> None:
    names = CLASSES[kind]
    figures = draw_all(names, predict(len(names), error_count))
    for name, figure in figures.items():
        figure.draw_without_rendering()
        drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
        assert min(drawn.x0, drawn.y0) > -0.01, name
        assert max(drawn.x1 - width, drawn.y1 - height) < 0.01, name
    for name in ("confusion", "prototypes"):
        (axes,) = figures[name].axes
        boxes = find_boxes(figures[name], list(axes.texts))
        assert len(boxes) == len(names) ** 2
        assert max(box.width for box in boxes) < axes.get_window_extent().width / len(names)
        assert not overlap(boxes[0], boxes[1])
    (sheet,) = figures["gallery"].axes
    texts = find_boxes(figures["gallery"], list(sheet.texts))
    images = [image.get_window_extent() for image in sheet.images]
    assert len(texts) > len(images)
    assert not [pair for pair in combinations([*texts, *images], 2) if overlap(*pair)]
    if images:  # long words are cut, and no letter is lost
        assert names[0] in "".join(text.get_text().replace("\n", "") for text in sheet.texts)


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
    _, *groups = axes.lines  # the first one is the mean
    drawn = {str(line.get_label()).split(" in ")[0]: np.size(line.get_xdata()) for line in groups}
    assert drawn == {"not seen": 13, "seen": 4, "not counted": 1}


@pytest.mark.parametrize("error_count", [3, 2_000])
def test_marker_of_rejection_lies_on_the_curve_if_the_goal_can_be_reached(error_count: int) -> None:
    found = predict(10, error_count)
    coverage = metrics.score_coverage(found.labels, found.probabilities)
    (axes,) = plots.draw_rejection(*coverage, 0.999, TITLE).axes
    curve, _, marker = (np.asarray(line.get_xydata()) for line in axes.lines)
    share = metrics.find_coverage(*coverage, 0.999)
    assert marker.tolist() == [point.tolist() for point in curve if share and point[0] == 1 - share]
    assert len(marker) == int(error_count == 3)
    assert (marker[:, 1] <= 0.001).all()
    assert ((axes.get_xlim()[0] < marker[:, 0]) & (marker[:, 0] < axes.get_xlim()[1])).all()
    assert ("at no share" in axes.get_legend_handles_labels()[1][0]) == (error_count == 2_000)


def test_picture_says_which_question_it_answers_and_repeats_its_bytes(tmp_path: Path) -> None:
    for name in "ab":
        figure = plots.draw_robustness(ROBUSTNESS, 0.5, TITLE)
        write_figure(tmp_path / f"{name}.png", figure, "What breaks it?", "Read it so.")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as picture:
        texts = picture.info
    assert (texts["Title"], texts["Description"]) == ("What breaks it?", "Read it so.")
