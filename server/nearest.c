/* SPDX-License-Identifier: MIT */
/* The edit distance of Damerau, with neighbours that changed places counted as one slip. */
#include "server/nearest.h"

#include <stdbool.h>
#include <string.h>

enum { NAME_BYTES_MAX = 40 };

static char fold(char byte)
{
    if (byte >= 'A' && byte <= 'Z')
        return (char)(byte - 'A' + 'a');
    return byte == '-' ? '_' : byte;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned name_distance(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    unsigned rows[3][NAME_BYTES_MAX + 1];
    for (size_t j = 0; j <= b_bytes; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_bytes; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_bytes; j++) {
            const char x = fold(a[i - 1]), y = fold(b[j - 1]);
            row[j] = least(least(above[j] + 1, row[j - 1] + 1), above[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == fold(b[j - 2]) && y == fold(a[i - 2]))
                row[j] = least(row[j], two_above[j - 2] + 1);
        }
    }
    return rows[a_bytes % 3][b_bytes];
}

/* "warn" for "warning": an abbreviation is as good as a single slip. */
static bool is_beginning(const char *wanted, size_t wanted_bytes, const char *known)
{
    size_t same = 0;
    while (same < wanted_bytes && known[same] != '\0' && fold(wanted[same]) == fold(known[same]))
        same++;
    return same == wanted_bytes && wanted_bytes >= 3;
}

void nearest_offer(struct nearest *nearest, const char *known)
{
    const size_t wanted_bytes = strlen(nearest->wanted), known_bytes = strlen(known);
    if (wanted_bytes == 0 || wanted_bytes > NAME_BYTES_MAX || known_bytes > NAME_BYTES_MAX)
        return;
    unsigned distance = name_distance(nearest->wanted, wanted_bytes, known, known_bytes);
    if (distance > 1 && is_beginning(nearest->wanted, wanted_bytes, known))
        distance = 1;
    const unsigned tolerated = 1 + (unsigned)known_bytes / 4;
    if (distance <= tolerated && (nearest->name == NULL || distance < nearest->distance)) {
        nearest->name = known;
        nearest->distance = distance;
    }
}
