/* SPDX-License-Identifier: Apache-2.0 */
#include "base/config.h"

const struct weir_property *weir_config_properties(size_t *count)
{
    static const struct weir_property table[] = {
#define ROW(id, name, kind, value, least, most, list, what)                    \
    {                                                                          \
        .key = (name),                                                         \
        .type = WEIR_TYPE_##kind,                                              \
        .def = (value),                                                        \
        .min = (least),                                                        \
        .max = (most),                                                         \
        .words = (list),                                                       \
        .text = (what),                                                        \
    },
        WEIR__PROPERTIES(ROW)
#undef ROW
    };

    *count = WEIR__P_COUNT;
    return table;
}
