/* SPDX-License-Identifier: MIT */
/* How well `auto` chooses: 200 requests of ranks 1 to 3, kernels from 2 taps to the input's size, float32 and float64, every
 * fourth kernel an outer product. Each is run by every method that can do it, in turns, and the method chosen is compared
 * with the best one. Prints the worst, the median and how often which method was the best; fails where the median is above
 * 1.15 or the worst above 2. Arguments: the number of requests, the first one, a third prints all. */
#include "core/convolve.h"
#include "tests/bench/thread_time.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define METHOD_COUNT (CONVOLVE_OVERLAP_ADD + 1)
enum { ROUNDS_MIN = 3 };
static const double multiply_adds_max = 4e9; /* of direct: what has more is never best */

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* From `least` to `most`, even on a scale of logarithms. */
static size_t random_length(uint64_t *state, size_t least, size_t most)
{
    double ratio = (double)most / (double)least, value = (double)least;
    for (double part = 0.5; part > 1e-3; part /= 2) {
        double root = ratio; /* ratio^part, by square roots */
        for (double p = 1; p > part; p /= 2) {
            double guess = root > 1 ? root : 1;
            for (unsigned i = 0; i < 60; i++)
                guess = (guess + root / guess) / 2;
            root = guess;
        }
        if (next_random(state) >> 63)
            value *= root;
    }
    const size_t length = (size_t)(value + 0.5);
    return length < least ? least : length > most ? most : length;
}

