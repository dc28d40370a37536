# SPDX-License-Identifier: MIT
"""http_bench's peer: what one writes in an afternoon with Flask and SciPy. Run by gunicorn; `python3 http_peer.py filter` prints what
OpenCV's filter2D takes for a 1024 x 1024 image and a 5 x 5 kernel on one thread, in milliseconds."""
import sys
import time


def make_app():
    import flask
    import numpy
    import scipy.signal

    app = flask.Flask(__name__)

    @app.post("/v1/correlate")
    def correlate():
        request = flask.request.get_json(force=True)
        dtype = request.get("dtype", "float64")
        tensors = (numpy.array(request[name], dtype) for name in ("input", "kernel"))
        output = scipy.signal.correlate(*tensors, mode=request.get("mode", "full"))
        return flask.jsonify(output=output.tolist(), shape=output.shape, dtype=dtype)

    return app


def filter_ms():
    import cv2
    import numpy

    cv2.setNumThreads(1)
    image = numpy.random.rand(1024, 1024).astype(numpy.float32)
    kernel = numpy.random.rand(5, 5).astype(numpy.float32)
    output = numpy.empty_like(image)
    times = []
    for _ in range(31):
        begun = time.perf_counter()
        cv2.filter2D(image, cv2.CV_32F, kernel, output, borderType=cv2.BORDER_CONSTANT)
        times.append(time.perf_counter() - begun)
    return 1e3 * sorted(times)[len(times) // 2]


if sys.argv[1:] == ["filter"]:
    print(filter_ms())
elif __name__ != "__main__":
    app = make_app()
