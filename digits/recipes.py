"""A recipe of `params.yaml`: an architecture as a list of Keras layers, and how it is trained."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from digits.params import Params


def _check_single(entry: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    if len(entry) != 1:
        raise ValueError("one name with its arguments, such as `Dropout: {rate: 0.5}`")
    return entry


# {class name: {argument: value}}, in Keras's own words.
Spec = Annotated[dict[str, dict[str, Any]], AfterValidator(_check_single)]


class Recipe(Params):
    """One entry of `recipes`."""

    layers: list[Spec] = Field(min_length=1)
    loss: Literal["categorical_crossentropy", "sparse_categorical_crossentropy"]
    optimizer: Spec
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
