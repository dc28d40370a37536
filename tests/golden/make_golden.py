#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/golden/scipy.txt: cases of convolve and correlate whose outputs SciPy and NumPy computed.

Run it from the project's root where SciPy is installed; the seed is fixed, so it writes the same cases every time. A case
is four lines: its members, then the values of input, kernel and output (complex ones as pairs, real first). A kernel that
is named has its parameters among the members instead of values. tests/core/golden_test.c reads it.

What SciPy does not have is put together from what it has: a boundary is numpy.pad before `valid`, a dilation is zeros
between the taps, a stride is a slice of the result, axes are a loop over the slices.
"""
import itertools

import numpy as np
from scipy import ndimage, signal

RANDOM = np.random.default_rng(20240229)
PAD_MODES = {"constant": "constant", "symmetric": "symmetric", "reflect": "reflect", "edge": "edge"}
NDIMAGE_MODES = {"constant": "constant", "wrap": "wrap", "symmetric": "reflect", "reflect": "mirror", "edge": "nearest"}
DTYPES = ["float64", "float32", "int64", "complex128", "complex64"]
lines = []


def values(shape, dtype):
    """Three decimals for floats: short in the file, yet every product rounds."""
    if dtype == "int64":
        return RANDOM.integers(-(2**20), 2**20, shape)
    if dtype.startswith("complex"):
        return values(shape, "float64") + 1j * values(shape, "float64")
    found = np.round(RANDOM.normal(0, 3, shape), 3)
    return found.astype("float32").astype("float64") if dtype == "float32" else found


def as_single(array):
    """What the numbers of the file are after conversion to the case's dtype, in double."""
    if np.iscomplexobj(array):
        return array.astype("complex64").astype("complex128")
    return array.astype("float32").astype("float64")


def numbers(array):
    array = np.asarray(array)
    if np.iscomplexobj(array):
        array = np.stack([array.real, array.imag], -1)
    return " ".join(repr(x) for x in array.ravel().tolist())


def short(array):
    """The three decimals again, where the array holds their nearest float32."""
    return np.round(array, 3) if array.dtype.kind in "fc" else array


def ints(items):
    return ",".join(str(item) for item in items)


def write(group, members, x, k, y):
    text = " ".join(f"{name}={value}" for name, value in members.items() if value is not None)
    kernel = "" if k is None else numbers(short(k))
    lines.append(f"case={group}-{len(lines)} {text} output={ints(y.shape)}\n{numbers(short(x))}\n{kernel}\n{numbers(y)}\n")


def pad(x, widths, boundary, fill):
    for axis, (before, after) in enumerate(widths):
        width = [(0, 0)] * x.ndim
        width[axis] = (before, after)
        if boundary == "wrap":
            x = np.take(x, range(-before, x.shape[axis] + after), axis, mode="wrap")
        elif boundary == "constant":
            x = np.pad(x, width, "constant", constant_values=fill)
        else:
            x = np.pad(x, width, PAD_MODES[boundary])
    return x


def dilate(k, dilation):
    wide = np.zeros([(n - 1) * d + 1 for n, d in zip(k.shape, dilation)], k.dtype)
    wide[tuple(slice(None, None, d) for d in dilation)] = k
    return wide


