/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Which server leads which partition: the same on all servers that see the
 * same servers, without asking anyone.
 */
#ifndef KAFKA_PLACEMENT_H
#define KAFKA_PLACEMENT_H

#include <stddef.h>
#include <stdint.h>

/**
 * Place the partitions of one topic.
 *
 * Each server gets as many as any other, or one less.  Within that a
 * partition goes to the server that ranks highest for it (rendezvous
 * hashing), so that few move when a server comes or goes.
 *
 * @param seed     Of the topic.
 * @param servers  Node ids, sorted; at least one.
 * @param leaders  Out: a node id for each partition.
 * @param load     Room for `count` numbers.
 */
void placement_make(uint64_t seed, const int32_t *servers, size_t count,
                    int32_t *leaders, size_t partitions, size_t *load);

#endif
