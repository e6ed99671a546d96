"""What a recipe of `params.yaml` may say: a network as Keras layers, and how it is trained."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from digits.config import Section, check_plain, walk_values

CLASSES = "classes"  # as `units` or `filters`: as many as the dataset has
CALLBACKS = ("EarlyStopping", "ReduceLROnPlateau")
WATCHED = ("val_loss", "val_accuracy", "val_cross_entropy")
TEXTS = ("monitor", "mode")  # of their arguments; the others are numbers and switches


def _check_spec(spec: dict[Any, Any]) -> dict[Any, Any]:
    """Check the form of a spec and of those that its arguments hold."""
    if len(spec) != 1 or not all(isinstance(arguments, dict) for arguments in spec.values()):
        raise ValueError("one name with its arguments, such as `Dropout: {rate: 0.5}`")
    ((name, arguments),) = spec.items()
    for key, value in arguments.items():
        lists = isinstance(value, list) and [isinstance(branch, list) for branch in value]
        if key == "branches" and not (lists and all(lists)):
            raise ValueError(f"{name}.branches as a list of lists of layers")
        for found in walk_values(value):
            if isinstance(found, dict):
                _check_spec(found)
            elif key != "name":
                check_plain(f"{name}.{key}", found)
    return spec


# {class name: {argument: value}}, in Keras's own words. A value that is an object, such as a
# regularizer or the layer in a wrapper, is written likewise.
Spec = Annotated[dict[str, dict[str, Any]], AfterValidator(_check_spec)]

Precision = Literal["float32", "bfloat16"]
Choice = Literal["auto", "float32", "bfloat16"]  # auto: bfloat16 where the hardware has it


class Effect(Section):
    """What befalls a share of the images, each with a strength of its own, evenly from 0."""

    chance: float = Field(ge=0, le=1)
    strength: float = Field(gt=0)  # at most; augmentation.py says of what


class Augmentation(Section):
    """What may befall an image each time it is trained on: it is moved, then seen by a camera."""

    # How far it is moved at most, either way.
    shift: float = Field(default=0.0, ge=0, le=14)  # pixels
    angle: float = Field(default=0.0, ge=0, le=180)  # degrees
    scale: float = Field(default=0.0, ge=0, lt=1)  # fraction, of each axis by itself
    shear: float = Field(default=0.0, ge=0, le=1)  # columns a row
    # What a camera and a pen do, in this order.
    thickness: Effect | None = None
    occlusion: Effect | None = None
    blur: Effect | None = None
    contrast: Effect | None = None
    brightness: Effect | None = None
    noise: Effect | None = None
    polarity: float = Field(default=0.0, ge=0, le=1)  # chance of white paper and black ink
    # Over the last part of the training, a share of it, their chances fall evenly to 0.
    fade_fraction: float = Field(default=0.0, ge=0, le=1)

    @property
    def moves(self) -> bool:
        return any((self.shift, self.angle, self.scale, self.shear))


class Recipe(Section):
    """One entry of `recipes`; what has a default is off unless the entry says otherwise."""

    # A layer that joins others has them as `branches`, a list of lists of layers.
    layers: list[Spec] = Field(min_length=1)
    loss: Literal["categorical_crossentropy", "sparse_categorical_crossentropy"]
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    optimizer: Spec  # its `learning_rate` may be a schedule, lengths as shares of the training
    # One cycle: the learning rate rises to the optimizer's over the warm-up, a share of the steps,
    # then falls to zero, both linearly (Smith and Topin 2018, arXiv 1708.07120).
    schedule: Literal["constant", "one_cycle"] = "constant"
    warmup_fraction: float = Field(default=0.0, ge=0, lt=1)
    callbacks: list[Spec] = Field(default=[])
    augmentation: Augmentation = Augmentation()
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    ensemble_size: int = Field(default=1, ge=1, le=100)  # networks, their probabilities averaged
    # Pixels; unless 0, each image is also judged shifted by so much to four sides, and averaged.
    test_time_shift: int = Field(default=0, ge=0, le=14)
    # Divide the logits by the temperature at which validation has the least loss.
    temperature_scaling: bool = False
    precision: Choice = "auto"  # of all layers but the last one

    @property
    def stops_early(self) -> bool:
        """Tell whether the last epoch is chosen by how the network does on validation."""
        return any("EarlyStopping" in spec for spec in self.callbacks)

    def suit_classes(self, count: int) -> "Recipe":
        """Return the recipe with a number where its layers say `classes`."""
        return self.model_copy(update={"layers": _replace_classes(self.layers, count)})

    @field_validator("label_smoothing", "schedule", "callbacks", "temperature_scaling")
    @classmethod
    def _check_together(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse what does not go with the keys above it."""
        others = info.data
        rate = _get_rate(others["optimizer"]) if "optimizer" in others else None
        scheduled = others.get("schedule") == "one_cycle" or isinstance(rate, dict)
        match info.field_name:
            case "label_smoothing" if value and others.get("loss", "").startswith("sparse"):
                raise ValueError("0 with the sparse loss: smoothing needs one-hot labels")
            case "schedule" if value == "one_cycle" and scheduled:
                raise ValueError("constant where the learning rate is a schedule itself")
            case "callbacks":
                for ((name, arguments),) in map(dict.items, value):
                    if name not in CALLBACKS or arguments.get("monitor", "val_loss") not in WATCHED:
                        raise ValueError(f"some of {CALLBACKS} with a monitor of {WATCHED}")
                    for key, argument in arguments.items():
                        if key not in TEXTS and isinstance(argument, str | list | dict):
                            raise ValueError(f"{name}.{key} as a number")
                    if name == "ReduceLROnPlateau" and scheduled:
                        raise ValueError(f"no {name} where a schedule sets the learning rate")
            case "temperature_scaling" if (
                value and "Dense" not in others.get("layers", ["Dense"])[-1]
            ):
                raise ValueError("false where the last layer is not Dense: no logits to divide")
        return value


class Overrides(Section):
    """What `train` may say in place of the selected recipe; None is the recipe's own."""

    epochs: int | None = Field(default=None, ge=1)
    batch_size: int | None = Field(default=None, ge=1)
    learning_rate: float | None = Field(default=None, gt=0)
    precision: Choice | None = None

    def apply(self, recipe: Recipe) -> Recipe:
        """Return the recipe that is trained."""
        changes: dict[str, Any] = self.model_dump(include={"epochs", "batch_size", "precision"})
        if self.learning_rate is not None:
            changes["optimizer"] = _set_rate(recipe.optimizer, self.learning_rate)
        return recipe.model_copy(update={key: it for key, it in changes.items() if it is not None})


def _replace_classes(value: Any, count: int) -> Any:
    if isinstance(value, list):
        return [_replace_classes(entry, count) for entry in value]
    if not isinstance(value, dict):
        return value
    return {
        key: count
        if key in ("units", "filters") and entry == CLASSES
        else _replace_classes(entry, count)
        for key, entry in value.items()
    }


def _get_rate(optimizer: Spec) -> Any:
    """Return the learning rate of an optimizer, or of the one that it wraps."""
    ((_, arguments),) = optimizer.items()
    inner = arguments.get("inner_optimizer")
    return _get_rate(inner) if isinstance(inner, dict) else arguments.get("learning_rate")


def _set_rate(optimizer: Spec, rate: float) -> Spec:
    ((name, arguments),) = optimizer.items()
    inner = arguments.get("inner_optimizer")
    if isinstance(inner, dict):
        return {name: {**arguments, "inner_optimizer": _set_rate(inner, rate)}}
    return {name: {**arguments, "learning_rate": rate}}
