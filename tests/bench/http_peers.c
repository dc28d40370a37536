/* SPDX-License-Identifier: MIT */
/* The peers are programs of their own or C++ (wire_peers.cc), and each may be missing. */
#include "tests/bench/http_peers.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/wire_peers.h"

#pragma weak wire_peers

enum { PART_ROUNDS = 7, READ_ROOM = 64 };

/* A Python that can import the modules. */
static const char *find_python(const char *modules)
{
    static const char *const pythons[] = {"python3", "/usr/bin/python3"};
    char command[256];
    for (size_t i = 0; i < sizeof pythons / sizeof *pythons; i++) {
        snprintf(command, sizeof command, "%s -c 'import %s' 2>/dev/null", pythons[i], modules);
        if (system(command) == 0)
            return pythons[i];
    }
    return NULL;
}

/* ---- Flask ------------------------------------------------------------------------------------------------------- */

pid_t flask_start(unsigned *port)
{
    const char *python = find_python("flask, gunicorn, numpy, scipy.signal");
    char line[256];
    int out[2];
    if (!python || pipe(out) != 0)
        return 0;
    const pid_t child = fork();
    if (child == 0) {
        dup2(out[1], STDERR_FILENO);
        execlp(python, python, "-m", "gunicorn", "--workers", "2", "--bind", "127.0.0.1:0", "--chdir", "tests/bench",
               "http_peer:app", (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    FILE *lines = fdopen(out[0], "r");
    bool listens = false;
    while (child > 0 && lines && !listens && fgets(line, sizeof line, lines)) {
        const char *address = strstr(line, "http://127.0.0.1:");
        listens = address && sscanf(address, "http://127.0.0.1:%u", port) == 1;
    }
    /* The pipe stays open: gunicorn goes on to write there. */
    if (!listens)
        die("gunicorn did not start");
    return child;
}

void flask_stop(pid_t process)
{
    kill(process, SIGTERM);
    waitpid(process, NULL, 0);
}

/* ---- Parts ------------------------------------------------------------------------------------------------------- */

static double parse_ms(const struct text *request, double *values, size_t numbers)
{
    double best = -1;
    char *padded = calloc(1, request->count + READ_ROOM);
    if (!padded)
        die("no memory");
    memcpy(padded, request->bytes, request->count);
    for (const struct wire_peer *peer = wire_peers; peer && peer->name; peer++) {
        double times[PART_ROUNDS];
        if (!peer->read_request)
            continue;
        for (int round = 0; round < PART_ROUNDS; round++) {
            const double began = now_ms();
            if (peer->read_request(values, padded, request->count) < numbers)
                die("a peer cannot read the request");
            times[round] = now_ms() - began;
        }
        const double ms = median(times, PART_ROUNDS);
        best = best < 0 || ms < best ? ms : best;
    }
    free(padded);
    return best;
}

/* Sums of products have all the digits that a float32 can have; so do these. */
static double print_ms(double *values, size_t numbers)
{
    const struct wire_peer *peer = wire_peers;
    double times[PART_ROUNDS];
    float *floats = malloc(numbers * sizeof *floats);
    char *text = malloc(numbers * 32);
    if (!floats || !text)
        die("no memory");
    for (size_t i = 0; i < numbers; i++)
        floats[i] = (float)values[i] * 7.654321f;
    for (int round = 0; round < PART_ROUNDS && peer; round++) {
        const double began = now_ms();
        peer->write_f32(text, floats, numbers);
        times[round] = now_ms() - began;
    }
    free(floats);
    free(text);
    return peer ? median(times, PART_ROUNDS) : -1;
}

static double filter_ms(void)
{
    const char *python = find_python("cv2, numpy");
    char command[256];
    double ms = -1;
    snprintf(command, sizeof command, "%s tests/bench/http_peer.py filter", python ? python : "false");
    FILE *output = python ? popen(command, "r") : NULL;
    if (output && fscanf(output, "%lf", &ms) != 1)
        ms = -1;
    if (output)
        pclose(output);
    return ms;
}

struct parts measure_parts(const struct text *request, size_t numbers)
{
    double *values = calloc(numbers + 64, sizeof *values);
    if (!values)
        die("no memory");
    struct parts parts = {.parse_ms = parse_ms(request, values, numbers), .filter_ms = filter_ms()};
    parts.print_ms = parts.parse_ms < 0 ? -1 : print_ms(values, numbers);
    free(values);
    return parts;
}