def one_slice(op, x, k, mode, padding, boundary, fill):
    function = {"convolve": signal.convolve, "correlate": signal.correlate}[op]
    if padding is None and (boundary == "constant" and fill == 0 or mode == "valid"):
        return function(x, k, mode, method="direct")
    if padding is not None:
        widths = padding
    elif mode == "full":
        widths = [(n - 1, n - 1) for n in k.shape]
    else:
        widths = [(n // 2, (n - 1) // 2) for n in k.shape]
    return function(pad(x, widths, boundary, fill), k, "valid", method="direct")


def reference(op, x, k, mode, padding, boundary, fill, stride, dilation, axes):
    """axes in increasing order, of the tensor of higher rank; the lists have one member for each."""
    rank = max(x.ndim, k.ndim)
    others = [axis for axis in range(rank) if axis not in axes]
    x = x.reshape([1] * (rank - x.ndim) + list(x.shape)) if x.ndim < rank else np.moveaxis(x, others, range(len(others)))
    k = k.reshape([1] * (rank - k.ndim) + list(k.shape)) if k.ndim < rank else np.moveaxis(k, others, range(len(others)))
    outer = np.broadcast_shapes(x.shape[: len(others)], k.shape[: len(others)])
    slices = []
    for index in itertools.product(*map(range, outer)):
        place = [tuple(0 if n == 1 else i for i, n in zip(index, tensor.shape)) for tensor in (x, k)]
        y = one_slice(op, x[place[0]], dilate(k[place[1]], dilation), mode, padding, boundary, fill)
        slices.append(y[tuple(slice(None, None, s) for s in stride)])
    y = np.array(slices).reshape(outer + slices[0].shape)
    return np.moveaxis(y, range(len(others)), others)


def case(group, op, dtype, xs, ks, mode="full", padding=None, boundary="constant", fill=0, stride=None, dilation=None,
         axes=None):
    rank = max(len(xs), len(ks))
    convolved = sorted(axis % rank for axis in axes) if axes is not None else list(range(rank))
    x, k = values(xs, dtype), values(ks, dtype)
    single = dtype in ("float32", "complex64")
    exact_x, exact_k = (as_single(x), as_single(k)) if single else (x, k)
    y = reference(op, exact_x, exact_k, mode, padding, boundary, fill, stride or [1] * len(convolved),
                  dilation or [1] * len(convolved), convolved)
    members = {
        "op": op, "dtype": dtype, "mode": None if padding else mode, "boundary": boundary,
        "fill": f"{complex(fill).real:.17g},{complex(fill).imag:.17g}" if fill else None,
        "stride": ints(stride) if stride else None, "dilation": ints(dilation) if dilation else None,
        "padding": ints(f"{before}:{after}" for before, after in padding) if padding else None,
        "axes": ints(axes) if axes is not None else None, "input": ints(xs), "kernel": ints(ks),
    }
    write(group, members, x, k, y)


def small(count, low, high):
    return [int(n) for n in RANDOM.integers(low, high + 1, count)]


def modes_and_dtypes():
    for op, dtype, mode, rank in itertools.product(["convolve", "correlate"], DTYPES, ["full", "same", "valid"], [1, 2, 3]):
        high = [0, 17, 6, 4][rank]
        case("plain", op, dtype, small(rank, 4, high), small(rank, 1, 4), mode)
    for op, dtype in itertools.product(["convolve", "correlate"], DTYPES):
        case("numbers", op, dtype, [], [])
        case("changed-places", op, dtype, small(1, 1, 4), small(1, 5, 9), "valid")
        case("changed-places", op, dtype, small(2, 1, 3), small(2, 3, 5), "valid", stride=small(2, 1, 2))
        case("changed-places", op, dtype, [3], [4], "valid", dilation=[3])
        case("changed-places", op, dtype, [4, 3], [3, 2], "valid", dilation=[2, 3], stride=[1, 1])
        case("changed-places-slices", op, dtype, [2, 3], [2, 6], "valid", axes=[1])
        case("changed-places-no-boundary", op, dtype, [2, 3], [3, 3], "valid", boundary="edge", dilation=[2, 1])
    for op, n, m in itertools.product(["convolve", "correlate"], [1, 2, 5], [1, 2, 3, 4, 6, 7]):
        case("centre", op, "int64", [n], [m], "same")
    for op, ks in itertools.product(["convolve", "correlate"], [[2, 3], [4, 2], [1, 4]]):
        case("centre", op, "float64", [5, 4], ks, "same")


def boundaries():
    for op, boundary, rank in itertools.product(["convolve", "correlate"], NDIMAGE_MODES, [1, 2, 3]):
        for dtype in ["float64", RANDOM.choice(DTYPES)]:
            fill = 3 if boundary == "constant" else 0
            high = [0, 9, 5, 3][rank]
            case("boundary", op, dtype, small(rank, 1, high), small(rank, 1, 4), "full", None, boundary, fill)
            case("boundary", op, dtype, small(rank, 1, high), small(rank, 1, 4), "same", None, boundary, fill)
            padding = [tuple(small(2, 3, 7 if rank < 3 else 4)) for _ in range(rank)]
            case("padding", op, dtype, small(rank, 1, high), small(rank, 1, 4), padding=padding, boundary=boundary,
                 fill=fill, stride=small(rank, 1, 3))
    case("fill", "correlate", "complex128", [4, 3], [3, 2], "full", fill=1 - 2j)
    case("fill", "convolve", "complex64", [6], [3], "same", fill=0.5 + 1j)
    names = {"constant": "fill", "wrap": "wrap", "symmetric": "symm"}
    for (op, function), (boundary, name), mode in itertools.product(
            [("convolve", signal.convolve2d), ("correlate", signal.correlate2d)], names.items(), ["full", "same"]):
        # correlate2d has another centre under `same`: take ours out of its `full`.
        x, k = values(small(2, 4, 7), "float64"), values(small(2, 1, 4), "float64")
        y = function(x, k, "full", name, 2 if boundary == "constant" else 0)
        if mode == "same":
            y = y[tuple(slice((m - 1) // 2, (m - 1) // 2 + n) for n, m in zip(x.shape, k.shape))]
        write("convolve2d", {"op": op, "dtype": "float64", "mode": mode, "boundary": boundary,
                             "fill": "2,0" if boundary == "constant" else None, "input": ints(x.shape),
                             "kernel": ints(k.shape)}, x, k, y)


def strides_dilations_axes():
    for op, dtype, mode in itertools.product(["convolve", "correlate"], DTYPES, ["full", "same", "valid"]):
        case("stride", op, dtype, small(2, 5, 8), small(2, 1, 3), mode, stride=small(2, 1, 4))
        case("dilation", op, dtype, small(2, 6, 8), small(2, 1, 3), mode, dilation=[1, RANDOM.integers(2, 4)])
        case("both", op, dtype, small(1, 12, 20), small(1, 2, 4), mode, stride=small(1, 2, 4), dilation=small(1, 2, 4))
        case("axes", op, dtype, [3] + small(1, 5, 8), [3] + small(1, 1, 4), mode, axes=[-1])
        case("slices", op, dtype, [2, 3] + small(1, 5, 8), small(1, 1, 4), mode, axes=[2])
    for op, dtype in itertools.product(["convolve", "correlate"], ["float64", "int64", "complex64"]):
        case("slices", op, dtype, [4, 3, 5], [2, 3], "same", axes=[2, 0], stride=[2, 1])
        case("slices-of-kernel", op, dtype, [5, 5], [3, 3, 3], "full", axes=[1, 2])
        case("slices-of-kernel", op, dtype, [5], [3, 2, 2], "same", axes=[0], boundary="reflect")
        case("broadcast", op, dtype, [1, 6, 2], [3, 2, 1], "same", axes=[1], boundary="wrap")
        case("broadcast", op, dtype, [2, 1, 5], [1, 3, 2], "full", axes=[2], dilation=[2])
        case("first-axis", op, dtype, [6, 3], [3], "valid", axes=[0])
    for _ in range(12):
        xs, ks = small(3, 2, 5), small(3, 1, 4)
        other = int(RANDOM.integers(0, 3))
        ks[other] = xs[other] if RANDOM.integers(0, 2) else 1
        axes = [axis for axis in range(3) if axis != other]
        x, k = values(xs, "float64"), values(ks, "float64")
        write("fftconvolve", {"op": "convolve", "dtype": "float64", "mode": "full", "axes": ints(axes),
                              "input": ints(xs), "kernel": ints(ks)}, x, k, signal.fftconvolve(x, k, "full", axes))


def named_kernels():
    filters = {
        "gaussian,1.2": lambda x, mode: ndimage.gaussian_filter(x, 1.2, mode=mode),
        "gaussian,0.7": lambda x, mode: ndimage.gaussian_filter(x, 0.7, mode=mode),
        "laplacian_of_gaussian,0.8": lambda x, mode: ndimage.gaussian_laplace(x, 0.8, mode=mode),
        "box,5": lambda x, mode: ndimage.uniform_filter(x, 5, mode=mode),
        "laplacian": lambda x, mode: ndimage.laplace(x, mode=mode),
    }
    plane = {
        "sobel_x": lambda x, mode: ndimage.sobel(x, 1, mode=mode),
        "sobel_y": lambda x, mode: ndimage.sobel(x, 0, mode=mode),
        "prewitt_x": lambda x, mode: ndimage.prewitt(x, 1, mode=mode),
        "prewitt_y": lambda x, mode: ndimage.prewitt(x, 0, mode=mode),
        "vertical_edge": lambda x, mode: -ndimage.prewitt(x, 1, mode=mode),
        "horizontal_edge": lambda x, mode: -ndimage.prewitt(x, 0, mode=mode),
    }
    chosen = [(name, f, rank) for name, f in filters.items() for rank in (1, 2, 3)] + [(n, f, 2) for n, f in plane.items()]
    for number, (name, function, rank) in enumerate(chosen):
        boundary = list(NDIMAGE_MODES)[number % len(NDIMAGE_MODES)]
        x = values(small(rank, 3, [0, 12, 6, 4][rank]), "float64")
        write("named", {"op": "correlate", "dtype": "float64", "mode": "same", "boundary": boundary, "named": name,
                        "input": ints(x.shape)}, x, None, function(x, NDIMAGE_MODES[boundary]))


modes_and_dtypes()
boundaries()
strides_dilations_axes()
named_kernels()
with open("tests/golden/scipy.txt", "w", encoding="ascii") as file:
    file.write("".join(lines))
