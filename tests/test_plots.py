"""What the figures show, and that nothing in them is cut off or hides anything else."""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import combinations, pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from digits.data.splits import Card
from digits.evaluation import error_analysis, label_issues, metrics, plots, plots_images
from digits.evaluation.corruptions import KINDS
from digits.evaluation.plotting import FONT_SIZE, measure_text, wrap_text
from digits.evaluation.predictions import Predictions
from digits.evaluation.robustness import CLEAN

CLASSES = {
    "two": ("no", "yes"),
    "digits": tuple("0123456789"),
    "fashion": ("T-shirt/top", "Ankle boot", *(f"some {number}. garment" for number in range(8))),
    "letters": tuple(f"capital letter {chr(65 + number)}" for number in range(26)),
}
CASES = [("two", 3), ("digits", 0), ("fashion", 400), ("letters", 400)]
TITLE = "A dataset of a long name, recipe_of_a_longer_name"


ROBUSTNESS = pd.DataFrame(
    [(CLEAN, "apart", 1.0), *((name, "seen", i / 17) for i, name in enumerate(KINDS))],
    columns=["corruption", "group", "accuracy"],
)


def draw_gallery_of_kinds() -> Figure:
    names = [CLEAN, *KINDS]
    images = np.zeros((len(names), 28, 28), np.uint8)
    return plots_images.draw_gallery(images, [f"{name}\n100.0%" for name in names], TITLE)


def predict(class_count: int, error_count: int, count: int = 2_000) -> Predictions:
    """Make predictions of which the first ones are wrong, some of them surely."""
    generator = np.random.default_rng(class_count)
    labels = np.arange(count) % class_count
    guesses = np.where(np.arange(count) < error_count, (labels + 1) % class_count, labels)
    confidence = generator.uniform(0.55, 0.999, count).astype(np.float32)
    probabilities = np.repeat(((1 - confidence) / (class_count - 1))[:, None], class_count, axis=1)
    probabilities[np.arange(count), guesses] = confidence
    images = generator.integers(0, 256, (count, 28, 28)).astype(np.uint8)
    return Predictions(images, labels.astype(np.uint8), probabilities)


