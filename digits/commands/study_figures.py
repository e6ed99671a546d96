"""The pictures of a study: Optuna draws them, in the dress of our others."""

import warnings
from typing import Any

from optuna.exceptions import ExperimentalWarning
from optuna.study import Study, StudyDirection
from optuna.trial import TrialState

from digits.evaluation.plotting import STYLE, WIDTH, Figure, drawing_style, mpl, write_title

# Optuna's module asks for Matplotlib, which the lines above have imported as all figures have it.
from optuna.visualization import matplotlib as plots  # isort: skip

HEIGHT = 4.2  # inches


def draw_study(study: Study, metrics: str) -> dict[str, Figure]:
    """Draw how the best value came about and, where values differ, which parameters mattered."""
    mpl.use("agg")
    best_is_above = study.direction is StudyDirection.MAXIMIZE
    drawn = {}
    with warnings.catch_warnings(), drawing_style(STYLE):
        warnings.simplefilter("ignore", ExperimentalWarning)
        axes: Any = plots.plot_optimization_history(study, target_name=metrics)
        for line in axes.lines:
            line.set_label("best so far")
        axes.legend(loc="lower right" if best_is_above else "upper right", frameon=False)
        drawn["history"] = _finish(axes, f"Optimization history · study {study.study_name}")
        values = {it.value for it in study.get_trials(states=(TrialState.COMPLETE,))}
        if len(values) > 1:
            axes = plots.plot_param_importances(study, target_name=metrics)
            axes.get_legend().remove()
            for text in axes.texts:  # that touch their bars
                text.set_text(f" {text.get_text()}")
            axes.set_xlabel("importance")
            axes.set_ylabel("")
            title = f"Importance of the parameters · study {study.study_name}"
            drawn["importance"] = _finish(axes, title)
    return drawn


def _finish(axes: Any, title: str) -> Figure:
    """Put off Optuna's style, which is another program's, and its titles."""
    for place in ("left", "center"):
        axes.set_title("", loc=place)
    axes.set_facecolor("white")
    axes.grid(color="#b0b0b0", alpha=STYLE["grid.alpha"])
    axes.set_axisbelow(True)
    axes.spines[["left", "bottom"]].set(visible=True, color="black")
    axes.xaxis.label.set(color="black", text=axes.get_xlabel().replace("Trial", "trial"))
    axes.yaxis.label.set(color="black")
    axes.tick_params(colors="black")
    figure = axes.figure
    figure.set_size_inches(WIDTH, HEIGHT)
    figure.set_layout_engine("constrained")
    write_title(figure, title)
    mpl.pyplot.close(figure)
    return figure
