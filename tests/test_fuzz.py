"""Bytes that nobody thought of: every reader gives what was written, or its own error in one line.

Hypothesis draws whole files and damages them; the same examples every time, more of them in the
slow core and many more nightly. Each reader's memory stays proportional to its input.
"""

import gzip
import hashlib
import io
import re
import struct
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from budget import load_within
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from samples import FLATTEN, SOFTMAX, make_recipe, spec

from digits.data import idx
from digits.data.datasets import RawFile
from digits.data.idx import IdxFormatError
from digits.data.raw import GZIP_MAGIC, RawFileError, unpack
from digits.files import ArtifactError, load_array
from digits.model.networks import build_network
from digits.model.saving import write_model

OVERHEAD = 200_000  # bytes that a reader may take besides those of its input and its output

SLOW, NIGHTLY = pytest.mark.slow, pytest.mark.nightly
each_count = pytest.mark.parametrize(
    "count", [30, pytest.param(300, marks=SLOW), pytest.param(10_000, marks=NIGHTLY)]
)


def fuzz(count: int, check: Callable[..., None], *strategies: st.SearchStrategy[Any]) -> None:
    """Check so many examples of the strategies."""
    examples = settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    examples(given(*strategies)(check))()


def read_within(size: int, error: type[Exception], read: Callable[..., Any], *given: Any) -> Any:
    """Return what a reader gives, or None if it refuses in one line, in memory of that order."""
    result, message = None, "no refusal"
    tracemalloc.start()
    try:
        result = read(*given)
    except error as refusal:
        message = str(refusal)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < OVERHEAD + 4 * size
    assert len(message.splitlines()) == 1
    return result


@st.composite
def damaged(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """Draw a whole file, and change, cut out or put in a few bytes at a few places, or none."""
    data = draw(whole)
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(start + 4, len(data))) | st.just(len(data)))
        data = data[:start] + draw(st.binary(max_size=4)) + data[end:]
    return data


def list_arrays(min_dims: int = 1) -> st.SearchStrategy[np.ndarray]:
    """Draw small arrays of the IDX types, of any bits: NaN, infinity, negative zero."""
    types = st.sampled_from([dtype.newbyteorder("=") for dtype in idx.DTYPES.values()])
    shapes = array_shapes(min_dims=min_dims, max_dims=4, min_side=0, max_side=5)
    return arrays(types, shapes)


IDX_HEADERS = st.builds(
    lambda code, sides, body: struct.pack(f">HBB{len(sides)}I", 0, code, len(sides), *sides) + body,
    st.sampled_from([*idx.DTYPES, 0x0A]),
    st.lists(st.integers(0, 4) | st.integers(0, 2**32 - 1), max_size=5),
    st.binary(max_size=40),
)


@each_count
def test_idx(count: int) -> None:
    def check(array: np.ndarray, data: bytes) -> None:
        decoded = idx.decode(idx.encode(array))
        assert (decoded.dtype, decoded.shape) == (array.dtype, array.shape)
        assert decoded.tobytes() == array.tobytes()
        decoded = read_within(len(data), IdxFormatError, idx.decode, data)
        assert decoded is None or idx.encode(decoded) == data

    files = st.binary(max_size=64) | IDX_HEADERS | damaged(list_arrays().map(idx.encode))
    fuzz(count, check, list_arrays(), files)


@each_count
def test_gzip(count: int) -> None:
    contents = st.binary(max_size=100) | st.integers(0, 1_000_000).map(bytes)  # zeros: a bomb
    files = st.binary(max_size=40) | damaged(contents.map(lambda raw: gzip.compress(raw, mtime=0)))

    def check(packed: bytes, size: int) -> None:
        facts = RawFile(
            name="images", raw_size=size, gzip_sha256=hashlib.sha256(packed).hexdigest()
        )
        raw = read_within(len(packed) + size, RawFileError, unpack, facts, packed)
        if raw is not None:
            assert raw == (gzip.decompress(packed) if packed[:2] == GZIP_MAGIC else packed)
            assert len(raw) == size

    fuzz(count, check, files, st.integers(0, 120))


@each_count
def test_npy(count: int, tmp_path: Path) -> None:
    path = tmp_path / "array.npy"

    def check(array: np.ndarray, damages: st.DataObject) -> None:
        np.save(path, array)
        path.write_bytes(damages.draw(damaged(st.just(path.read_bytes()))))
        expected = (str(array.dtype), array.shape)
        loaded = read_within(path.stat().st_size, ArtifactError, load_array, path, *expected)
        assert loaded is None or (loaded.dtype, loaded.shape) == (array.dtype, array.shape)

    fuzz(count, check, list_arrays(min_dims=0), st.data())


def damage_model(whole: bytes, generator: np.random.Generator) -> bytes:
    """Change bytes of one member, or of the archive; a digit of a description becomes another."""
    name = generator.choice(["", "config.json", "model.weights.h5"])
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        members = {name: bytearray(archive.read(name)) for name in archive.namelist()}
    data = members.get(name, bytearray(whole))
    for _ in range(generator.integers(1, 4)):
        if name == "config.json" and generator.random() < 0.8:
            place = generator.choice([found.start() for found in re.finditer(rb"\d", data)])
            data[place : place + 1] = b"%d" % generator.integers(10 ** generator.integers(1, 12))
        else:
            data[generator.integers(len(data))] = generator.integers(256)
    if not name:
        return bytes(data)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:  # with checksums that fit
        for member, content in members.items():
            archive.writestr(member, bytes(content))
    return file.getvalue()


@pytest.mark.parametrize(
    "count", [pytest.param(100, marks=SLOW), pytest.param(1_000, marks=NIGHTLY)]
)
@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_model_within_memory(count: int, tmp_path: Path) -> None:
    """A damaged model is loaded or refused in one line, and takes no more memory than it holds."""
    whole = tmp_path / "whole.keras"
    convolution = spec("Conv2D", filters=4, kernel_size=3)
    write_model(whole, build_network("small", make_recipe(convolution, FLATTEN, SOFTMAX)))
    generator, paths = np.random.default_rng(0), []
    for number in range(count):
        paths.append(tmp_path / f"{number}.keras")
        paths[-1].write_bytes(damage_model(whole.read_bytes(), generator))
    answers = load_within(whole, paths, seconds=300)
    for path, answer in zip(paths, answers, strict=True):
        assert answer == "loaded" or answer.startswith(f"{path}: "), answer
        assert len(answer.splitlines()) == 1
    assert 0.1 < answers.count("loaded") / count < 0.9  # neither all nor none
