/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * JSON answers: the door to jansson.
 *
 * A document of at most WEIR__JSON_SIZE bytes, nested at most as deep as
 * jansson allows (2,048).  Jansson takes its memory from malloc: its hooks are
 * of the whole process, which is the host's to decide.
 */
#ifndef WEIR_HTTP_JSON_H
#define WEIR_HTTP_JSON_H

#include <stddef.h>
#include <stdint.h>
#include <weir/error.h>

/** Longest document. */
#define WEIR__JSON_SIZE (8u << 20)

/** A value in a document: lives as long as the document.  Every function
 * takes NULL, for a value that is not there. */
struct weir__json;

/** Parse a document: free it.  0; WEIR_EFORMAT (`err` tells line and cause);
 * WEIR_ETOOBIG. */
int weir__json_parse(struct weir__json **out, const void *data, size_t len,
                     struct weir_error *err);
/** Overwrite its texts and free it; NULL is fine. */
void weir__json_free(struct weir__json *document);

/** Member of an object, or NULL. */
struct weir__json *weir__json_get(const struct weir__json *value,
                                  const char *name);
/** Element of an array, or NULL. */
struct weir__json *weir__json_at(const struct weir__json *value, size_t i);
/** Elements of an array; 0 for all else. */
size_t weir__json_count(const struct weir__json *value);
/** Text, without zeros in it; NULL for all else. */
const char *weir__json_text(const struct weir__json *value);
/** A whole number, also one that is written as a text of digits, as protocol
 * buffers write 64-bit ones; `otherwise` for all else. */
int64_t weir__json_number(const struct weir__json *value, int64_t otherwise);
/** 1: the value `true`; 0 for all else. */
int weir__json_true(const struct weir__json *value);

#endif
