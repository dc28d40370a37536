# SPDX-License-Identifier: MIT
"""Layers in float64, ours beside PyTorch, each on one thread, turn by turn: medians, and how often ours goes into theirs.

bench_layers.py LIBPEERS [PART]: the shared object that holds our side, and part of the names of the rows."""
import ctypes
import statistics
import sys
import time

import torch

NUMBERS = ["spatial", "channels", "filters", "size", "kernel", "stride", "dilation", "groups", "padding"]
ROWS = {
    "3x3 64>64 @56": (2, 64, 64, 56, 3, 1, 1, 1, 1),
    "7x7 s2 3>64 @224": (2, 3, 64, 224, 7, 2, 1, 1, 3),
    "depthwise 3x3 144 @56": (2, 144, 144, 56, 3, 1, 1, 144, 1),
}
GOALS = "goals: mean 1.3, least 0.95; depthwise 8"


class Layer(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in NUMBERS] + [("operation", ctypes.c_int), ("f64", ctypes.c_int)]


class Tensors(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("input", "weight", "gradient", "output")]


def aligned(*shape):
    """Random values that begin at a multiple of 64 bytes."""
    count = torch.Size(shape).numel()
    room = torch.rand(count + 8, dtype=torch.float64) - 0.5
    skip = -room.data_ptr() % 64 // 8
    return room[skip:skip + count].view(shape)


def bench(peers, name, numbers):
    row = dict(zip(NUMBERS, numbers))
    layer = Layer(*numbers, 0, 1)
    image = aligned(1, row["channels"], row["size"], row["size"])
    weight = aligned(row["filters"], row["channels"] // row["groups"], row["kernel"], row["kernel"])

    def theirs():
        return torch.nn.functional.conv2d(image, weight, None, row["stride"], row["padding"], row["dilation"], row["groups"])

    expected = theirs()
    output = aligned(*expected.shape)
    tensors = Tensors(image.data_ptr(), weight.data_ptr(), None, output.data_ptr())
    ours = peers.bench_layer_ours_create(ctypes.byref(layer), b"auto")
    times = ([], [])
    while len(times[0]) < 5 or sum(map(sum, times)) < 0.8 and len(times[0]) < 61:
        for side, call in enumerate((theirs, lambda: peers.bench_layer_ours_run(ours, ctypes.byref(tensors)))):
            begin = time.thread_time()
            call()
            times[side].append(time.thread_time() - begin)
    peers.bench_layer_ours_destroy(ours)
    apart = (output - expected).abs().max().item()
    a, b = map(statistics.median, times)
    print(f"{name:30} {b * 1e6:9.1f} us   PyTorch {a * 1e6:9.1f} us  ratio {a / b:5.2f}  (apart by {apart:.1e})")
    return a / b


def main():
    peers = ctypes.CDLL(sys.argv[1])
    part = sys.argv[2] if len(sys.argv) > 2 else ""
    peers.bench_layer_ours_create.restype = ctypes.c_void_p
    for function in (peers.bench_layer_ours_run, peers.bench_layer_ours_destroy):
        function.argtypes = [ctypes.c_void_p] + [ctypes.c_void_p] * (function is peers.bench_layer_ours_run)
    torch.set_num_threads(1)
    print(f"layers, float64, one thread; {GOALS}")
    for name, numbers in ROWS.items():
        if part in name:
            bench(peers, name, numbers)


main()