@cache
def draw_all(names: str, error_count: int) -> dict[str, Figure]:
    """Draw every figure of the stages but the learning curves."""
    class_names = CLASSES[names]
    card = Card(name="any", title="Any", class_names=list(class_names), image_counts={})
    found = predict(len(class_names), error_count)
    labels, predicted = found.labels, found.predicted
    confusion = metrics.count_confusion(labels, predicted, card.class_count)
    errors = error_analysis.tabulate_errors(found).head(40)
    issues = errors.assign(label=errors["true"], disputed=True)
    reliability = metrics.tabulate_reliability(metrics.bin_confidence(labels, found.probabilities))
    coverage = metrics.score_coverage(labels, found.probabilities)
    means = error_analysis.average_images(found)
    images = found.images[errors["index"]]
    captions = error_analysis.caption_errors(errors, card)
    doubts = label_issues.caption_issues(issues, card)
    classes = metrics.tabulate_classes(labels, predicted, card)
    strips = [("40 new", images[:6], doubts[:6])] if error_count else []
    return {
        "confusion": plots.draw_confusion(confusion, class_names, TITLE),
        "classes": plots.draw_classes(classes, TITLE),
        "reliability": plots.draw_reliability(reliability, 0.1, metrics.BIN_COUNT, TITLE),
        "rejection": plots.draw_rejection(*coverage, 0.999, TITLE),
        "robustness": plots.draw_robustness(ROBUSTNESS, 0.5, TITLE),
        "corruptions": draw_gallery_of_kinds(),
        "errors": plots_images.draw_gallery(images, captions, TITLE),
        "label_issues": plots_images.draw_gallery(images, doubts, TITLE),
        "strips": plots_images.draw_strips(strips, 5 * f"{TITLE} "),
        "prototypes": plots_images.draw_prototypes(means, confusion, class_names, TITLE),
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
def test_nothing_is_cut_off(names: str, error_count: int) -> None:
    for name, figure in draw_all(names, error_count).items():
        figure.draw_without_rendering()
        drawn = figure.get_tightbbox()
        width, height = figure.get_size_inches()
        assert min(drawn.x0, drawn.y0) > -0.01, name
        assert drawn.x1 < width + 0.01, name
        assert drawn.y1 < height + 0.01, name


@pytest.mark.parametrize(("names", "error_count"), CASES)
def test_texts_of_a_sheet_touch_neither_each_other_nor_an_image(
    names: str, error_count: int
) -> None:
    figures = draw_all(names, error_count)
    for name in ("errors", "label_issues", "strips", "corruptions"):
        figure = figures[name]
        (sheet,) = figure.axes
        texts = find_boxes(figure, list(sheet.texts))
        images = [image.get_window_extent() for image in sheet.images]
        assert len(texts) > len(images)
        assert not [pair for pair in combinations([*texts, *images], 2) if overlap(*pair)]


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
        for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
            if labels[0].get_rotation() == 0:  # slanted ones share boxes, not letters
                assert not [pair for pair in pairwise(find_boxes(figure, labels)) if overlap(*pair)]


def test_confusion_has_no_colour_bar_and_colours_only_errors() -> None:
    confusion = np.diag([900, 1_000, 0])
    confusion[0, 1], confusion[2, 0] = 1, 4
    figure = plots.draw_confusion(confusion, ["a", "b", "c"], TITLE)
    (axes,) = figure.axes
    texts = [text.get_text() for text in axes.texts if text.get_text()]
    assert sorted(texts) == ["0", "1", "1,000", "4", "900"]
    assert "5 errors in 1,905 test images" in figure.get_suptitle()
    right, wrong = (np.asarray(mesh.get_facecolor()) for mesh in axes.collections)
    figure.draw_without_rendering()
    assert len({tuple(colour) for colour in right if colour[3]}) == 1
    darkness = {
        int(count): float(1 - colour[:3].mean())
        for count, colour in zip(confusion.ravel(), wrong, strict=True)
        if colour[3]
    }
    assert darkness[0] == 0 < darkness[1] < darkness[4]


@pytest.mark.parametrize("count", [2, 10, 26])
def test_markers_of_equal_scores_stand_apart(count: int) -> None:
    perfect = dict.fromkeys(("precision", "recall", "f1"), np.ones(count))
    figure = plots.draw_classes(pd.DataFrame({"class": range(count), **perfect}), TITLE)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    high = []
    for line in axes.lines:
        points = np.asarray(line.get_xydata())
        assert len(points) == count
        high += axes.transData.transform(points)[:, 1].tolist()
    size = axes.lines[0].get_markersize() / 72 * figure.dpi
    assert len(axes.lines) == 3
    assert min(np.diff(sorted(high))) > 1.2 * size


def test_bins_show_wilsons_interval_and_their_images() -> None:
    bins = metrics.ConfidenceBins(
        low=np.arange(15) / 15,
        count=np.array([0] * 11 + [1, 0, 20, 10_000]),
        confidence=np.array([0.0] * 11 + [0.75, 0, 0.9, 0.99]),
        accuracy=np.array([0.0] * 11 + [1, 0, 0.85, 0.99]),
    )
    table = metrics.tabulate_reliability(bins)
    assert table["count"].tolist() == [1, 20, 10_000]
    expected = [
        metrics.score_accuracy_interval(*pair) for pair in ((1, 1), (17, 20), (9900, 10000))
    ]
    np.testing.assert_allclose(table[["accuracy_low", "accuracy_high"]], expected)
    figure = plots.draw_reliability(table, 0.01, 15, TITLE)
    upper, lower = figure.axes
    (errorbar,) = upper.containers
    assert isinstance(errorbar, ErrorbarContainer)
    (bars,) = errorbar.lines[2]
    np.testing.assert_allclose([segment[:, 1] for segment in bars.get_segments()], expected)
    low, high = upper.get_ylim()
    assert (low < 0, high > 1) == (True, True)  # dots at both ends are whole
    assert [text.get_text() for text in lower.texts] == ["1", "20", "10,000"]


def test_counts_of_full_bins_stand_apart() -> None:
    full = np.full(15, 10_000)
    bins = metrics.ConfidenceBins(np.arange(15) / 15, full, np.linspace(0, 1, 15), full / 20_000)
    figure = plots.draw_reliability(metrics.tabulate_reliability(bins), 0.01, 15, TITLE)
    boxes = find_boxes(figure, list(figure.axes[1].texts))
    assert len(boxes) == 15
    assert not [pair for pair in pairwise(boxes) if overlap(*pair)]


def test_corruptions_are_sorted_and_marked_by_group() -> None:
    table = ROBUSTNESS.assign(accuracy=np.linspace(0.1, 0.95, len(ROBUSTNESS)))
    table.loc[5:, "group"] = "unseen"
    figure = plots.draw_robustness(table, 0.523, TITLE)
    (axes,) = figure.axes
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == table["corruption"].tolist()[::-1]
    assert axes.get_ylim() == (len(table) - 0.5, -0.5)  # the first one on top
    shares = [text.get_text() for text in axes.texts]
    assert (shares[0], shares[-1]) == ("95.0%", "10.0%")
    mean, *groups = axes.lines
    assert mean.get_xdata() == [0.523, 0.523]
    assert "52.3% right on average" in figure.get_suptitle()
    drawn = {line.get_label(): line for line in groups}
    assert {name: np.size(line.get_xdata()) for name, line in drawn.items()} == {
        "not seen in training": 13,
        "seen in training": 4,
        "not counted in the mean": 1,
    }
    assert len({(line.get_color(), line.get_marker()) for line in groups}) == 3
    boxes = find_boxes(figure, list(axes.get_yticklabels()))
    assert not [pair for pair in pairwise(boxes) if overlap(*pair)]


def find_marker(axes: Axes) -> tuple[list[list[float]], list[list[float]]]:
    """Return the points of a rejection curve and of its marker."""
    curve, _, marker = (np.asarray(line.get_xydata()).tolist() for line in axes.lines)
    return curve, marker


@pytest.mark.parametrize("error_count", [3, 40, 400])
def test_marker_lies_on_the_curve(error_count: int) -> None:
    found = predict(10, error_count)
    coverage, accuracy = metrics.score_coverage(found.labels, found.probabilities)
    figure = plots.draw_rejection(coverage, accuracy, 0.999, TITLE)
    (axes,) = figure.axes
    curve, (marker,) = find_marker(axes)
    assert marker in curve
    assert marker[0] == pytest.approx(1 - metrics.find_coverage(coverage, accuracy, 0.999))
    assert marker[1] <= 0.001
    assert axes.get_xlim()[0] < marker[0] < axes.get_xlim()[1]


def test_curve_of_two_points_has_its_marker_in_view() -> None:
    figure = plots.draw_rejection(np.array([0.5, 1.0]), np.array([1.0, 0.9]), 0.999, TITLE)
    (axes,) = figure.axes
    assert find_marker(axes)[1] == [[0.5, 0]]
    assert axes.get_xlim()[1] > 0.5


def test_goal_out_of_reach_has_no_marker() -> None:
    figure = plots.draw_rejection(np.array([1.0]), np.array([0.1]), 0.999, TITLE)
    (axes,) = figure.axes
    assert find_marker(axes)[1] == []
    (note,) = axes.get_legend_handles_labels()[1]
    assert note == "99.9% right at no share"


def draw_some(count: int) -> Figure:
    images = np.zeros((count, 28, 28), np.uint8)
    return plots_images.draw_gallery(images, [f"{number} as 4\n#1" for number in range(count)], "t")


def draw_one_strip(count: int) -> Figure:
    images = np.zeros((count, 28, 28), np.uint8)
    return plots_images.draw_strips([("fixed", images, ["#1"] * count)] * (count > 0), "t")


@pytest.mark.parametrize("draw", [draw_some, draw_one_strip])
def test_sheet_is_as_large_as_its_images_need(draw: Callable[[int], Figure]) -> None:
    sizes = {count: draw(count).get_size_inches() for count in (0, 1, 3, 6)}
    assert max(sizes[1][0], sizes[3][0]) < 0.75 * sizes[6][0]
    assert sizes[0][1] < 0.75 * sizes[1][1] == 0.75 * sizes[6][1]
    assert [text.get_text() for text in draw(0).axes[0].texts] == ["t", "none"]


@pytest.mark.parametrize("count", [2, 7, 9, 13, 40])
def test_rows_of_a_gallery_are_about_equally_full(count: int) -> None:
    lefts = [image.get_extent()[0] for image in draw_some(count).axes[0].images]
    columns, rows = len(set(lefts)), lefts.count(min(lefts))
    assert columns <= plots_images.COLUMNS
    assert rows * columns - count < rows  # no column too many


def test_lines_are_broken_between_words() -> None:
    text = wrap_text("one two three\nfour", measure_text("one two", FONT_SIZE), FONT_SIZE)
    assert text == "one two\nthree\nfour"
    assert wrap_text("indivisible", 0.1, FONT_SIZE) == "indivisible"
