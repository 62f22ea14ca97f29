/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * XML answers, one element at a time: the door to expat.
 *
 * No document type, so no entities but the five of XML itself; elements at
 * most 16 deep; text of one element at most WEIR__XML_TEXT bytes.  Expat
 * takes its memory from malloc: its hooks have no room for a context.
 */
#ifndef WEIR_HTTP_XML_H
#define WEIR_HTTP_XML_H

#include <weir/alloc.h>
#include <weir/error.h>

#define WEIR__XML_DEPTH 16
#define WEIR__XML_TEXT 8192
/** Longest document. */
#define WEIR__XML_SIZE (8u << 20)

/** The end of an element.
 *
 * @param path  Names of the elements that it is in and its own, without
 *              namespace prefixes: "ListBucketResult/Contents/Key".
 * @param text  Its own text, without that of elements inside of it.
 * @return 0, or a status that ends the parsing.
 */
typedef int weir__xml_fn(void *ctx, const char *path, const char *text);

/** Parse a document: 0; WEIR_EFORMAT (`err` tells line and cause);
 * WEIR_ENOMEM; or what `element` returned. */
int weir__xml_parse(const struct weir_alloc *alloc, const void *data,
                    size_t len, weir__xml_fn *element, void *ctx,
                    struct weir_error *err);

#endif
