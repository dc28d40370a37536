/* SPDX-License-Identifier: MIT */
/* The fast way for "number, number, number": one by one (json_numbers_one.c), and long stretches side by side, by the routines
 * of the instruction set in use (simd/read.h). What neither can take is left at its first byte to the byte machine. */
#include "server/formats/json_numbers_one.h"

enum {
    GUESS_COUNT_MIN = 256, /* numbers, before the rest is foretold from them */
    SIDE_BY_SIDE_BYTES_MIN = 192,
    BUDGET_MIN = 4,
    BUDGET_MAX = 64,
};

/* How many numbers are likely to follow `at`, by how densely they stood so far; 0: who knows. */
static size_t guess_more(const struct json_run *run, const char *at)
{
    const struct json_numbers *numbers = run->numbers;
    if (numbers->count < GUESS_COUNT_MIN)
        return 0;
    const double left = (double)run->stretch->left + (double)(run->stretch->end - at);
    const double taken = (double)numbers->text_taken + (double)(at - run->began);
    const double more = left * (double)numbers->count / taken * 1.01;
    return (size_t)(more < left / 2 ? more : left / 2) + NUMBER_READ_ROOM;
}

bool json_run_room(const struct json_run *run, const char *at, size_t count)
{
    return json_numbers_reserve(run->numbers, count, guess_more(run, at));
}

/* ---- Side by side ---- */

/* False: the list, or one that holds it, has more items than the shape allows. */
static bool rows_to_reading(struct number_reading *reading, const struct json_rows *rows)
{
    reading->axes = rows->depth;
    for (unsigned axis = 0; axis < rows->depth; axis++) {
        const bool inner = axis + 1 == rows->depth;
        if (rows->size_known[axis] && rows->index[axis] + !inner > rows->size[axis])
            return false;
        reading->size[axis] = rows->size_known[axis] ? rows->size[axis] : SIZE_MAX;
        reading->left[axis] = reading->size[axis] - (rows->size_known[axis] ? rows->index[axis] : 0);
    }
    return true;
}

/* `count` numbers more, in lists as long as the shape has them. */
static void rows_advance(struct json_rows *rows, size_t count)
{
    unsigned axis = rows->depth - 1;
    rows->index[axis] += count;
    if (!rows->size_known[axis] || rows->index[axis] <= rows->size[axis])
        return;
    size_t ended = (rows->index[axis] - 1) / rows->size[axis]; /* the last list is full, perhaps, but open */
    rows->index[axis] -= ended * rows->size[axis];
    while (ended > 0 && axis-- > 0) {
        rows->index[axis] += ended;
        ended = 0;
        if (rows->size_known[axis]) {
            ended = rows->index[axis] / rows->size[axis];
            rows->index[axis] %= rows->size[axis];
        }
    }
}

/* From behind a number to behind a number. NULL: no memory. */
static const char *run_side_by_side(const struct json_run *run, number_read_run *read, struct json_rows *rows,
                                    const char *at)
{
    struct json_numbers *numbers = run->numbers;
    struct number_reading reading;
    do {
        reading = (struct number_reading){.end = run->stretch->end, .axes = 1, .left = {SIZE_MAX}, .size = {SIZE_MAX}};
        if (rows && !rows_to_reading(&reading, rows))
            return at;
        const size_t room = NUMBER_READ_ROOM_FOR((size_t)(run->stretch->end - at));
        if (!json_run_room(run, at, room < NUMBER_READ_ROOM ? room : NUMBER_READ_ROOM))
            return NULL;
        reading.values = numbers->values;
        reading.count = numbers->count;
        reading.room = numbers->capacity;
        reading.form = numbers->form;
        reading.beyond_index = numbers->beyond_float32_index;
        at = read(&reading, at);
        if (reading.form != numbers->form) {
            numbers->inexact_index = reading.fraction_index;
            numbers->inexact_kind = JSON_NUMBER_FRACTION;
            numbers->form = reading.form;
        }
        if (rows)
            rows_advance(rows, reading.count - numbers->count);
        numbers->negative_zero |= reading.negative_zero;
        numbers->beyond_float32_index = reading.beyond_index;
        numbers->count = reading.count;
    } while (reading.full);
    return at;
}

const char *json_numbers_run(struct json_numbers *numbers, struct json_rows *rows, const struct json_stretch *stretch,
                             const char *at, bool *after)
{
    struct json_run run = {numbers, stretch, at, SIZE_MAX};
    number_read_run *read = NULL;
    *after = false;
    if (stretch->end - at >= SIDE_BY_SIDE_BYTES_MIN && (read = number_reader()->run))
        run.budget = BUDGET_MIN;
    for (;;) {
        const size_t before = numbers->count;
        const enum json_stop stop = json_numbers_one_by_one(&run, &at);
        if (rows)
            rows->index[rows->depth - 1] += numbers->count - before;
        *after = stop == STOP_AFTER;
        if (stop == STOP_MEMORY)
            return NULL;
        if (stop != STOP_COUNT)
            break;
        if (at - stretch->begin >= NUMBER_READ_BEHIND && stretch->end - at >= NUMBER_READ_AHEAD) {
            const size_t here = numbers->count;
            at = run_side_by_side(&run, read, rows, at);
            if (!at)
                return NULL;
            /* Where little is regular, the others are not tried so often. */
            if (numbers->count - here >= BUDGET_MAX)
                run.budget = BUDGET_MIN;
            else if (run.budget < BUDGET_MAX)
                run.budget *= 2;
        }
        if (stretch->end - at < NUMBER_READ_AHEAD)
            run.budget = SIZE_MAX;
        if (!json_next_value(&at, stretch->limit, after))
            break;
    }
    numbers->text_taken += (uint64_t)(at - run.began);
    return at;
}
