/* SPDX-License-Identifier: MIT */
/* A few places in each thread, which are used in turn. A spec is compared byte by byte, padding too: one that differs in nothing
 * else is only planned once more. */
#include "server/endpoints/kept_plan.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "server/admission.h"

enum { PLACES = 4 };

struct place {
    bool used;
    unsigned threads;
    struct convolve_spec spec;
    struct convolve_cost cost;
    struct convolve_draft *draft; /* its memory is kept from plan to plan */
    struct convolve_plan *plan;
};

struct places {
    struct place place[PLACES];
    unsigned next; /* for another spec; one that fails spoils no other place */
};

static _Thread_local struct places *mine;
static pthread_key_t key; /* frees them with their thread */
static bool key_made;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void place_empty(struct place *place)
{
    convolve_plan_destroy(place->plan);
    place->plan = NULL;
    place->used = false;
}

static void free_places(void *memory)
{
    struct places *places = memory;
    for (unsigned i = 0; i < PLACES; i++) {
        place_empty(&places->place[i]);
        free(places->place[i].draft);
    }
    free(places);
    mine = NULL;
}

static void make_key(void)
{
    key_made = pthread_key_create(&key, free_places) == 0;
}

static struct places *get_places(void)
{
    if (mine)
        return mine;
    pthread_once(&once, make_key);
    struct places *places = key_made ? calloc(1, sizeof *places) : NULL;
    if (!places)
        return NULL;
    if (pthread_setspecific(key, places) != 0) {
        free(places);
        return NULL;
    }
    return mine = places;
}

static bool place_fill(struct place *place, const struct convolve_spec *spec, unsigned threads)
{
    place_empty(place);
    if (!place->draft)
        place->draft = malloc(convolve_draft_bytes());
    place->used = place->draft && convolve_draft_derive(place->draft, &place->cost, spec, threads, NULL) &&
                  admission_is_tiny(&place->cost) && convolve_draft_suits_every_kernel(place->draft) &&
                  convolve_draft_plan(&place->plan, place->draft, NULL, NULL);
    place->spec = *spec;
    place->threads = threads;
    return place->used;
}

bool kept_plan_find(struct kept_plan *found, const struct convolve_spec *spec, unsigned threads)
{
    struct places *places = get_places();
    struct place *place = NULL;
    if (!places)
        return false;
    for (unsigned i = 0; i < PLACES && !place; i++) {
        struct place *known = &places->place[i];
        if (known->used && known->threads == threads && memcmp(&known->spec, spec, sizeof *spec) == 0)
            place = known;
    }
    if (!place) {
        place = &places->place[places->next];
        if (!place_fill(place, spec, threads))
            return false;
        places->next = (places->next + 1) % PLACES;
    }
    *found = (struct kept_plan){place->plan, &place->cost};
    return true;
}
