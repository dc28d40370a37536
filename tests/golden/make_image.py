#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/golden/image.txt: pictures that OpenCV filtered, for tests/http/image_test.c.

Run it from the project's root where OpenCV is installed; the seed is fixed, so it writes the same cases every time. A case is four
lines: width, height, channels, bits and the query; the samples (RGB order); OpenCV's results in float64; and its results in the
picture's own type, where it computes these exactly and rounds them itself, else "-". Alpha has no results.
"""
import cv2
import numpy as np

RANDOM = np.random.default_rng(20261201)
BORDERS = {"constant": cv2.BORDER_CONSTANT, "symmetric": cv2.BORDER_REFLECT, "reflect": cv2.BORDER_REFLECT_101,
           "edge": cv2.BORDER_REPLICATE}
lines = []


def picture(width, height, channels, bits):
    found = RANDOM.integers(0, 2**bits, (height, width, channels))
    found[0, 0, 0], found[-1, -1, 0] = 0, 2**bits - 1
    return found.astype(np.uint8 if bits == 8 else np.uint16)


def each_channel(image, function):
    """Colours only, each for itself."""
    colours = image[..., : 1 if image.shape[2] == 1 else 3]
    return np.stack([function(np.ascontiguousarray(colours[..., c])) for c in range(colours.shape[2])], axis=2)


def case(image, query, function, rounded=None):
    """`function` gives float64; `rounded` gives the picture's type."""
    height, width, channels = image.shape
    bits = 8 * image.itemsize
    values = each_channel(image, function)
    assert values.dtype == np.float64
    lines.append(f"{width} {height} {channels} {bits} {query}")
    lines.append(" ".join(str(v) for v in image.ravel()))
    lines.append(" ".join(repr(float(v)) for v in values.ravel()))
    if rounded is None:
        lines.append("-")
        return
    own = each_channel(image, rounded)
    assert own.dtype == image.dtype
    lines.append(" ".join(str(v) for v in own.ravel()))


def filtered(kernel, border=cv2.BORDER_REFLECT_101, depth=cv2.CV_64F, delta=0.0):
    taps = np.array(kernel, np.float64)
    return lambda x: cv2.filter2D(x, depth, taps, delta=delta, borderType=border)


def wrapped(kernel):
    """OpenCV's filters do not wrap, its borders do."""
    taps = np.array(kernel, np.float64)
    reach = max(taps.shape)

    def function(x):
        wide = cv2.copyMakeBorder(x, reach, reach, reach, reach, cv2.BORDER_WRAP)
        return cv2.filter2D(wide, cv2.CV_64F, taps)[reach:-reach, reach:-reach]

    return function


def text(kernel):
    return str(kernel).replace(" ", "")


SHARPEN = [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]
LOPSIDED = [[1, 2, 3, 4], [0, -1, 2, 0], [5, 0, 0, -3]]
EVEN = [[1, 2], [3, 4]]
HALVES = [[0.5]]

for bits in (8, 16):
    for channels in (1, 3, 4):
        image = picture(7, 6, channels, bits)
        case(image, "kernel=sharpen", filtered(SHARPEN), filtered(SHARPEN, depth=-1))
        case(image, "kernel=sobel_x&absolute=true", lambda x: np.abs(cv2.Sobel(x, cv2.CV_64F, 1, 0)))
        case(image, "kernel=sobel", lambda x: cv2.magnitude(cv2.Sobel(x, cv2.CV_64F, 1, 0), cv2.Sobel(x, cv2.CV_64F, 0, 1)))
        # Halves: OpenCV rounds them to the even neighbour.
        case(image, f"kernel={text(HALVES)}", filtered(HALVES), filtered(HALVES, depth=-1))

image = picture(9, 5, 1, 8)
for name, border in BORDERS.items():
    for kernel in (LOPSIDED, EVEN):
        case(image, f"kernel={text(kernel)}&boundary={name}", filtered(kernel, border), filtered(kernel, border, depth=-1))
    case(image, f"kernel=gaussian&sigma=1.1&size=5&boundary={name}",
         lambda x, border=border: cv2.GaussianBlur(x.astype(np.float64), (5, 5), 1.1, borderType=border))
for kernel in (LOPSIDED, EVEN):
    case(image, f"kernel={text(kernel)}&boundary=wrap", wrapped(kernel))
case(image, "kernel=laplacian", lambda x: cv2.Laplacian(x, cv2.CV_64F, ksize=1), lambda x: cv2.Laplacian(x, -1, ksize=1))
case(image, "kernel=box&size=5", lambda x: cv2.blur(x.astype(np.float64), (5, 5)))
case(image, "kernel=box", lambda x: cv2.blur(x.astype(np.float64), (3, 3)))
case(image, "kernel=scharr", lambda x: cv2.magnitude(cv2.Scharr(x, cv2.CV_64F, 1, 0), cv2.Scharr(x, cv2.CV_64F, 0, 1)))
case(image, "kernel=prewitt_y&scale=0.25&offset=128",
     lambda x: cv2.filter2D(x, cv2.CV_64F, np.array([[-1, -1, -1], [0, 0, 0], [1, 1, 1]]) / 4.0, delta=128))
case(image, "kernel=gaussian&sigma=2", lambda x: cv2.GaussianBlur(x.astype(np.float64), (17, 17), 2))
case(image, "kernel=[[1]]&absolute=true&scale=-1&offset=255", lambda x: 255 - x.astype(np.float64), lambda x: 255 - x)
case(image, "kernel=sobel_y&absolute=true&scale=0.5&offset=3",
     lambda x: np.abs(cv2.Sobel(x, cv2.CV_64F, 0, 1)) * 0.5 + 3,
     lambda x: cv2.convertScaleAbs(np.abs(cv2.Sobel(x, cv2.CV_64F, 0, 1)), alpha=0.5, beta=3))
case(picture(3, 2, 3, 8), f"kernel={text(LOPSIDED)}", filtered(LOPSIDED))
case(picture(1, 4, 1, 8), "kernel=gaussian&sigma=0.8&size=3",
     lambda x: cv2.GaussianBlur(x.astype(np.float64), (3, 3), 0.8))

with open("tests/golden/image.txt", "w") as out:
    out.write("\n".join(lines) + "\n")
print(len(lines) // 4, "cases")
