/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What a store can do, found out by trying it.
 *
 * Not every server that speaks S3 keeps what a node relies on: some ignore
 * the condition of a conditional create, and a node there would lose commits
 * in silence.  A node proves the most important of it whenever it opens
 * (property `probe`); this tries all of it and tells of each part.
 *
 * What is found comes as items (weir/inspect.h), in this order:
 *
 *     store   first: `backend`, such as "s3", and `uri`
 *     check   for each property: `name`, `result` ("yes" or "no") and
 *             `requests`, with the `microseconds` of all of them together;
 *             one that a node cannot do without has status WEIR_EUNSUPPORTED
 *             and a text when it is missing, any other one status 0
 *     end     last: `usable` (1: a node can use the store), `requests`
 *
 * The checks are
 *
 *     create              an object that does not exist is created
 *     conditional_create  a create fails if the key exists
 *     create_race         of creates of one key at one time one succeeds
 *     read                a read gives what was created, at once
 *     range               a part of an object, from its start or its end
 *     size                the size of an object, without its bytes
 *     missing             a key that does not exist is told as that
 *     list                a listing is complete, sorted, and can be gone on
 *                         with behind any key
 *     delete              an object is removed, and a second time is no error
 *     parts               a large object, in parts (multipart upload)
 *     delete_many         objects that are removed together are gone (one
 *                         request, where the store has such a one)
 *     hash                S3: what does not have the SHA-256 that it was
 *                         signed with is refused; nodes can do without
 *     checksum            S3: the same of a CRC32C, or of the SHA-256 where
 *                         it is not left out; nodes can do without
 *
 * and more may come with any version.
 */
#ifndef WEIR_PROBE_H
#define WEIR_PROBE_H

#include <weir/inspect.h>

WEIR_BEGIN

/**
 * Try what a store can do: the property `store`.
 *
 * Makes about sixty requests, one of them 7 MiB large and the others small,
 * all below "probe/" in the store and under names of its own, and removes what
 * it has created.  It may run beside nodes that use the store.  Blocks; runs on
 * an environment of its own.
 *
 * @param config  Configuration.
 * @param fn      Called for each item, on the calling thread.
 * @param ctx     Passed to `fn`.
 * @param err     What went wrong; may be NULL.
 * @return 0: a node can use the store; what `fn` returned; WEIR_EUNSUPPORTED
 *         (it cannot: `err` names the first property that is missing, and
 *         what to do); WEIR_EINVAL (the property is wrong); WEIR_ENOMEM;
 *         WEIR_EAGAIN (no thread); an error of the store, which leaves open
 *         what it can do.
 */
WEIR_API int weir_probe(const struct weir_config *config, weir_inspect_fn *fn,
                        void *ctx, struct weir_error *err);

WEIR_END

#endif
