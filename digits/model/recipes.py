"""The schema of `recipes/NAME.yaml`: a network as named Keras layers, and its training."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, with_config
from typing_extensions import TypedDict  # pydantic asks for this one before Python 3.12

from digits.config import PARAMS_PATH, Section, load_named

RECIPES_DIR = Path("recipes")
ONE = 1  # label of ones
CLASSES = "classes"  # as `units` or `filters`: the dataset's number of classes

Name = Annotated[str, Field(pattern=r"^\w+$")]  # no `.`, which joins the names of branch and layer


@with_config(ConfigDict(extra="allow"))
class Spec(TypedDict):
    """A Keras object: its class as `type`, its arguments beside it, objects among them likewise."""

    type: str


class Layer(Spec):
    """A layer; one that joins branches lists them, and all start at the same tensor."""

    branches: NotRequired[dict[Name, "Layers"]]


@with_config(ConfigDict(extra="allow", strict=True, allow_inf_nan=False))
class Callback(TypedDict):
    """A callback that can be resumed from a checkpoint.

    Keras would notice a wrong type of these arguments only hours into a training.
    """

    type: Literal["EarlyStopping", "ReduceLROnPlateau"]
    monitor: NotRequired[Literal["val_loss", "val_accuracy", "val_cross_entropy"]]
    mode: NotRequired[Literal["auto", "min", "max"]]
    patience: NotRequired[int]
    cooldown: NotRequired[int]
    start_from_epoch: NotRequired[int]
    min_delta: NotRequired[float]
    min_lr: NotRequired[float]
    baseline: NotRequired[float | None]


Layers = dict[Name, Layer]


class Effect(Section):
    """An effect on a random share of the images, its strength drawn uniformly from 0."""

    probability: float = Field(ge=0, le=1)
    strength: float = Field(gt=0)  # at most; augmentation.py says in which unit


class Augmentation(Section):
    """Random changes of a training image: it is moved, then changed as by pen and camera."""

    # Probability that a one has the upstroke of European handwriting.
    upstroke: float = Field(default=0.0, ge=0, le=1)
    # Largest movement, in either direction.
    shift: float = Field(default=0.0, ge=0, le=14)  # pixels
    angle: float = Field(default=0.0, ge=0, le=180)  # degrees
    scale: float = Field(default=0.0, ge=0, lt=1)  # fraction, of each axis by itself
    shear: float = Field(default=0.0, ge=0, le=1)  # columns a row
    # Effects of pen and camera, applied in this order.
    thickness: Effect | None = None
    occlusion: Effect | None = None
    blur: Effect | None = None
    contrast: Effect | None = None
    brightness: Effect | None = None
    noise: Effect | None = None
    polarity: float = Field(default=0.0, ge=0, le=1)  # probability of white paper and black ink
    # In this last share of the training, the effects' probabilities fall linearly to 0.
    fade_fraction: float = Field(default=0.0, ge=0, le=1)

    @property
    def moves(self) -> bool:
        return any((self.shift, self.angle, self.scale, self.shear))


class Recipe(Section):
    """A whole file of `recipes/`; what has a default is off unless the file says otherwise."""

    layers: Layers = Field(min_length=1)  # in the order of the file
    loss: Literal["categorical_crossentropy", "sparse_categorical_crossentropy"]
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    optimizer: Spec  # its `learning_rate` may be a schedule, lengths as shares of the training
    # One cycle: the learning rate rises to the optimizer's over the warm-up, a share of the steps,
    # then falls to zero, both linearly (Smith and Topin 2018, arXiv 1708.07120).
    schedule: Literal["constant", "one_cycle"] = "constant"
    warmup_fraction: float = Field(default=0.0, ge=0, lt=1)
    callbacks: dict[Name, Callback] = Field(default={})
    augmentation: Augmentation = Augmentation()
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    ensemble_size: int = Field(default=1, ge=1, le=100)  # networks, their probabilities averaged
    # Pixels; unless 0, predictions for the image and four shifted copies are averaged.
    test_time_shift: int = Field(default=0, ge=0, le=14)
    # Divide the logits by the temperature at which validation has the least loss.
    temperature_scaling: bool = False
    # Of all layers but the last one; auto: bfloat16 where the hardware has it.
    precision: Literal["auto", "float32", "bfloat16"] = "auto"

    def has_callback(self, kind: str) -> bool:
        return any(callback["type"] == kind for callback in self.callbacks.values())

    def suit_classes(self, names: Sequence[str]) -> "Recipe":
        """Return the recipe for a dataset: its number of classes, upstrokes only if it has ones."""

        def replace(values: dict[str, Any]) -> dict[str, Any]:
            told = {key for key in ("units", "filters") if values.get(key) == CLASSES}
            return values | dict.fromkeys(told, len(names))

        layers = json.loads(json.dumps(self.layers, default=str), object_hook=replace)
        augmentation = self.augmentation
        if "1" not in names[ONE : ONE + 1]:
            augmentation = augmentation.model_copy(update={"upstroke": 0.0})
        return self.model_copy(update={"layers": layers, "augmentation": augmentation})

    @field_validator("temperature_scaling")
    @classmethod
    def _check_logits(cls, value: Any, info: ValidationInfo) -> Any:
        layers = [*info.data.get("layers", {}).values()]
        if value and layers and layers[-1]["type"] != "Dense":
            raise ValueError("false where the last layer is not Dense: no logits to divide")
        return value


def load_recipe(name: str, where: str = f"{PARAMS_PATH}: train.recipe") -> Recipe:
    """Load a recipe; `where` is the key that names it.

    Raises:
        ConfigError: there is no such file, or it does not describe a recipe.
    """
    return load_named(RECIPES_DIR, name, Recipe, where)
