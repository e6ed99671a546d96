"""A recipe of `params.yaml`: an architecture as a list of Keras layers, and how it is trained."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from digits.files.params import Params


def _check_single(entry: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    if len(entry) != 1:
        raise ValueError("one name with its arguments, such as `Dropout: {rate: 0.5}`")
    return entry


# {class name: {argument: value}}, in Keras's own words.
Spec = Annotated[dict[str, dict[str, Any]], AfterValidator(_check_single)]

Precision = Literal["float32", "bfloat16"]


class Augmentation(Params):
    """How far an image may be moved each time it is trained on, at most, either way."""

    shift: float = Field(ge=0, le=14)  # pixels
    angle: float = Field(ge=0, le=180)  # degrees
    scale: float = Field(ge=0, lt=1)  # fraction, of each axis by itself
    shear: float = Field(ge=0, le=1)  # columns a row

    @property
    def is_still(self) -> bool:
        return not any((self.shift, self.angle, self.scale, self.shear))


class Recipe(Params):
    """One entry of `recipes`."""

    layers: list[Spec] = Field(min_length=1)
    loss: Literal["categorical_crossentropy", "sparse_categorical_crossentropy"]
    label_smoothing: float = Field(ge=0, lt=1)
    optimizer: Spec
    # One cycle: the learning rate rises to the optimizer's over the warm-up, a share of the steps,
    # then falls to zero, both linearly (Smith and Topin 2018, arXiv 1708.07120).
    schedule: Literal["constant", "one_cycle"]
    warmup_fraction: float = Field(ge=0, lt=1)
    augmentation: Augmentation
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    member_count: int = Field(ge=1, le=100)  # networks trained, whose probabilities are averaged
    # Pixels; unless 0, each image is also judged shifted by so much to four sides, and averaged.
    prediction_shift: int = Field(ge=0, le=14)
    # Train all members but the first on validation, too; there the first one stands for them all:
    # in curves, scores and temperature.
    train_on_validation: bool
    # Divide the logits by the temperature at which validation has the least loss.
    temperature_scaling: bool

    @field_validator("label_smoothing")
    @classmethod
    def _check_smoothing(cls, smoothing: float, others: ValidationInfo) -> float:
        if smoothing and others.data.get("loss") == "sparse_categorical_crossentropy":
            raise ValueError("0 with the sparse loss: smoothing needs one-hot labels")
        return smoothing

    @field_validator("train_on_validation")
    @classmethod
    def _check_members(cls, chosen: bool, others: ValidationInfo) -> bool:  # noqa: FBT001 (pydantic's signature)
        if chosen and others.data.get("member_count") == 1:
            raise ValueError("false with one member: it is judged on validation")
        return chosen

    @field_validator("temperature_scaling")
    @classmethod
    def _check_last_layer(cls, scaling: bool, others: ValidationInfo) -> bool:  # noqa: FBT001 (pydantic's signature)
        layers = others.data.get("layers")
        if scaling and layers and "Dense" not in layers[-1]:
            raise ValueError("false where the last layer is not Dense: it has no logits to divide")
        return scaling
