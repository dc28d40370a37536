/* SPDX-License-Identifier: MIT */
/* SHA-256 (FIPS 180-4) of a text in memory, for API keys that are stored as hashes. */
#ifndef SERVER_SHA256_H
#define SERVER_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_BYTES = 32 };

void sha256(uint8_t out[SHA256_BYTES], const void *bytes, size_t count);

#endif
