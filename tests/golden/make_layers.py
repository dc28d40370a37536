#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/golden/layers.txt: cases of the four layer operations whose outputs PyTorch computed.

Run it from the project's root where PyTorch is installed; the seed is fixed, so it writes the same cases every time. A
case is six lines: its members, then the values of input, weight, bias, grad_output and output (complex ones as pairs, real
first; empty where the operation has none). tests/core/layer_golden_test.c reads it.

PyTorch computes in float64, or complex128. What it does not have is put together from what it has: padding of every
kind is indexing before a plain convolution, a cut of the transposed result is a slice after it, and gradients are autograd's
through all of that. ONNX's definitions of `same` are the formulas of its operators' documents.
"""
import numpy as np
import torch
import torch.nn.functional as F

RANDOM = np.random.default_rng(20240301)
CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
MODES = ["zeros", "reflect", "replicate", "circular"]
OPS = ["conv", "conv_transpose", "conv_backward_input", "conv_backward_weight"]
DTYPES = ["float64"] * 4 + ["float32"] * 3 + ["int64", "complex128", "complex64"]
lines = []


def pick(*items):
    return items[RANDOM.integers(len(items))]


def values(shape, dtype):
    if dtype == "int64":
        return RANDOM.integers(-99, 99, shape).astype("float64")
    if dtype.startswith("complex"):
        return values(shape, "float64") + 1j * values(shape, "float64")
    found = np.round(RANDOM.normal(0, 2, shape), 2)
    return found.astype("float32").astype("float64") if dtype == "float32" else found


def converted(array, dtype):
    """What the numbers of the file are after conversion to the case's dtype."""
    if dtype == "complex64":
        return array.astype("complex64").astype("complex128")
    return array


def numbers(array):
    if array is None:
        return ""
    array = np.asarray(array)
    if np.iscomplexobj(array):
        array = np.stack([array.real, array.imag], -1)
    return " ".join(repr(x).removesuffix(".0") for x in array.ravel().tolist())


def ints(items):
    return ",".join(str(item) for item in items)


def source_index(place, length, mode):
    """Which element stands at a place beyond the ends, however far; None for a zero."""
    if 0 <= place < length:
        return place
    if mode == "zeros":
        return None
    if mode == "replicate":
        return min(max(place, 0), length - 1)
    if mode == "circular":
        return place % length
    if length == 1:
        return 0
    place %= 2 * (length - 1)
    return place if place < length else 2 * (length - 1) - place


def padded(x, pads, mode):
    for axis, (before, after) in enumerate(pads):
        axis += 2
        length = x.shape[axis]
        index = [source_index(i, length, mode) for i in range(-before, length + after)]
        mask = torch.tensor([0.0 if i is None else 1.0 for i in index], dtype=torch.float64)
        x = x.index_select(axis, torch.tensor([i or 0 for i in index]))
        x = x * mask.reshape([-1 if i == axis else 1 for i in range(x.dim())])
    return x


def channels_last(array, spatial, weight=False):
    if array is None:
        return None
    axis = 1 if weight else array.ndim - spatial - 1
    return np.moveaxis(array, axis, -1)


