#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The simulation reaches every rare state that the library marks: a build that
# counts them (make MARKS=1) runs some seeds, always the same.
set -eu
cd "$(dirname "$0")/../.."
make --no-print-directory -j2 MARKS=1 build/marks/weir-sim >/dev/null
build/marks/weir-sim --seeds 1..480 --quiet --all-marks
