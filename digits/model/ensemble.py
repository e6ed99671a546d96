"""Several networks, and several views of an image, joined into one model."""

from collections.abc import Sequence

from digits.model.backend import keras
from digits.model.networks import INPUT_SHAPE


def join_members(name: str, members: Sequence[keras.Model], shift: int) -> keras.Model:
    """Join networks into one model that averages their probabilities, one network into itself."""
    if len(members) == 1 and shift == 0:
        return members[0]
    parts = collect_predictions(members, shift)
    return keras.Model(parts.inputs, keras.layers.Average()(parts.outputs), name=name)


def collect_predictions(members: Sequence[keras.Model], shift: int) -> keras.Model:
    """Join networks into one model that gives each one's probabilities by itself.

    Unless `shift` is 0, each of them also judges the image shifted by so many pixels to each of the
    four sides.
    """
    image = keras.Input(INPUT_SHAPE)
    views = [image]
    if shift:
        padded = keras.layers.ZeroPadding2D(shift)(image)
        still, ends = (shift, shift), ((0, 2 * shift), (2 * shift, 0))
        cuts = [*((end, still) for end in ends), *((still, end) for end in ends)]
        views += [keras.layers.Cropping2D(cut)(padded) for cut in cuts]
    return keras.Model(image, [member(view) for member in members for view in views])
