"""Public architectures as recipes: trained by the pipeline as by a plain Keras `fit`, bit by bit.

Each is built here a second time, as somebody would who types its words in Python. Where sums are
taken in another order (architectures.yaml: `rounded`) a training in float64 says how far float32 is
off by rounding, and the pipeline may be off as far.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from imports import ROOT
from samples import make_plan

from digits.config import load_yaml
from digits.data.splits import IMAGE_SHAPE
from digits.model import training
from digits.model.backend import keras, make_repeatable
from digits.model.batches import encode_labels, make_batches
from digits.model.recipes import Recipe
from digits.model.training import Plan, train_recipe

DEFAULTS = {"loss": "categorical_crossentropy", "epochs": 2, "batch_size": 16}
# The rest is nightly. In the fast suite: plain, recurrent in a wrapper, normalized.
FAST = ("keras_mlp", "hierarchical_rnn", "residual")
SLOW = (
    *("keras_convnet", "kaggle_introduction", "lstm_rows", "masked_channels_first", "maxout"),
    *("squeeze_and_excitation", "big_simple_net", "optimizer_lion_accumulation"),
    *("vision_transformer", "inception"),
)
MODULES = {
    "regularizer": keras.regularizers,
    "initializer": keras.initializers,
    "constraint": keras.constraints,
    "learning_rate": keras.optimizers.schedules,
}
LISTED: dict[str, dict[str, Any]] = load_yaml(ROOT / "tests/architectures.yaml")
ARCHITECTURES = {
    name: Recipe(**DEFAULTS | {"precision": "float32"} | values)
    for group in LISTED.values()
    for name, values in group.items()
}


def list_group(group: str) -> list[Any]:
    def mark(name: str) -> list[pytest.MarkDecorator]:
        return [] if name in FAST else [pytest.mark.slow if name in SLOW else pytest.mark.nightly]

    return [pytest.param(ARCHITECTURES[name], id=name, marks=mark(name)) for name in LISTED[group]]


@pytest.fixture(autouse=True)
def _untested(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the smoke test, which trains another network; test_networks.py is about it."""
    monkeypatch.setattr(training, "smoke_test", lambda _: None)


# The same in plain Keras


def make(module: Any, words: Mapping[str, Any], step_count: int = 1) -> Any:
    """Call a class of Keras with the arguments that a recipe gives it."""

    def translate(key: str, value: Any) -> Any:
        if isinstance(value, dict):
            inner = next((found for end, found in MODULES.items() if key.endswith(end)), None)
            return make(inner or keras.layers, value, step_count)
        if key == "boundaries":
            return [round(share * step_count) for share in value]
        return round(value * step_count) if key in ("decay_steps", "warmup_steps") else value

    arguments = {key: translate(key, value) for key, value in words.items() if key != "type"}
    return getattr(module, words["type"])(**arguments)


def chain(layers: Mapping[str, Any], tensor: Any, prefix: str = "") -> Any:
    """Apply layers, under the same names: by names, TensorFlow chooses in which order it sums."""
    for name, words in layers.items():
        path, inputs = f"{prefix}{name}", tensor
        own = {**words, "name": path}
        if words["type"] == "Dropout":
            own["dtype"] = "float32"  # in float64, too: or it would drop others
        if branches := own.pop("branches", None):
            inputs = [chain(inner, tensor, f"{path}.{key}.") for key, inner in branches.items()]
        layer = make(keras.layers, own)
        if words["type"] in ("MultiHeadAttention", "GroupQueryAttention"):
            tensor = layer(*(inputs if branches else (inputs, inputs)))
        else:
            tensor = layer(inputs)
    return tensor


def fit_plain(
    plan: Plan, start: list[np.ndarray] | None = None
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Train as a notebook does, on the same batches; return the weights before and after.

    `start` are the weights to start from, in place of the same random draws.
    """
    recipe, validation = plan.recipe, plan.validation
    seed = int(np.random.SeedSequence(plan.seed).generate_state(1)[0])
    make_repeatable(seed, threads=0)
    image = keras.Input(IMAGE_SHAPE)
    network = keras.Model(image, chain(recipe.layers, image), name=plan.name)
    network.set_weights(start or network.get_weights())
    first = network.get_weights()
    batches, epoch = make_batches(plan.train, recipe, seed, 10)
    steps = recipe.epochs * len(batches)
    smoothed = keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing)
    network.compile(
        make(keras.optimizers, recipe.optimizer, steps),
        recipe.loss if recipe.loss.startswith("sparse") else smoothed,
        metrics=["accuracy"],
    )
    labels = np.asarray(encode_labels(validation.labels, recipe.loss, 10))
    network.fit(
        batches,
        epochs=recipe.epochs,
        validation_data=(validation.images, labels),
        callbacks=[
            keras.callbacks.LambdaCallback(on_epoch_begin=lambda number, _: epoch.assign(number)),
            *(make(keras.callbacks, words) for words in recipe.callbacks.values()),
        ],
        shuffle=False,
        verbose=0,
    )
    return first, network.get_weights()


def differ(ones: list[np.ndarray], others: list[np.ndarray]) -> float:
    return max(float(np.abs(a - b).max()) for a, b in zip(ones, others, strict=True))


@pytest.mark.parametrize("recipe", list_group("exact"))
def test_same_bits_as_plain_fit(recipe: Recipe) -> None:
    plan = make_plan(recipe)
    ours = train_recipe(plan).model.get_weights()
    first, plain = fit_plain(plan)
    assert differ(first, plain) > 1e-6
    assert differ(ours, plain) == 0


@pytest.mark.parametrize("recipe", list_group("rounded"))
def test_rounds_as_plain_fit_does(recipe: Recipe) -> None:
    # A ReLU at its kink, or two equal maxima, may fall either way: in one draw, not in all three.
    # The largest networks fall alike in the last: it comes first, and is mostly the only one.
    for seed in (2, 0, 1):
        plan = make_plan(recipe, seed=seed)
        ours = train_recipe(plan).model.get_weights()
        first, plain = fit_plain(plan)
        keras.config.set_floatx("float64")
        try:
            _, exact = fit_plain(plan, first)
        finally:
            keras.config.set_floatx("float32")
        rounding = differ(plain, exact)
        if differ(ours, exact) <= 4 * rounding < 0.05:
            return
    pytest.fail("farther from float64 than float32 rounds, in each of three draws")
