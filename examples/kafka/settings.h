/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Settings of the broker: one table, with Kafka's own names where it has one.
 *
 * Those of the node below it are the library's properties.  Both are set
 * with -X; the names of these have dots, the library's have none.
 */
#ifndef KAFKA_SETTINGS_H
#define KAFKA_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

/** Every setting: field, name, default, smallest, largest value, text. */
#define SETTINGS(X)                                                            \
    X(auto_create, "auto.create.topics.enable", 1, 0, 1,                       \
      "Create a topic when a client asks for one that is not there.")          \
    X(num_partitions, "num.partitions", 1, 1, 10000,                           \
      "Partitions of a topic that does not say how many.")                     \
    X(delete_enable, "delete.topic.enable", 1, 0, 1,                           \
      "Let clients delete topics.")                                            \
    X(message_max, "message.max.bytes", 1048588, 1024, 16777216,               \
      "Largest record batch, compressed; topics may set max.message.bytes.")   \
    X(append_time, "log.message.timestamp.append", 0, 0, 1,                    \
      "Topics keep the time of append instead of the producer's, unless they " \
      "set message.timestamp.type.")                                           \
    X(timestamp_after, "log.message.timestamp.after.max.ms", 3600000, 0,       \
      INT64_MAX, "How far in the future a record's timestamp may lie.")        \
    X(look_inside, "validate.compressed", 0, 0, 1,                             \
      "Decompress batches to validate their records.  Records that are not "   \
      "compressed, and checksums, are always validated.")                      \
    X(inside_max, "validate.max.bytes", 67108864, 1048576, 1073741824,         \
      "Most bytes that a batch may decompress to, where the server does so "   \
      "(validation and timestamp lookup).")                                    \
    X(request_max, "socket.request.max.bytes", 33554432, 65536, 104857600,     \
      "Largest request.")                                                      \
    X(memory_max, "queued.max.bytes", 134217728, 1048576, INT64_MAX,           \
      "Memory for requests and responses of all connections; when it is "      \
      "spent, the server reads no more until some is free.")                   \
    X(fetch_max, "fetch.max.bytes", 16777216, 1024, 1073741824,                \
      "Largest response to a fetch, but for a first batch that is larger.")    \
    X(connections_max, "max.connections", 1000, 1, 1000000,                    \
      "Connections at one time.")                                              \
    X(connections_ip, "max.connections.per.ip", 1000, 1, 1000000,              \
      "Connections at one time from one address.")                             \
    X(idle_ms, "connections.max.idle.ms", 600000, 1000, INT64_MAX,             \
      "Close a connection that is silent for so long.")                        \
    X(stall_ms, "connections.max.stall.ms", 30000, 1000, INT64_MAX,            \
      "Close a connection in the middle of a request or response of which "    \
      "nothing has moved for so long.")                                        \
    X(producer_expiration, "producer.id.expiration.ms", 86400000, 1,           \
      INT64_MAX, "Forget an idempotent producer that is silent for so long.")  \
    X(producers_max, "producer.ids.max", 5000, 1, 1000000,                     \
      "Idempotent producers remembered for each partition.")                   \
    X(topics_max, "topics.max", 10000, 1, 1000000, "Topics, at most.")         \
    X(partitions_max, "partitions.max", 100000, 1, 10000000,                   \
      "Partitions of all topics together, at most.")

/** Values of the settings. */
struct settings {
#define SETTINGS_FIELD(field, name, def, min, max, text) int64_t field;
    SETTINGS(SETTINGS_FIELD)
#undef SETTINGS_FIELD
};

/** Set all to their defaults. */
void settings_init(struct settings *settings);

/** Outcome of `settings_set`. */
enum settings_status {
    SETTINGS_OK,
    SETTINGS_UNKNOWN, /* No such name. */
    SETTINGS_INVALID  /* Not a value of this one. */
};

/**
 * Set one by its name.
 *
 * @param expected  Out, for SETTINGS_INVALID: what a value must be.
 */
enum settings_status settings_set(struct settings *settings, const char *name,
                                  const char *value, char expected[96]);

/** Print the table to standard output. */
void settings_print(void);

/** Read a number from `text`, all of it, between `min` and `max`. */
bool parse_number(const char *text, int64_t min, int64_t max, int64_t *out);

#endif