static void *allocate(size_t bytes)
{
    void *const memory =
        aligned_alloc(CONVOLVE_ALIGNMENT, (bytes + CONVOLVE_ALIGNMENT) / CONVOLVE_ALIGNMENT * CONVOLVE_ALIGNMENT);
    if (!memory) {
        fputs("bench_auto: out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

static void put(const struct convolve_spec *spec, void *tensor, size_t index, double value)
{
    if (spec->dtype == CONVOLVE_FLOAT32)
        ((float *)tensor)[index] = (float)value;
    else
        ((double *)tensor)[index] = value;
}

/* ---- A request -------------------------------------------------------------------------------------------------------- */

struct request {
    struct convolve_spec spec;
    bool product; /* the kernel is an outer product */
    void *input, *kernel, *output;
    size_t outputs;
};

static void fill(struct request *request, uint64_t *state)
{
    const struct convolve_spec *spec = &request->spec;
    size_t inputs = 0, taps = 0;
    convolve_shape_count(&spec->input, &inputs);
    convolve_shape_count(&spec->kernel, &taps);
    request->input = allocate(inputs * 8);
    request->kernel = allocate(taps * 8);
    for (size_t i = 0; i < inputs; i++)
        put(spec, request->input, i, (double)(next_random(state) >> 11) * 0x1p-53);
    for (size_t i = 0; i < taps; i++) {
        double value = (double)(next_random(state) >> 11) * 0x1p-53;
        if (request->product) {
            size_t rest = i;
            value = 1;
            for (unsigned axis = spec->kernel.rank; axis-- > 0; rest /= spec->kernel.size[axis])
                value *= 0.25 + 1 / (double)(1 + rest % spec->kernel.size[axis]);
        }
        put(spec, request->kernel, i, value);
    }
}

static void make_request(struct request *request, uint64_t seed)
{
    static const size_t elements_max[] = {0, 1 << 20, 1 << 20, 1 << 19};
    static const size_t length_max[] = {0, 1 << 20, 1 << 11, 160};
    uint64_t state = seed * UINT64_C(0x2545f4914f6cdd1d);
    const unsigned rank = 1 + (unsigned)(seed % 3);
    struct convolve_cost cost;
    *request = (struct request){.product = rank > 1 && seed % 4 == 0};
    struct convolve_spec *const spec = &request->spec;
    size_t elements;
    do {
        elements = 1;
        spec->dtype = next_random(&state) >> 63 ? CONVOLVE_FLOAT64 : CONVOLVE_FLOAT32;
        spec->mode = (enum convolve_mode)(next_random(&state) % 3);
        spec->input.rank = spec->kernel.rank = rank;
        const bool cube = next_random(&state) % 3 != 0; /* kernels are mostly as long along each axis */
        for (unsigned i = 0; i < rank; i++) {
            spec->input.size[i] = random_length(&state, 8, length_max[rank]);
            spec->kernel.size[i] = random_length(&state, 2, spec->input.size[i]);
            if (cube && i > 0 && spec->kernel.size[0] <= spec->input.size[i])
                spec->kernel.size[i] = spec->kernel.size[0];
            elements *= spec->input.size[i];
        }
    } while (elements > elements_max[rank] || elements < 64);
    convolve_cost(&cost, spec, 1, NULL);
    request->outputs = cost.output_count;
    request->output = allocate(cost.output_count * 8);
    memset(request->output, 0, cost.output_count * 8);
    fill(request, &state);
}

static void describe(const struct request *request, char *text, size_t bytes)
{
    int used = snprintf(text, bytes, "%s%s", request->spec.dtype == CONVOLVE_FLOAT32 ? "f32" : "f64",
                        request->product ? " product" : "");
    for (unsigned t = 0; t < 2; t++) {
        const struct convolve_shape *shape = t ? &request->spec.kernel : &request->spec.input;
        for (unsigned i = 0; i < shape->rank; i++)
            used += snprintf(text + used, bytes - (size_t)used, "%s%zu", i ? "x" : t ? " * " : " ", shape->size[i]);
    }
    static const char *const modes[] = {"full", "same", "valid"};
    snprintf(text + used, bytes - (size_t)used, " %s", modes[request->spec.mode]);
}

/* ---- A method --------------------------------------------------------------------------------------------------------- */

/* Memory that is there already, as a daemon's is: two areas that only grow. */
static void *reuse(unsigned area, size_t bytes)
{
    static void *memory[2];
    static size_t held[2];
    if (bytes > held[area]) {
        free(memory[area]);
        memory[area] = allocate(bytes);
        memset(memory[area], 0, bytes);
        held[area] = bytes;
    }
    return memory[area];
}

/* Seconds of one run with its plan; negative where the method cannot do the request. */
static double run_method(const struct request *request, enum convolve_method method, enum convolve_method *ran)
{
    struct convolve_plan *plan;
    struct convolve_spec spec = request->spec;
    struct convolve_outcome outcome;
    spec.method = method;
    const double before = thread_seconds();
    if (!convolve_plan_create(&plan, &spec, request->kernel, NULL))
        return -1;
    const double created = thread_seconds() - before;
    void *const scratch = reuse(0, convolve_plan_scratch_bytes(plan));
    void *const tile_scratch = reuse(1, convolve_plan_tile_scratch_bytes(plan));
    const struct convolve_run run = {
        .input = request->input, .kernel = request->kernel, .output = request->output, .scratch = scratch};
    const double since = thread_seconds();
    for (unsigned stage = 0; stage < convolve_plan_stage_count(plan); stage++)
        for (size_t tile = 0; tile < convolve_plan_tile_count(plan, stage); tile++)
            convolve_plan_run_tile(plan, &run, stage, tile, tile_scratch);
    convolve_plan_finish(plan, &run, &outcome, NULL);
    const double seconds = thread_seconds() - since + created;
    *ran = convolve_plan_method(plan);
    convolve_plan_destroy(plan);
    return seconds;
}

struct result {
    double ratio;
    char text[256];
};

/* The least time of each method, in turns; the chosen one is the method that auto ran. */
static void measure(const struct request *request, struct result *result, unsigned *best_count)
{
    double least[METHOD_COUNT];
    enum convolve_method chosen = CONVOLVE_AUTO, ran;
    struct convolve_spec spec = request->spec;
    struct convolve_cost cost;
    run_method(request, CONVOLVE_AUTO, &chosen);
    spec.method = CONVOLVE_DIRECT;
    convolve_cost(&cost, &spec, 1, NULL);
    double spent = 0;
    for (unsigned m = 0; m < METHOD_COUNT; m++)
        least[m] = -1;
    for (unsigned round = 0; round < ROUNDS_MIN || (round < 200 && spent < 0.02); round++)
        for (enum convolve_method m = CONVOLVE_DIRECT; m < METHOD_COUNT; m++) {
            if ((m == CONVOLVE_DIRECT && (double)cost.multiply_adds > multiply_adds_max && chosen != m) ||
                (m == CONVOLVE_SEPARABLE && !request->product))
                continue;
            const double seconds = run_method(request, m, &ran);
            if (seconds >= 0 && (least[m] < 0 || seconds < least[m]))
                least[m] = seconds;
            spent += seconds;
        }
    enum convolve_method best = chosen;
    for (enum convolve_method m = CONVOLVE_DIRECT; m < METHOD_COUNT; m++)
        if (least[m] >= 0 && least[m] < least[best])
            best = m;
    best_count[best]++;
    result->ratio = least[chosen] / least[best];
    char what[128];
    describe(request, what, sizeof what);
    snprintf(result->text, sizeof result->text,
             "%5.2f  %-11s best %-11s direct %9.1f separable %9.1f fft %9.1f overlap_add %9.1f us  %s", result->ratio,
             convolve_method_name(chosen), convolve_method_name(best), least[CONVOLVE_DIRECT] * 1e6,
             least[CONVOLVE_SEPARABLE] * 1e6, least[CONVOLVE_FFT] * 1e6, least[CONVOLVE_OVERLAP_ADD] * 1e6, what);
}

static int compare_results(const void *a, const void *b)
{
    const double x = ((const struct result *)a)->ratio, y = ((const struct result *)b)->ratio;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    const size_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 200,
                 first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    struct result *const results = allocate(count * sizeof *results);
    unsigned best_count[METHOD_COUNT] = {0};
    if (count == 0)
        return 2;
    for (size_t i = 0; i < count; i++) {
        struct request request;
        make_request(&request, first + i);
        measure(&request, &results[i], best_count);
        free(request.input), free(request.kernel), free(request.output);
    }
    qsort(results, count, sizeof *results, compare_results);
    const double median = results[count / 2].ratio, worst = results[count - 1].ratio;
    const size_t shown = argc > 3 || count < 12 ? count : 12;
    printf("time of the method chosen / of the best, worst last (-1: not run)\n");
    for (size_t i = count - shown; i < count; i++)
        printf("%s\n", results[i].text);
    printf("%zu requests: median %.2f, worst %.2f; best:", count, median, worst);
    for (enum convolve_method m = CONVOLVE_DIRECT; m < METHOD_COUNT; m++)
        printf(" %s %u", convolve_method_name(m), best_count[m]);
    printf("\n");
    free(results);
    return median > 1.15 || worst > 2;
}
