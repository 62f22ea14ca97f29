/* SPDX-License-Identifier: Apache-2.0 */
/* XML from a server: no path is longer or deeper than promised, no text
 * longer, and what is refused says why. */
#include "http/xml.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int check_element(void *ctx, const char *path, const char *text)
{
    size_t *elements = ctx;
    size_t depth = 1;

    for (const char *p = path; *p != '\0'; p++)
        depth += *p == '/';
    if (depth > WEIR__XML_DEPTH || strlen(text) > WEIR__XML_TEXT)
        abort();
    ++*elements;
    return *elements > 10000 ? WEIR_ERANGE : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_error err = {0};
    size_t elements = 0;
    int rc = weir__xml_parse(weir_alloc_default(), data, size, check_element,
                             &elements, &err);

    if (rc == 0 && elements == 0)
        abort();
    if (rc == WEIR_EFORMAT && err.text[0] == '\0')
        abort();
    if (rc != 0 && rc != WEIR_EFORMAT && rc != WEIR_ERANGE)
        abort();
    return 0;
}
