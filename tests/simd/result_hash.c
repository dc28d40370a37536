/* SPDX-License-Identifier: MIT */
/* Whether results are the same everywhere: seeded requests of every kind through each method, on every instruction set this
 * CPU has. Prints a hash of all outputs for each method and dtype, to be compared with another machine's (tools/arm64.sh);
 * fails where two sets of this one differ. NaNs count as one value: which of them an operation makes is the CPU's choice. */
#include "core/convolve.h"
#include "core/simd/routines.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUESTS = 100, INPUT_MAX = 3000, KERNEL_MAX = 200 };

static uint64_t random_state;

static uint64_t random_bits(void)
{
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static size_t random_below(size_t bound)
{
    return (size_t)(random_bits() % bound);
}

static void *allocate(size_t bytes)
{
    void *const memory =
        aligned_alloc(CONVOLVE_ALIGNMENT, (bytes + CONVOLVE_ALIGNMENT) & ~(size_t)(CONVOLVE_ALIGNMENT - 1));
    if (!memory)
        abort();
    return memory;
}

/* ---- Requests --------------------------------------------------------------------------------------------------------- */

static void make_lengths(struct convolve_shape *shape, unsigned rank, size_t budget)
{
    shape->rank = rank;
    for (unsigned i = 0; i < rank; i++) {
        const size_t most = i + 1 < rank && budget > 40 ? 40 : budget;
        shape->size[i] = 1 + random_below(most);
        budget /= shape->size[i];
    }
}

static void make_steps(struct convolve_per_axis *member)
{
    if (random_below(3) == 0)
        *member = (struct convolve_per_axis){.given = true, .scalar = true, .value[0] = 1 + random_below(3)};
}

/* A request that its method accepts. */
static void make_spec(struct convolve_spec *spec, struct convolve_cost *cost, enum convolve_method method,
                      enum convolve_dtype dtype)
{
    do {
        const unsigned rank = 1 + (unsigned)random_below(3);
        *spec = (struct convolve_spec){.method = method,
                                       .dtype = dtype,
                                       .operation = random_below(2),
                                       .mode = random_below(3),
                                       .boundary = random_below(5),
                                       .fillvalue = {.integer = 3, .real = 0.3, .imag = -0.7}};
        make_lengths(&spec->input, rank, INPUT_MAX);
        make_lengths(&spec->kernel, rank, KERNEL_MAX);
        if (random_below(2)) {
            make_steps(&spec->stride);
            make_steps(&spec->dilation);
        }
    } while (!convolve_cost(cost, spec, 1, NULL) || cost->method != method);
}

static bool is_single(enum convolve_dtype dtype)
{
    return dtype == CONVOLVE_FLOAT32 || dtype == CONVOLVE_COMPLEX64;
}

/* Numbers in -1 .. 1 or, with int64, of 20 bits; `special`: with an infinity and a NaN among them. */
static void fill(enum convolve_dtype dtype, bool special, void *values, size_t count)
{
    count *= convolve_dtype_is_complex(dtype) ? 2 : 1;
    const size_t infinity = special ? random_below(count) : count, nan = special ? random_below(count) : count;
    for (size_t i = 0; i < count; i++) {
        const int64_t bits = (int64_t)random_bits();
        const double real = i == nan ? (double)NAN : i == infinity ? (double)INFINITY : (double)bits * 0x1p-63;
        if (dtype == CONVOLVE_INT64)
            ((int64_t *)values)[i] = bits >> 44;
        else if (is_single(dtype))
            ((float *)values)[i] = (float)real;
        else
            ((double *)values)[i] = real;
    }
}

/* An outer product, which is what only `separable` needs. */
static void make_outer_product(const struct convolve_spec *spec, void *values, size_t count)
{
    const size_t parts = convolve_dtype_is_complex(spec->dtype) ? 2 : 1;
    for (size_t i = 0; i < count * parts; i++) {
        size_t rest = i / parts;
        int64_t product = i % parts ? 0 : 1;
        for (unsigned axis = spec->kernel.rank; axis-- > 0; rest /= spec->kernel.size[axis])
            product *= (int64_t)(rest % spec->kernel.size[axis] * 5 % 7 + 1);
        if (spec->dtype == CONVOLVE_INT64)
            ((int64_t *)values)[i] = product;
        else if (is_single(spec->dtype))
            ((float *)values)[i] = (float)product;
        else
            ((double *)values)[i] = (double)product;
    }
}

/* ---- Hashes ----------------------------------------------------------------------------------------------------------- */

static void hash_bits(uint64_t *hash, uint64_t bits)
{
    *hash = (*hash ^ bits) * UINT64_C(0x9e3779b97f4a7c15);
    *hash ^= *hash >> 29;
}

static void hash_double(uint64_t *hash, double value)
{
    uint64_t bits = UINT64_MAX;
    if (!isnan(value))
        memcpy(&bits, &value, sizeof bits);
    hash_bits(hash, bits);
}

static void hash_values(uint64_t *hash, enum convolve_dtype dtype, const void *values, size_t count)
{
    count *= convolve_dtype_is_complex(dtype) ? 2 : 1;
    for (size_t i = 0; i < count; i++) {
        if (dtype == CONVOLVE_INT64)
            hash_bits(hash, ((const uint64_t *)values)[i]);
        else
            hash_double(hash, is_single(dtype) ? (double)((const float *)values)[i] : ((const double *)values)[i]);
    }
}

static void hash_request(uint64_t *hash, enum convolve_method method, enum convolve_dtype dtype)
{
    struct convolve_spec spec;
    struct convolve_cost cost;
    struct convolve_plan *plan;
    struct convolve_outcome outcome;
    struct convolve_error error = {0};
    size_t input_count, kernel_count;
    make_spec(&spec, &cost, method, dtype);
    convolve_shape_count(&spec.input, &input_count);
    convolve_shape_count(&spec.kernel, &kernel_count);
    void *const input = allocate(input_count * convolve_dtype_bytes(dtype)),
                *const kernel = allocate(kernel_count * convolve_dtype_bytes(dtype)),
                *const output = allocate(cost.output_count * convolve_dtype_bytes(dtype));
    fill(dtype, random_below(8) == 0, input, input_count);
    fill(dtype, false, kernel, kernel_count);
    if (method == CONVOLVE_SEPARABLE)
        make_outer_product(&spec, kernel, kernel_count);
    if (convolve_plan_create(&plan, &spec, kernel, &error)) {
        if (convolve_plan_execute(plan, input, kernel, output, &outcome, &error)) {
            hash_values(hash, dtype, output, cost.output_count);
            hash_double(hash, outcome.error_bound);
            hash_bits(hash, outcome.nonfinite ? outcome.nonfinite_index : SIZE_MAX);
        }
        convolve_plan_destroy(plan);
    }
    for (size_t i = 0; error.slug && error.slug[i]; i++) /* an error is a result like any other */
        hash_bits(hash, (unsigned char)error.slug[i]);
    free(input), free(kernel), free(output);
}

static uint64_t hash_requests(enum convolve_method method, enum convolve_dtype dtype)
{
    uint64_t hash = 0;
    random_state = (uint64_t)method * 16 + dtype;
    for (unsigned i = 0; i < REQUESTS; i++)
        hash_request(&hash, method, dtype);
    return hash;
}

/* Whether the build has the method for the dtype at all. */
static bool is_there(enum convolve_method method, enum convolve_dtype dtype)
{
    const struct convolve_spec spec = {
        .method = method, .dtype = dtype, .input = {.rank = 2, .size = {8, 8}}, .kernel = {.rank = 2, .size = {2, 2}}};
    struct convolve_cost cost;
    return convolve_cost(&cost, &spec, 1, NULL) && cost.method == method;
}

/* One line for scalar and one for the others, which have to agree; with `direct` and `separable` also with scalar. Transforms
 * round otherwise in scalar, where a fused multiply-add may be a call. False where two differ. */
static bool print_hashes(enum convolve_method method, enum convolve_dtype dtype)
{
    const bool same_in_scalar = method != CONVOLVE_FFT && method != CONVOLVE_OVERLAP_ADD;
    const struct simd_routines *set;
    const char *first[2] = {0};
    uint64_t hashes[2] = {0};
    bool same = true;
    for (size_t i = 0; (set = simd_routines_at(i)); i++) {
        const unsigned vectors = strcmp(set->name, "scalar") != 0;
        if (!convolve_simd_select(set->name))
            abort();
        const uint64_t found = hash_requests(method, dtype);
        if (!first[vectors]) {
            first[vectors] = set->name;
            hashes[vectors] = found;
            printf("%-11s %-10s %s %016llx\n", convolve_method_name(method), convolve_dtype_name(dtype),
                   vectors ? "vectors" : "scalar ", (unsigned long long)found);
        }
        const unsigned against = same_in_scalar && first[0] ? 0 : vectors;
        if (found == hashes[against])
            continue;
        printf("%s %s: %s gives %016llx, %s gives %016llx\n", convolve_method_name(method), convolve_dtype_name(dtype),
               first[against], (unsigned long long)hashes[against], set->name, (unsigned long long)found);
        same = false;
    }
    return same;
}

int main(void)
{
    unsigned lines = 0, failures = 0;
    for (enum convolve_method method = CONVOLVE_DIRECT; method <= CONVOLVE_OVERLAP_ADD; method++) {
        for (unsigned dtype = 0; dtype < CONVOLVE_DTYPE_COUNT; dtype++) {
            if (!is_there(method, dtype))
                continue;
            failures += !print_hashes(method, dtype);
            lines++;
        }
    }
    return failures != 0 || lines == 0;
}
