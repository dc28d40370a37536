/* SPDX-License-Identifier: MIT */
/* Kept plans: found again for the very same spec, never for another, made only of what is tiny and sound, and as good for the tenth
 * kernel as for the first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <pthread.h>
#include <string.h>
#include <cmocka.h>

#include "server/endpoints/kept_plan.h"

enum { SIDE = 6, KERNEL_SIDE = 3, ROUNDS = 10, ELEMENTS = 64 };

static struct convolve_spec tiny_spec(size_t side)
{
    struct convolve_spec spec;
    memset(&spec, 0, sizeof spec);
    spec.input = (struct convolve_shape){2, {side, side}};
    spec.kernel = (struct convolve_shape){2, {KERNEL_SIDE, KERNEL_SIDE}};
    spec.mode = CONVOLVE_VALID;
    return spec;
}

static void finds_the_same_again(void **state)
{
    (void)state;
    const struct convolve_spec spec = tiny_spec(SIDE);
    struct convolve_spec other = spec;
    struct kept_plan first, second;
    other.boundary = CONVOLVE_WRAP;
    assert_true(kept_plan_find(&first, &spec, 2));
    assert_true(kept_plan_find(&second, &other, 2));
    assert_ptr_not_equal(first.plan, second.plan);
    assert_true(kept_plan_find(&second, &spec, 2));
    assert_ptr_equal(first.plan, second.plan);
    assert_true(kept_plan_find(&second, &spec, 3)); /* what it costs depends on the threads */
    assert_ptr_not_equal(first.plan, second.plan);
}

static void knows_many_specs_apart(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        for (size_t side = KERNEL_SIDE; side < 20; side++) {
            const struct convolve_spec spec = tiny_spec(side);
            struct convolve_cost cost;
            struct kept_plan found;
            assert_true(kept_plan_find(&found, &spec, 1));
            assert_true(convolve_cost(&cost, &spec, 1, NULL));
            assert_int_equal(convolve_plan_output(found.plan)->size[0], side - KERNEL_SIDE + 1);
            assert_int_equal(found.cost->output_count, cost.output_count);
            assert_int_equal(found.cost->multiply_adds, cost.multiply_adds);
            assert_int_equal(found.cost->tensor_bytes, cost.tensor_bytes);
            assert_int_equal(found.cost->scratch_bytes, cost.scratch_bytes);
            assert_int_equal(found.cost->method, cost.method);
        }
    }
}

static void leaves_what_it_cannot_keep(void **state)
{
    (void)state;
    struct convolve_spec spec = tiny_spec(SIDE);
    struct kept_plan found, before;
    assert_true(kept_plan_find(&before, &spec, 1));
    spec.method = CONVOLVE_SEPARABLE; /* depends on the kernel's values */
    assert_false(kept_plan_find(&found, &spec, 1));
    spec = tiny_spec(1000);
    assert_false(kept_plan_find(&found, &spec, 1));
    spec = tiny_spec(SIDE);
    spec.kernel.rank = 1; /* a fault */
    assert_false(kept_plan_find(&found, &spec, 1));
    spec = tiny_spec(SIDE);
    assert_true(kept_plan_find(&found, &spec, 1));
    assert_ptr_equal(found.plan, before.plan);
}

static void suits_every_kernel(void **state)
{
    (void)state;
    static _Alignas(CONVOLVE_ALIGNMENT) double input[ELEMENTS], kernel[ELEMENTS], output[2][ELEMENTS];
    const struct convolve_spec spec = tiny_spec(SIDE);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct kept_plan found;
        struct convolve_plan *plan;
        struct convolve_outcome outcomes[2];
        for (unsigned i = 0; i < ELEMENTS; i++) {
            input[i] = (double)(i * 7 % 11) - round;
            kernel[i] = round % 2 ? 1 : 0.1 * (double)(i * (round + 3) % 13);
        }
        assert_true(kept_plan_find(&found, &spec, 1));
        assert_true(convolve_plan_create(&plan, &spec, kernel, NULL));
        assert_true(convolve_plan_execute(found.plan, input, kernel, output[0], &outcomes[0], NULL));
        assert_true(convolve_plan_execute(plan, input, kernel, output[1], &outcomes[1], NULL));
        assert_int_equal(convolve_plan_method(found.plan), convolve_plan_method(plan));
        assert_memory_equal(output[0], output[1], sizeof output[0]);
        assert_memory_equal(&outcomes[0].error_bound, &outcomes[1].error_bound, sizeof(double));
        convolve_plan_destroy(plan);
    }
}

static void *find_in_thread(void *result)
{
    const struct convolve_spec spec = tiny_spec(SIDE);
    kept_plan_find(result, &spec, 1);
    return NULL;
}

/* A thread takes its plans with it: leaks are a sanitizer's to see. */
static void each_thread_has_its_own(void **state)
{
    (void)state;
    const struct convolve_spec spec = tiny_spec(SIDE);
    struct kept_plan mine, its = {0};
    pthread_t thread;
    assert_true(kept_plan_find(&mine, &spec, 1));
    assert_int_equal(pthread_create(&thread, NULL, find_in_thread, &its), 0);
    pthread_join(thread, NULL);
    assert_non_null(its.plan);
    assert_ptr_not_equal(mine.plan, its.plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_same_again),       cmocka_unit_test(knows_many_specs_apart),
        cmocka_unit_test(leaves_what_it_cannot_keep), cmocka_unit_test(suits_every_kernel),
        cmocka_unit_test(each_thread_has_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
