"""The pictures of a study, as Optuna draws them."""

import warnings
from typing import Any

from optuna.exceptions import ExperimentalWarning
from optuna.study import Study
from optuna.trial import TrialState

from digits.evaluation.drawing import Figure, drawing_style, mpl
from digits.evaluation.figures import STYLE, WIDTH

# Optuna's module asks for Matplotlib, which the line above has imported as all figures have it.
from optuna.visualization import matplotlib as plots  # isort: skip

HEIGHT = 4.2  # inches


def draw_study(study: Study, metrics: str) -> dict[str, Figure]:
    """Draw how the best value came about and, of several trials, what mattered for it."""
    mpl.use("agg")
    drawn = {}
    with warnings.catch_warnings(), drawing_style(STYLE):
        warnings.simplefilter("ignore", ExperimentalWarning)
        axes = plots.plot_optimization_history(study, target_name=metrics)
        drawn["history"] = _finish(axes, f"Optimization history · study {study.study_name}")
        values = {it.value for it in study.get_trials(states=(TrialState.COMPLETE,))}
        if len(values) > 1:
            axes = plots.plot_param_importances(study, target_name=metrics)
            drawn["importance"] = _finish(axes, f"Parameter importance · study {study.study_name}")
    return drawn


def _finish(axes: Any, title: str) -> Figure:
    figure = axes.figure
    figure.set_size_inches(WIDTH, HEIGHT)
    figure.set_layout_engine("constrained")
    axes.set_title(title)
    mpl.pyplot.close(figure)
    return figure
