"""The pictures of a study, as Optuna draws them."""

from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import TrialState

from digits.evaluation.plotting import WIDTH, drawing_style, mpl, write_figure, write_title

# Optuna's module asks for Matplotlib, which the line above has imported as all figures have it.
from optuna.visualization import matplotlib as plots  # isort: skip

TUNE_DIR = Path("tune")  # a folder a study
STYLE = {"figure.figsize": (WIDTH, 4.2), "figure.constrained_layout.use": True}  # inches


def draw_study(study: Study, objective: str) -> list[Path]:
    """Draw how the best value developed and, where values differ, which parameters mattered."""
    mpl.use("agg")
    drawn: dict[str, Any] = {"history": plots.plot_optimization_history}
    values = {trial.value for trial in study.get_trials(states=(TrialState.COMPLETE,))}
    if len(values) > 1:
        drawn["importance"] = plots.plot_param_importances
    paths = []
    for name, plot in drawn.items():
        with drawing_style(STYLE):
            figure = plot(study).figure
        write_title(figure, f"{study.study_name}: {objective}")
        paths.append(TUNE_DIR / study.study_name / f"{name}.png")
        write_figure(paths[-1], figure)
    return paths