def conv_pads(case, n, k, axis):
    stride, dilation = case["stride"][axis], case["dilation"][axis]
    if case["padding"] in ("same", "same_lower"):
        total = max(((n + stride - 1) // stride - 1) * stride + (k - 1) * dilation + 1 - n, 0)
        less = total // 2
        return (less, total - less) if case["padding"] == "same" else (total - less, less)
    return (0, 0) if case["padding"] == "valid" else case["padding"][axis]


def run_conv(case, x, w, b):
    spatial = case["spatial"]
    pads = [conv_pads(case, x.shape[2 + i], w.shape[2 + i], i) for i in range(spatial)]
    own = case["padding"] == "same" and case["padding_mode"] == "zeros" and max(case["stride"]) == 1
    y = CONV[spatial](padded(x, pads, case["padding_mode"]), w, b, stride=case["stride"], dilation=case["dilation"],
                      groups=case["groups"])
    if own:  # PyTorch has it too, and says the same
        same = CONV[spatial](x, w, b, padding="same", dilation=case["dilation"], groups=case["groups"])
        assert torch.allclose(same, y, rtol=1e-13, atol=1e-13) and same.shape == y.shape
    return y


def run_transpose(case, x, w, b):
    spatial = case["spatial"]
    full = TRANSPOSE[spatial](x, w, None, stride=case["stride"], dilation=case["dilation"], groups=case["groups"],
                              output_padding=case["output_padding"])
    for i in range(spatial):
        axis, n = 2 + i, full.shape[2 + i]
        padding, shape = case["padding"], case.get("output_shape")
        if shape or padding in ("same", "same_lower"):
            wanted = shape[i] if shape else x.shape[axis] * case["stride"][i]
            total = n - wanted
            before = total // 2 if padding == "same" else total - total // 2
        else:
            before, after = (0, 0) if padding == "valid" else padding[i]
            wanted = n - before - after
        index = range(before, before + wanted)
        mask = torch.tensor([float(0 <= j < n) for j in index], dtype=torch.float64)
        full = full.index_select(axis, torch.tensor([min(max(j, 0), n - 1) for j in index]))
        full = full * mask.reshape([-1 if j == axis else 1 for j in range(full.dim())])
    return full if b is None else full + b.reshape([1, -1] + [1] * spatial)


def random_case(op, index):
    spatial = pick(1, 2, 2, 2, 3)
    longest = {1: 12, 2: 7, 3: 4}[spatial]
    groups = pick(1, 1, 1, 2, 3)
    case = {"spatial": spatial, "groups": groups, "padding_mode": "zeros"}
    case["stride"] = [int(pick(1, 1, 2, 3)) for _ in range(spatial)]
    case["dilation"] = [int(pick(1, 1, 2, 3)) for _ in range(spatial)]
    case["output_padding"] = [0] * spatial
    kernel = [int(RANDOM.integers(1, 5 if spatial < 3 else 4)) for _ in range(spatial)]
    size = [int(RANDOM.integers(1, longest + 1)) for _ in range(spatial)]
    many = int(pick(1, 1, 2)), groups * int(RANDOM.integers(1, 4)), groups * int(RANDOM.integers(1, 4))
    case["padding"] = pick("numbers", "numbers", "same", "same_lower", "valid")
    if op == "conv_transpose":
        if case["padding"] == "numbers":
            case["padding"] = [tuple(int(v) for v in RANDOM.integers(0, 2, 2)) for _ in range(spatial)]
        if RANDOM.integers(2):
            case["output_padding"] = [int(RANDOM.integers(max(s, d))) for s, d in zip(case["stride"], case["dilation"])]
        if RANDOM.integers(4) == 0:
            case["output_shape"] = [int(RANDOM.integers(1, 2 * longest)) for _ in range(spatial)]
            case["padding"] = pick("same", "same_lower", None)
    else:
        case["padding_mode"] = pick("zeros", "zeros", *MODES)
        if case["padding"] == "numbers":
            most = pick(3, 3, 9)
            case["padding"] = [tuple(int(v) for v in RANDOM.integers(0, most, 2)) for _ in range(spatial)]
    return case, kernel, size, many


def write(op, index):
    case, kernel, size, (items, channels, filters) = random_case(op, index)
    spatial, groups = case["spatial"], case["groups"]
    dtype, batched, last = pick(*DTYPES), bool(RANDOM.integers(4)), bool(RANDOM.integers(3) == 0)
    items = items if batched else 1
    first, second = (channels, filters) if op == "conv_transpose" else (filters, channels)
    x = converted(values([items, channels] + size, dtype), dtype)
    w = converted(values([first, second // groups] + kernel, dtype), dtype)
    b = converted(values([filters], dtype), dtype) if op in OPS[:2] and RANDOM.integers(2) else None
    tx, tw = torch.tensor(x, requires_grad=True), torch.tensor(w, requires_grad=True)
    tb = None if b is None else torch.tensor(b)
    g = None
    try:
        y = (run_transpose if op == "conv_transpose" else run_conv)(case, tx, tw, tb)
    except RuntimeError:
        return False
    if min(y.shape) < 1 or y.numel() > 160 or x.size > 160 or w.size > 160:
        return False
    output = y.detach().numpy()
    if op in OPS[2:]:
        g = converted(values(output.shape, dtype), dtype)
        # Nothing is conjugated; autograd conjugates what it multiplies by.
        grad = torch.autograd.grad(y, tx if op == OPS[2] else tw, torch.tensor(g).conj())[0]
        output = grad.resolve_conj().numpy().conj()
    tensors = {"input": x, "weight": w, "bias": b, "grad_output": g, "output": output}
    for name in ("input", "grad_output", "output"):
        is_weight = name == "output" and op == OPS[3]
        if not batched and not is_weight and tensors[name] is not None:
            tensors[name] = tensors[name][0]
    if last:
        for name in ("input", "weight", "grad_output", "output"):
            is_weight = name == "weight" or (name == "output" and op == OPS[3])
            tensors[name] = channels_last(tensors[name], spatial, is_weight)
    padding = case["padding"]
    if isinstance(padding, list):
        padding = ",".join(f"{before}:{after}" for before, after in padding)
    members = {"op": op, "dtype": dtype, "stride": ints(case["stride"]), "dilation": ints(case["dilation"]),
               "padding": padding, "padding_mode": case["padding_mode"], "groups": groups,
               "layout": "channels_last" if last else "channels_first"}
    if op == "conv_transpose":
        members["output_padding"] = ints(case["output_padding"])
        members["output_shape"] = ints(case["output_shape"]) if "output_shape" in case else None
    for name, tensor in tensors.items():
        members[name] = None if tensor is None else ints(tensor.shape)
    text = " ".join(f"{name}={value}" for name, value in members.items() if value is not None)
    if op == OPS[2]:
        tensors["input"] = None
    if op == OPS[3]:
        tensors["weight"] = None
    short = {name: None if t is None else t if name == "output" else np.round(t, 2) for name, t in tensors.items()}
    lines.append(f"case={op}-{index} {text}\n" + "\n".join(numbers(t) for t in short.values()) + "\n")
    return True


for op in OPS:
    made = 0
    while made < (70 if op in OPS[:2] else 50):
        made += write(op, made)
with open("tests/golden/layers.txt", "w", encoding="ascii", newline="\n") as file:
    file.writelines(lines)
print(f"{len(lines)} cases")
