/* SPDX-License-Identifier: MIT */
/* What the daemon says of itself: health, metrics, information, and pages for people. */
#ifndef SERVER_ENDPOINTS_ABOUT_H
#define SERVER_ENDPOINTS_ABOUT_H

struct endpoint;

extern const struct endpoint endpoint_health, endpoint_ready, endpoint_metrics, endpoint_info; /* about.c */
extern const struct endpoint endpoint_root, endpoint_docs, endpoint_openapi, endpoint_problem; /* about_pages.c */
extern const struct endpoint endpoint_kernels, endpoint_kernel; /* about_kernels.c */

#endif
