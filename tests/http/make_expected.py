#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes expected.def: requests of /v1/convolve and /v1/correlate with the answers that SciPy and NumPy give.

All values are integers or have few binary digits, so that every answer is exact and its text certain. `reference` is
the definition by numpy.pad-like indexing; where SciPy has the same request, both must agree before a row is written.
Run: /usr/bin/python3 tests/http/make_expected.py > tests/http/expected.def
"""
import itertools
import json

import numpy as np
from scipy import signal

rng = np.random.default_rng(20240611)


def source(index, length, boundary):
    """The input index that stands at `index`, or None for the constant."""
    if 0 <= index < length:
        return index
    if boundary == "wrap":
        return index % length
    if boundary == "symmetric":
        index %= 2 * length
        return index if index < length else 2 * length - 1 - index
    if boundary == "reflect":
        if length == 1:
            return 0
        index %= 2 * length - 2
        return index if index < length else 2 * length - 2 - index
    if boundary == "edge":
        return min(max(index, 0), length - 1)
    return None


def reference(op, x, k, mode="full", padding=None, boundary="constant", fill=0, stride=1, dilation=1, axes=None):
    x, k = np.asarray(x), np.asarray(k)
    boundary = {"fill": "constant", "symm": "symmetric"}.get(boundary, boundary)
    rank = max(x.ndim, k.ndim)
    conv = sorted(a % rank for a in ([axes] if isinstance(axes, int) else axes)) if axes is not None else list(range(rank))

    def raised(t):
        if t.ndim == rank:
            return t
        shape = [1] * rank
        for axis, n in zip(conv, t.shape):
            shape[axis] = n
        return t.reshape(shape)

    x, k = raised(x), raised(k)
    per = lambda v: dict(zip(conv, [v] * len(conv) if isinstance(v, int) else v))
    stride, dilation = per(stride), per(dilation)
    if op == "correlate":
        k = np.conj(k)
    else:
        k = np.flip(k, axis=tuple(conv))
    out, starts = [], {}
    exchanged = mode == "valid" and padding is None and any(x.shape[a] < (k.shape[a] - 1) * dilation[a] + 1 for a in conv)
    for axis in range(rank):
        n, m = x.shape[axis], k.shape[axis]
        if axis not in conv:
            out.append(max(n, m))
            continue
        m = (m - 1) * dilation[axis] + 1
        if padding is not None:
            p = padding if isinstance(padding, int) else padding[conv.index(axis)]
            before, after = (p, p) if isinstance(p, int) else p
            count = n + before + after - m + 1
        elif mode == "full":
            before, count = m - 1, n + m - 1
        elif mode == "same":
            before, count = m - 1 - (m - 1) // 2, n
        elif exchanged:
            before, count = m - n, m - n + 1
        else:
            before, count = 0, n - m + 1
        starts[axis] = before
        out.append((count + stride[axis] - 1) // stride[axis])
    result = np.zeros(out, np.result_type(x, k, type(fill)))
    for o in itertools.product(*map(range, out)):
        total = 0
        for t in itertools.product(*[range(k.shape[a]) if a in conv else [0] for a in range(rank)]):
            xi, ki = [], []
            for a in range(rank):
                if a in conv:
                    xi.append(source(o[a] * stride[a] + t[a] * dilation[a] - starts[a], x.shape[a], boundary))
                    ki.append(t[a])
                else:
                    xi.append(o[a] if x.shape[a] > 1 else 0)
                    ki.append(o[a] if k.shape[a] > 1 else 0)
            total += k[tuple(ki)] * (fill if None in xi else x[tuple(xi)])
        result[o] = total
    return result


def number(value):
    value = float(value)
    return str(int(value)) if value == int(value) else repr(value)


def text(array):
    if array.ndim == 0:
        return number(array)
    return "[" + ",".join(text(a) for a in array) + "]"


def tensor_text(array):
    if not np.iscomplexobj(array):
        return text(array)
    flat = array.ravel()
    return '{"shape":%s,"real":%s,"imag":%s}' % (json.dumps(list(array.shape), separators=(",", ":")), text(flat.real),
                                                text(flat.imag))


def row(name, op, x, k, dtype="float64", scipy=None, **members):
    x, k = np.asarray(x), np.asarray(k)
    arguments = {{"fillvalue": "fill"}.get(a, a): v for a, v in members.items() if a not in ("method", "format")}
    if isinstance(arguments.get("fill"), dict):
        arguments["fill"] = complex(arguments["fill"]["real"], arguments["fill"]["imag"])
    y = reference(op, x, k, **arguments)
    if scipy is not None:
        assert np.array_equal(np.asarray(scipy), y), (name, scipy, y)
    extra = "".join(',"%s":%s' % (a, json.dumps(v, separators=(",", ":"))) for a, v in members.items())
    if dtype != "float64":
        extra += ',"dtype":"%s"' % dtype
    if np.dtype(dtype).kind == "c":
        x, k, y = x.astype(complex), k.astype(complex), y.astype(complex)
    shape = json.dumps(list(y.shape), separators=(",", ":"))
    body = '{"input":%s,"kernel":%s%s}' % (tensor_text(x), tensor_text(k), extra)
    quoted = [s.replace('"', "'") for s in (body, tensor_text(y), shape)]
    print('EXPECTED("%s", "/v1/%s", "%s", "%s", "%s", "%s")' % (name, op, quoted[0], quoted[1], quoted[2], dtype))


def some(*shape):
    return rng.integers(-9, 10, shape)


def dyadic(*shape):
    return rng.integers(-40, 41, shape) / 8


def some_complex(*shape):
    return some(*shape) + 1j * some(*shape)


def modes():
    for op in ("convolve", "correlate"):
        scipy = getattr(signal, op)
        for mode in ("full", "same", "valid"):
            for n, m in ((7, 3), (7, 4), (6, 3), (6, 2), (3, 3), (1, 1)):
                x, k = some(n), some(m)
                row(f"{op} {mode} {n} by {m}", op, x, k, mode=mode, scipy=scipy(x, k, mode))
            for n, m in ((3, 7), (4, 7), (2, 5)):
                x, k = some(n), some(m)
                row(f"{op} {mode} shorter input {n} by {m}", op, x, k, mode=mode, scipy=scipy(x, k, mode))
            x, k = some(4, 5), some(3, 2)
            row(f"{op} {mode} rank 2", op, x, k, mode=mode, scipy=scipy(x, k, mode))
            x, k = some(3, 3, 4), some(2, 2, 2)
            row(f"{op} {mode} rank 3", op, x, k, mode=mode, scipy=scipy(x, k, mode))
        x, k = some(2, 1, 2, 1, 2), some(1, 2, 2, 1, 1)
        row(f"{op} rank 5", op, x, k, scipy=scipy(x, k))
        x, k = some(1, 1, 1, 2, 1, 1, 2, 3), some(1, 1, 1, 1, 1, 1, 2, 2)
        row(f"{op} rank 8", op, x, k, scipy=scipy(x, k))
        row(f"{op} rank 0", op, np.array(3), np.array(-4), scipy=scipy(3, -4))
        x, k = dyadic(9), dyadic(4)
        row(f"{op} fractions", op, x, k, scipy=np.round(scipy(x, k) * 64) / 64)


def boundaries():
    names = {"fill": "fill", "wrap": "wrap", "symm": "symmetric"}
    for op in ("convolve", "correlate"):
        for boundary in ("constant", "fill", "wrap", "symmetric", "symm", "reflect", "edge"):
            for mode in ("full", "same", "valid"):
                x, k = some(4, 5), some(3, 3)
                scipy = None
                if boundary in names:
                    scipy = getattr(signal, op + "2d")(x, k, mode, boundary)
                row(f"{op} {boundary} {mode}", op, x, k, mode=mode, boundary=boundary, scipy=scipy)
            row(f"{op} {boundary} repeats", op, some(2), some(9), boundary=boundary)
            row(f"{op} {boundary} repeats one", op, some(1), some(4), boundary=boundary)
            row(f"{op} {boundary} even same", op, some(5), some(4), boundary=boundary, mode="same")
            row(f"{op} {boundary} padding", op, some(3, 4), some(2, 3), boundary=boundary, padding=[[2, 1], [0, 5]])
            row(f"{op} {boundary} padding beyond", op, some(3), some(2), boundary=boundary, padding=8)
        x, k = some(3, 3), some(2, 3)
        row(f"{op} fillvalue", op, x, k, boundary="fill", fillvalue=-2, scipy=getattr(signal, op + "2d")(x, k, "full", "fill", -2))
        row(f"{op} fillvalue needs no boundary", op, some(3), some(3), fillvalue=5)
        row(f"{op} fillvalue with padding", op, some(3), some(3), fillvalue=0.5, padding=[[1, 2]])


def windows():
    for op in ("convolve", "correlate"):
        row(f"{op} padding 0", op, some(5), some(3), padding=0)
        row(f"{op} padding integer", op, some(4, 4), some(3, 3), padding=1)
        row(f"{op} padding per axis", op, some(4, 4), some(3, 3), padding=[2, 0])
        row(f"{op} padding pairs", op, some(4, 4), some(3, 3), padding=[[0, 1], [2, 0]])
        row(f"{op} padding makes it fit", op, some(2), some(4), padding=[[1, 1]])
        row(f"{op} padding on axes", op, some(2, 3, 3), some(2, 2), padding=[1, 0], axes=[1, 2])
        row(f"{op} stride 2", op, some(9), some(3), stride=2)
        row(f"{op} stride beyond", op, some(4), some(2), stride=100)
        row(f"{op} stride per axis", op, some(5, 7), some(2, 3), stride=[2, 3], mode="valid")
        row(f"{op} stride same", op, some(8), some(4), stride=3, mode="same")
        row(f"{op} dilation 2", op, some(9), some(3), dilation=2)
        row(f"{op} dilation per axis", op, some(5, 7), some(2, 3), dilation=[3, 2], mode="valid")
        row(f"{op} dilation same", op, some(7), some(3), dilation=3, mode="same")
        row(f"{op} dilation even same", op, some(7), some(2), dilation=3, mode="same")
        row(f"{op} dilation of one tap", op, some(4), some(1), dilation=50, mode="valid")
        row(f"{op} dilated kernel longer than the input", op, some(4), some(3), dilation=4, mode="valid")
        row(f"{op} all of them", op, some(5, 6), some(2, 3), stride=[2, 1], dilation=[1, 2], padding=[[1, 0], [2, 2]],
            boundary="reflect")
        row(f"{op} places changed and stride", op, some(3), some(8), mode="valid", stride=2)


def axis_sets():
    for op in ("convolve", "correlate"):
        row(f"{op} axes integer", op, some(3, 4), some(3, 2), axes=1)
        row(f"{op} axes negative", op, some(3, 4), some(2, 4), axes=[-2])
        row(f"{op} axes in any order", op, some(2, 3, 4), some(2, 2, 3), axes=[2, 1])
        row(f"{op} axes all", op, some(3, 4), some(2, 2), axes=[0, -1])
        row(f"{op} kernel for every slice", op, some(2, 3, 3), some(2, 2), axes=[1, 2])
        row(f"{op} kernel for the first axis", op, some(4, 3), some(2), axes=0)
        row(f"{op} input for every slice", op, some(3, 3), some(2, 2, 2), axes=[1, 2])
        row(f"{op} input for every slice same", op, some(3, 3), some(2, 2, 2), axes=[1, 2], mode="same")
        row(f"{op} kernel broadcasts", op, some(3, 4), some(1, 2), axes=[1])
        row(f"{op} input broadcasts", op, some(1, 4), some(3, 2), axes=[1])
        row(f"{op} broadcast same", op, some(1, 4), some(3, 2), axes=[1], mode="same")
        row(f"{op} both broadcast", op, some(1, 3, 4), some(2, 1, 3), axes=-1, mode="valid")
        row(f"{op} lists go with increasing axes", op, some(5, 2, 6), some(2, 3), axes=[2, 0], stride=[2, 1],
            padding=[[0, 1], [2, 0]], dilation=[1, 2])
        row(f"{op} wrap on one axis", op, some(2, 4), some(3), axes=1, boundary="wrap", mode="same")


def types():
    for op in ("convolve", "correlate"):
        scipy = getattr(signal, op)
        for dtype in ("float32", "int64"):
            x, k = some(4, 4), some(3, 2)
            row(f"{op} {dtype}", op, x, k, dtype, scipy=scipy(x, k))
        row(f"{op} float32 fractions", op, dyadic(6), dyadic(3), "float32")
        for dtype in ("complex128", "complex64"):
            for mode in ("full", "same", "valid"):
                x, k = some_complex(3, 4), some_complex(2, 2)
                y = np.round(scipy(x, k, mode, "direct"))
                row(f"{op} {dtype} {mode}", op, x, k, dtype, mode=mode, scipy=y)
            x, k = some_complex(2), some_complex(5)
            row(f"{op} {dtype} places changed", op, x, k, dtype, mode="valid", scipy=scipy(x, k, "valid", "direct"))
            row(f"{op} {dtype} axes", op, some_complex(2, 3), some_complex(2), dtype, axes=1, mode="same")
            row(f"{op} {dtype} fillvalue", op, some_complex(3), some_complex(2), dtype, padding=2,
                fillvalue={"real": 1, "imag": -2})
            row(f"{op} {dtype} real fillvalue", op, some_complex(3), some_complex(3), dtype, fillvalue=3)
            row(f"{op} {dtype} rank 0", op, np.array(3 + 1j), np.array(1 - 2j), dtype)


if __name__ == "__main__":
    print("/* SPDX-License-Identifier: MIT */")
    print("/* Made by make_expected.py: EXPECTED(name, path, request, output, shape, dtype), ' in place of \". */")
    modes()
    boundaries()
    windows()
    axis_sets()
    types()
