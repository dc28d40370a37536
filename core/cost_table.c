/* SPDX-License-Identifier: MIT */
/* Made by `make calibrate` (tests/bench/calibrate.c): what the methods cost, measured with avx512. */
#include "core/cost_table.h"

const unsigned cost_row_taps[COST_ROW_POINTS] = {1, 2, 3, 4, 6, 8, 12, 16, 32};
const unsigned cost_line_taps[COST_LINE_POINTS] = {2, 4, 8, 11, 16, 32, 128, 512, 4096};

const struct cost_table cost_f32 = {
    .plane = {0.00f, 0.0510f, 0.0784f, 0.111f, 0.172f, 0.234f, 0.326f, 0.429f, 0.855f},
    .tap = {0.0196f, 0.0185f, 0.0181f, 0.0179f, 0.0176f, 0.0175f, 0.0174f, 0.0174f, 0.0173f},
    .square = {0.193f, 0.475f, 0.962f},
    .line = {0.00872f, 0.0146f, 0.0175f, 0.0174f, 0.0249f, 0.0233f, 0.0194f, 0.0196f, 0.0251f},
    .value = 0.0756f,
    .row = 4.42f,
    .copied = 0.518f,
    .term = 23.7f,
    .down = 0.00f,
    .down_tap = 0.0259f,
    .along = 0.00f,
    .along_tap = 0.0226f,
    .along_apart = 0.0330f,
    .gathered = 4.30f,
    .call = 197.f,
    .direct_plan = 1.48e+03f,
    .separable_plan = 2.70e+03f,
};

const struct cost_table cost_f64 = {
    .plane = {0.00f, 0.238f, 0.148f, 0.00f, 0.340f, 0.421f, 0.612f, 0.796f, 1.48f},
    .tap = {0.0372f, 0.0249f, 0.0357f, 0.0316f, 0.0346f, 0.0347f, 0.0345f, 0.0345f, 0.0346f},
    .square = {0.361f, 0.918f, 1.89f},
    .line = {0.00478f, 0.0191f, 0.0272f, 0.0324f, 0.0559f, 0.0455f, 0.0374f, 0.0369f, 0.0427f},
    .value = 0.153f,
    .row = 16.5f,
    .copied = 0.282f,
    .term = 22.8f,
    .down = 0.00556f,
    .down_tap = 0.0497f,
    .along = 0.00556f,
    .along_tap = 0.0453f,
    .along_apart = 0.0613f,
    .gathered = 5.23f,
    .call = 70.1f,
    .direct_plan = 1.49e+03f,
    .separable_plan = 2.69e+03f,
};

const struct cost_table cost_u64 = {
    .plane = {0.00f, 0.300f, 0.370f, 0.494f, 0.577f, 0.758f, 1.09f, 1.34f, 2.42f},
    .tap = {0.0451f, 0.0438f, 0.0407f, 0.0406f, 0.0407f, 0.0395f, 0.0394f, 0.0395f, 0.0395f},
    .square = {0.698f, 1.52f, 2.64f},
    .line = {0.00631f, 0.0225f, 0.0306f, 0.0366f, 0.0775f, 0.0600f, 0.0480f, 0.0472f, 0.0524f},
    .value = 0.173f,
    .row = 16.8f,
    .copied = 0.272f,
    .term = 24.1f,
    .down = 0.00f,
    .down_tap = 0.0540f,
    .along = 0.00f,
    .along_tap = 0.0516f,
    .along_apart = 0.0774f,
    .gathered = 4.38f,
    .call = 58.7f,
    .direct_plan = 1.40e+03f,
    .separable_plan = 3.27e+03f,
};

const struct cost_transforms cost_transforms = {
    .plan = {3.87e+04f, 5.72e+04f},
    .scale = 1.83f,
};
