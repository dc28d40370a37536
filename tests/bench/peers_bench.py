#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""peers_bench.py LIBRARY [--method NAME] [--rows TEXT] [--seconds S]: filters of one channel beside the libraries people use.

LIBRARY is build/tests/bench/libpeers.so: ours, a plain loop and FFTW's overlap-save (tests/bench/peers.h). Everything runs in
this process on one thread, in mode `same` with zeros outside; rounds of all are interleaved, medians compared, and every
peer's result is checked against ours first. What is compared is the process's CPU time, which on one thread is the time on an
idle machine. The ratio is theirs / ours: more is better. The last table has the geometric means of each group and the goals set
for them. Each run that is timed follows one of the same candidate that is not: else whoever comes after another on the same input
finds it in the caches. Ours includes making the plan; FFTW's planning is left out, the kernel's transform is not. A peer ten times slower
than the fastest one is timed once, after its warm-up.
"""
import argparse
import ctypes
import math
import os
import statistics
import time

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # read when the libraries are loaded

import cv2
import numpy as np
from scipy import ndimage, signal

cv2.setNumThreads(1)

# (group, goals against libraries: mean, least; against the floors: mean, least)
GOALS = {
    "2-D, 3^2 to 11^2, float32": (3.0, 2.0, 3.0, None),
    "2-D, 3^2 to 11^2, float64": (3.5, 2.0, 2.0, None),
    "2-D, 15^2 to 63^2": (5.0, 3.5, 1.6, 1.2),
    "separable 15^2": (2.0, 1.5, None, None),
    "1-D, 16 to 65536": (6.0, 3.0, 1.6, 1.2),
    "3-D, 3^3 to 15^3": (5.0, 3.0, 1.6, 1.2),
}
ROWS = (
    [("2-D, 3^2 to 11^2, float32", 2, n, m, "f32") for n, m in ((512, 3), (1024, 3), (2048, 3), (1024, 5), (1024, 7), (1024, 11))]
    + [("2-D, 3^2 to 11^2, float64", 2, 1024, m, "f64") for m in (3, 7, 11)]
    + [("2-D, 15^2 to 63^2", 2, n, m, "f32") for n, m in ((1024, 15), (1024, 31), (2048, 63))]
    + [("2-D, 15^2 to 63^2", 2, n, m, "f64") for n, m in ((1024, 31), (2048, 63))]
    + [("separable 15^2", 2, 1024, 15, dtype) for dtype in ("f32", "f64")]
    + [("1-D, 16 to 65536", 1, 10**6, m, "f32") for m in (16, 64, 512, 4096, 65536)]
    + [("1-D, 16 to 65536", 1, 10**6, m, "f64") for m in (64, 4096)]
    + [("3-D, 3^3 to 15^3", 3, 128, m, "f32") for m in (3, 7, 15)]
    + [("3-D, 3^3 to 15^3", 3, 128, 7, "f64")]
)
FLOORS = ("FFTW", "plain C")
ROUNDS_MIN, ROUNDS_MAX = 5, 101


def load(path):
    library = ctypes.CDLL(os.path.abspath(path))
    pointer, lengths = ctypes.c_void_p, ctypes.POINTER(ctypes.c_size_t)
    for name, result, arguments in (
        ("bench_ours_create", pointer, [lengths, lengths, ctypes.c_bool, ctypes.c_char_p]),
        ("bench_ours_run", ctypes.c_bool, [pointer] * 4),
        ("bench_ours_method", ctypes.c_char_p, [pointer]),
        ("bench_ours_destroy", None, [pointer]),
        ("bench_fma_peak", ctypes.c_double, []),
        ("bench_plain_run", None, [pointer] * 3 + [lengths, lengths, ctypes.c_bool]),
        ("bench_fftw_create", pointer, [lengths, lengths, ctypes.c_bool]),
        ("bench_fftw_run", None, [pointer] * 4),
        ("bench_fftw_destroy", None, [pointer]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def aligned(values):
    """A copy at a multiple of 64 bytes."""
    memory = np.empty(values.nbytes + 64, np.uint8)
    begin = -memory.ctypes.data % 64
    copy = memory[begin : begin + values.nbytes].view(values.dtype).reshape(values.shape)
    copy[...] = values
    return copy


def gaussian(taps):
    weights = np.exp(-0.5 * ((np.arange(taps) - taps // 2) / (taps / 6)) ** 2)
    return weights / weights.sum()


def row_name(rank, n, m, dtype):
    return f"{dtype} {n}^{rank}, {m}^{rank}" if rank > 1 else f"{dtype} {n}, {m}"


class Row:
    """One row's tensors, and the candidates as functions that return their result."""

    def __init__(self, library, row, method):
        group, rank, n, m, dtype = row
        self.group, self.name = group, row_name(*row[1:])
        self.f64, self.shared = dtype == "f64", library
        random = np.random.default_rng(1)
        real = np.float64 if self.f64 else np.float32
        self.input = aligned(random.uniform(-1, 1, (n,) * rank).astype(real))
        self.weights = gaussian(m).astype(real)
        separable = group.startswith("separable")
        self.kernel = aligned(np.outer(self.weights, self.weights) if separable else random.uniform(-1, 1, (m,) * rank).astype(real))
        self.output, self.plain_output, self.fftw_output, self.cv_output = (aligned(np.zeros_like(self.input)) for _ in range(4))
        self.n = (ctypes.c_size_t * 3)(*[1] * (3 - rank) + [n] * rank)
        self.m = (ctypes.c_size_t * 3)(*[1] * (3 - rank) + [m] * rank)
        self.work = n**rank * m**rank
        self.ours = library.bench_ours_create(self.n, self.m, self.f64, method.encode())
        if not self.ours:
            raise SystemExit(f'there is no method "{method}"')
        self.fftw = library.bench_fftw_create(self.n, self.m, self.f64)
        self.candidates = self.choose_candidates(rank, separable)

    def choose_candidates(self, rank, separable):
        """What can do the row, and does not take seconds."""
        x, k, w = self.input, self.kernel, self.weights
        found = {"ours": self.run_ours}
        if rank == 2 and separable:
            found["sepFilter2D"] = lambda: cv2.sepFilter2D(x, -1, w, w, dst=self.cv_output, borderType=cv2.BORDER_CONSTANT)
            found["ndimage 1-D twice"] = lambda: ndimage.convolve1d(ndimage.convolve1d(x, w, 0, mode="constant"), w, 1, mode="constant")
        elif rank == 2:
            flipped = np.ascontiguousarray(k[::-1, ::-1])
            found["filter2D"] = lambda: cv2.filter2D(x, -1, flipped, dst=self.cv_output, borderType=cv2.BORDER_CONSTANT)
            if self.work < 3e8:
                found["convolve2d"] = lambda: signal.convolve2d(x, k, "same")
        if rank == 1 and self.work < 5e9:
            found["numpy"] = lambda: np.convolve(x, k, "same")
        if rank > 1 and not separable and self.work < 8e8:
            found["ndimage"] = lambda: ndimage.convolve(x, k, mode="constant")
        found["fftconvolve"] = lambda: signal.fftconvolve(x, k, "same")
        found["oaconvolve"] = lambda: signal.oaconvolve(x, k, "same")
        if self.work < 1e10:
            found["plain C"] = self.run_plain
        if self.fftw:
            found["FFTW"] = self.run_fftw
        return found

    def run_ours(self):
        if not self.shared.bench_ours_run(self.ours, self.input.ctypes.data, self.kernel.ctypes.data, self.output.ctypes.data):
            raise SystemExit(f"{self.name}: ours failed")
        return self.output

    def run_plain(self):
        tensors = (self.input.ctypes.data, self.kernel.ctypes.data, self.plain_output.ctypes.data)
        self.shared.bench_plain_run(*tensors, self.n, self.m, self.f64)
        return self.plain_output

    def run_fftw(self):
        self.shared.bench_fftw_run(self.fftw, self.input.ctypes.data, self.kernel.ctypes.data, self.fftw_output.ctypes.data)
        return self.fftw_output

    def check(self, name, result):
        """Wrong results need no time."""
        scale = np.abs(self.kernel).sum() * (1e-12 if self.f64 else 1e-5)
        error = np.abs(result - self.output).max()
        if not error <= scale:
            raise SystemExit(f"{self.name}: {name} is {error:.3g} away from ours, more than {scale:.3g}")

    def measure(self, seconds):
        """The median time of each candidate, and our share of the FMA peak."""
        first, times, shares = {}, {name: [] for name in self.candidates}, []
        for name, run in self.candidates.items():
            begin = time.process_time()
            result = run()
            first[name] = time.process_time() - begin  # a warm-up, but good enough to tell who is slow
            self.check(name, result)
        fastest = min(taken for name, taken in first.items() if name != "ours")
        begin, rounds = time.process_time(), 0
        while rounds < ROUNDS_MIN or (rounds < ROUNDS_MAX and time.process_time() - begin < seconds):
            peak = self.shared.bench_fma_peak() / (2 if self.f64 else 1)
            for name, run in self.candidates.items():
                if rounds > 0 and name != "ours" and first[name] > 10 * fastest:
                    continue
                run()  # so that everyone finds the caches as it has left them itself
                start = time.process_time()
                run()
                times[name].append(time.process_time() - start)
            shares.append(self.work / times["ours"][-1] / peak if peak else 0)
            rounds += 1
        return {name: statistics.median(taken) for name, taken in times.items()}, statistics.median(shares)

    def close(self):
        self.shared.bench_ours_destroy(self.ours)
        self.shared.bench_fftw_destroy(self.fftw)


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def describe(ratios, mean, least):
    if not ratios:
        return ""
    goal = "" if mean is None else f" (goal {mean}" + ("" if least is None else f", {least}") + ")"
    return f"mean {geometric_mean(ratios):.2f}, least {min(ratios):.2f}{goal}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("shared", help="the shared object with the routines to bench")
    parser.add_argument("--method", default="auto")
    parser.add_argument("--rows", default="", help="only rows whose group and name contain this")
    parser.add_argument("--seconds", type=float, default=1.0, help="to spend on a row, at least")
    options = parser.parse_args()
    library = load(options.shared)
    libraries, floors = {}, {}
    print("theirs / ours, one thread, mode same; share: of the FMA peak that the taps' products would need")
    for entry in ROWS:
        if options.rows not in f"{entry[0]}: {row_name(*entry[1:])}":
            continue
        row = Row(library, entry, options.method)
        times, share = row.measure(options.seconds)
        ours = times.pop("ours")
        ratios = {name: taken / ours for name, taken in sorted(times.items(), key=lambda item: item[1])}
        method = library.bench_ours_method(row.ours).decode()
        print(f"{row.name:18} {ours * 1e6:9.0f} us {share:5.0%} {method:11}", end="")
        print("".join(f"  {name} {ratio:.2f}" for name, ratio in ratios.items()), flush=True)
        libraries.setdefault(row.group, []).append(min(ratio for name, ratio in ratios.items() if name not in FLOORS))
        floor = [ratio for name, ratio in ratios.items() if name in FLOORS]
        if floor and not row.group.startswith("separable"):
            floors.setdefault(row.group, []).append(min(floor))
        row.close()
    print(f"\n{'group':28} {'the best library':44} FFTW or plain C, the better")
    for group, ratios in libraries.items():
        mean, least, floor_mean, floor_least = GOALS[group]
        print(f"{group:28} {describe(ratios, mean, least):44} {describe(floors.get(group), floor_mean, floor_least)}")


if __name__ == "__main__":
    main()
