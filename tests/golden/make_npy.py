#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/golden/npy.txt: .npy files as NumPy writes them, and what they hold.

Run it from the project's root where NumPy is installed. A case is three lines: its members (`as` is the dtype that a result
needs which holds the values), the file in hexadecimal, and the values as `as` has them, row-major and little-endian, in
hexadecimal too; or the slug that refuses it. tests/formats/npy_test.c and tests/http/formats_test.c read it.
"""
import io
import warnings

import numpy as np

warnings.simplefilter("ignore")
lines = []


def file_of(array, version=None):
    out = io.BytesIO()
    np.lib.format.write_array(out, array, version=version)
    return out.getvalue()


def result_dtype(dtype):
    if dtype.kind in "biu":
        return "int64"
    if dtype.kind == "f":
        return "float32" if dtype.itemsize <= 4 else "float64"
    return "complex64" if dtype.itemsize <= 8 else "complex128"


def add(name, array, version=None, wanted=None, data=None):
    wanted = wanted or result_dtype(array.dtype)
    values = np.ascontiguousarray(array.astype(wanted)).tobytes().hex() if array.size else ""
    shape = ",".join(str(n) for n in array.shape)
    data = file_of(array, version) if data is None else data
    lines.append(f"case={name} as={wanted} shape={shape}\n{data.hex()}\n{values or '-'}\n")


def refuse(name, data, slug="malformed-npy"):
    lines.append(f"case={name} refused={slug}\n{data.hex() or '-'}\n-\n")


def values(dtype, shape):
    count = int(np.prod(shape))
    steps = np.arange(count) - count // 3
    if dtype.kind == "b":
        return (steps % 3 == 0).reshape(shape)
    if dtype.kind == "u":
        return (np.arange(count) * 7 % 251).astype(dtype).reshape(shape)
    if dtype.kind == "i":
        return (steps * 5).astype(dtype).reshape(shape)
    if dtype.kind == "c":
        return (steps * 0.5 - 1j * steps * steps).astype(dtype).reshape(shape)
    return (steps * 0.25 + 2.0**-9).astype(dtype).reshape(shape)


CODES = ["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]
for code in CODES:
    for order in "<" if code[1:] == "1" else "<>":
        for layout in "CF":
            dtype = np.dtype(order + code)
            add(f"{dtype.name}{order}{layout}", np.asarray(values(dtype, (3, 2, 4)), dtype=dtype, order=layout))

for shape in [(), (1,), (5,), (1, 1, 1, 1, 1, 1, 1, 3), (2, 1, 3, 1, 2, 1, 1, 2), (7, 19), (17, 3, 18)]:
    for layout in "CF":
        add(f"shape{len(shape)}{layout}", np.asarray(values(np.dtype("<i2"), shape), order=layout))
for version in [(1, 0), (2, 0), (3, 0)]:
    add(f"version{version[0]}", values(np.dtype("<f4"), (2, 3)), version)

ends = {code: [np.iinfo(code).min, np.iinfo(code).max] for code in ["i1", "i2", "i4", "i8", "u1", "u2", "u4"]}
for code, pair in ends.items():
    add(f"ends-{code}", np.array(pair, code))
    add(f"ends-{code}-float64", np.array(pair, code), wanted="float64")
add("ends-u8-float64", np.array([0, 2**64 - 1, 2**63], "u8"), wanted="float64")
add("ends-f2", np.array([65504, -65504, 2**-14, 2**-24, 2**-14 - 2**-24, np.inf, -np.inf], "f2"))
add("ends-f4", np.array([3.4028235e38, 1.1754944e-38, 1e-45, np.inf], "f4"))
add("ends-f8", np.array([1.7976931348623157e308, 5e-324, -np.inf], "f8"))

# Headers as other writers have them: numpy.load reads each.
data = np.array([1, 2, 3], "<i4").tobytes()


def with_header(text, payload=data, version=1, length=None):
    text = text.encode("latin1") if isinstance(text, str) else text
    length = len(text) if length is None else length
    return b"\x93NUMPY" + bytes([version, 0]) + length.to_bytes(2 if version == 1 else 4, "little") + text + payload


plain = "{'descr': '<i4', 'fortran_order': False, 'shape': (3,), }\n"
for name, text in {
    "other-order": "{'shape': (3,), 'fortran_order': False, 'descr': '<i4'}\n",
    "double-quotes": '{"descr": "<i4", "fortran_order": False, "shape": (3,)}',
    "no-spaces": "{'descr':'<i4','fortran_order':False,'shape':(3,)}",
    "many-spaces": "  { 'descr' :\t'<i4' , 'fortran_order'  : False , 'shape' : ( 3 , ) , }     \n",
    "python2-long": "{'descr': '<i4', 'fortran_order': False, 'shape': (3L,), }\n",
}.items():
    made = with_header(text)
    assert np.array_equal(np.load(io.BytesIO(made)), [1, 2, 3])
    add(name, np.array([1, 2, 3], "<i4"), data=made)
add("native-order", np.array([1, 2, 3], "<i4"), data=with_header(plain.replace("<i4", "i4")))
for shape in [(0,), (2, 0, 3)]:
    add(f"empty{len(shape)}", np.zeros(shape, "f8"))
refuse("nine-axes", file_of(np.zeros((1,) * 9)), "shape-mismatch")

for code in ["f16", "c32"]:
    refuse(f"type-{code}", file_of(np.zeros(3, code)))
for name, array in {
    "object": np.array([1, "a", None], object), "string": np.array([b"abc"]), "unicode": np.array(["abc"]),
    "date": np.array(["2020-01-01"], "M8[D]"), "record": np.zeros(2, [("a", "f4"), ("b", "i4")]), "void": np.zeros(2, "V3"),
}.items():
    refuse(f"type-{name}", file_of(array))
whole = with_header(plain)
refuse("nothing", b"")
refuse("no-magic", b"\x93NUMPX" + whole[6:])
refuse("version4", whole[:6] + b"\x04" + whole[7:])
refuse("version1.1", whole[:7] + b"\x01" + whole[8:])
refuse("version0", whole[:6] + b"\x00" + whole[7:])
refuse("short", whole[:-1])
refuse("without-values", with_header(plain, b""))
refuse("long", whole + b"\x00")
refuse("two-files", whole + whole)
refuse("header-empty", with_header("", data))
refuse("header-too-long", with_header(plain, data, 2, 1 << 30))
refuse("header-cut", whole[:20])
for name, text in {
    "no-descr": "{'fortran_order': False, 'shape': (3,)}", "no-order": "{'descr': '<i4', 'shape': (3,)}",
    "no-shape": "{'descr': '<i4', 'fortran_order': False}", "nothing-in-it": "{}",
    "twice": "{'descr': '<i4', 'descr': '<i4', 'fortran_order': False, 'shape': (3,)}",
    "more": "{'descr': '<i4', 'fortran_order': False, 'shape': (3,), 'more': 1}",
    "list": "['<i4', False, (3,)]", "open": "{'descr': '<i4', 'fortran_order': False, 'shape': (3,)",
    "behind": "{'descr': '<i4', 'fortran_order': False, 'shape': (3,)} x", "no-comma": "{'descr': '<i4' 'fortran_order': False, 'shape': (3,)}",
    "two-commas": "{'descr': '<i4',, 'fortran_order': False, 'shape': (3,)}", "negative": plain.replace("(3,)", "(-3,)"),
    "no-tuple": plain.replace("(3,)", "(3)"), "bare": plain.replace("(3,)", "3"), "comma-alone": plain.replace("(3,)", "(,)"),
    "fraction": plain.replace("(3,)", "(3.0,)"), "shape-open": plain.replace("(3,)", "(3,"), "shape-list": plain.replace("(3,)", "[3]"),
    "truth": plain.replace("False", "0"), "truth-word": plain.replace("False", "Falsehood"), "escape": plain.replace("descr", "desc\\x72"),
    "order-of-many": plain.replace("<i4", "|i4"), "type-empty": plain.replace("<i4", ""), "type-order": plain.replace("<i4", "<"),
    "type-long": plain.replace("<i4", "<i44"), "type-number": plain.replace("'<i4'", "4"), "too-many-bytes": plain.replace("(3,)", "(4611686018427387904, 2)"),
    "beyond-size": plain.replace("(3,)", "(99999999999999999999999999,)"), "more-than-came": plain.replace("(3,)", "(1000000000000,)"),
    "not-closed": "{'descr: '<i4', 'fortran_order': False, 'shape': (3,)}", "65-axes": plain.replace("(3,)", "(" + "1," * 65 + ")"),
}.items():
    refuse("header-" + name, with_header(text))

with open("tests/golden/npy.txt", "w", encoding="ascii") as out:
    out.write("".join(lines))
print(f"{len(lines)} cases")
