/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Inside view of a configuration.
 */
#ifndef WEIR_BASE_CONFIG_H
#define WEIR_BASE_CONFIG_H

#include <weir/s3_keys.h>

/** Number of a property in the table; WEIR__P_<key in capitals>. */
#define WEIR__PROPERTIES(X)                                                    \
    X(STORE, "store", URI, "mem:", 0, 0, "",                                   \
      "Object store: mem:, dir:/path, s3://bucket/prefix?endpoint=...&"        \
      "region=...&path_style=true, or a scheme of the host's.")                \
    X(WAL, "wal", URI, "mem:", 0, 0, "",                                       \
      "Write-ahead log: mem:, object: (in the store), file:/path?size=256MiB " \
      "(a file or a block device), or a scheme of the host's.")                \
    X(MANIFEST, "manifest", URI, "store:", 0, 0, "",                           \
      "Where the manifest's log is: store: (in the object store), or "         \
      "etcd://HOST:PORT,HOST:PORT/PREFIX?tls=true.")                           \
    X(NODE_ID, "node_id", INT, "1", 1, 1000000, "",                            \
      "Number of this node in its cluster; one process has it at a time.")     \
    X(READ_ONLY, "read_only", BOOL, "false", 0, 1, "",                         \
      "Open without a WAL and change nothing: see what is in objects.")        \
    X(DRIVER, "driver", BOOL, "false", 0, 1, "",                               \
      "Have a thread of the library drive the node and run the callbacks.")    \
    X(WORKERS, "workers", INT, "2", 1, 64, "",                                 \
      "Threads that compress, decompress and check objects.")                  \
    X(LOG_CACHE, "log_cache", SIZE, "256MiB", 4194304, INT64_MAX, "",          \
      "Memory for what was appended: the WAL's write buffers, everything "     \
      "not yet in objects, and the newest data for readers.")                  \
    X(BLOCK_CACHE, "block_cache", SIZE, "64MiB", 0, INT64_MAX, "",             \
      "Memory for decompressed blocks of objects.")                            \
    X(INDEX_CACHE, "index_cache", SIZE, "8MiB", 0, INT64_MAX, "",              \
      "Memory for the indexes of objects.")                                    \
    X(MAX_BATCH, "max_batch", SIZE, "16MiB", 1024, 67108864, "",               \
      "Largest payload of one append.")                                        \
    X(SEGMENT, "segment", SIZE, "1MiB", 65536, 67108864, "",                   \
      "Size of a piece of the log cache, allocated and freed as a whole.")     \
    X(UPLOAD_BYTES, "upload_bytes", SIZE, "64MiB", 4096, INT64_MAX, "",        \
      "Upload when so much payload is not yet in objects.")                    \
    X(UPLOAD_INTERVAL, "upload_interval", DURATION, "10s", 1000000, INT64_MAX, \
      "", "Upload when the oldest payload not yet in objects is so old.")      \
    X(STREAM_OBJECT, "stream_object", SIZE, "8MiB", 4096, INT64_MAX, "",       \
      "A stream with so much to upload gets an object of its own; the rest "   \
      "share set objects.")                                                    \
    X(BLOCK, "block", SIZE, "512KiB", 4096, 16777216, "",                      \
      "Payload in one block of an object, before compression.")                \
    X(COMPRESSION, "compression", ENUM, "lz4", 0, 0, "lz4|none",               \
      "How blocks are compressed, unless that does not pay.")                  \
    X(READAHEAD, "readahead", SIZE, "8MiB", 0, 1073741824, "",                 \
      "How far ahead of a sequential reader blocks are read, at most.")        \
    X(DELETE_GRACE, "delete_grace", DURATION, "10min", 0, INT64_MAX, "",       \
      "How long an object that nothing names any more stays in the store, "    \
      "for readers on other nodes.")                                           \
    X(SNAPSHOT_COMMITS, "snapshot_commits", INT, "256", 1, 1000000, "",        \
      "Manifest commits between two snapshots.")                               \
    X(COMMIT_TIMEOUT, "commit_timeout", DURATION, "1min", 0, INT64_MAX, "",    \
      "How long a request waits for the manifest while that cannot be "        \
      "reached; the request then ends with WEIR_ETIMEDOUT, or WEIR_EUNKNOWN "  \
      "if it may have been sent.  An opening or a takeover of a node that "    \
      "lives on meanwhile begins once more within that time.  0: as long as "  \
      "it takes.")                                                             \
    X(LEASE, "lease", DURATION, "0s", 0, INT64_C(3600000000000), "",           \
      "How long this node counts as alive without a commit; it makes one "     \
      "when there was none for a third of it.  When it has run out, other "    \
      "nodes may "                                                             \
      "take this one over.  0: it counts as alive until it closes.")           \
    X(FOLLOW, "follow", DURATION, "0s", 0, INT64_C(3600000000000), "",         \
      "How often the manifest is read for what other nodes have committed; "   \
      "0: when something waits for it, each second while keys are watched, "   \
      "and with this node's own commits.  A manifest that tells of commits "   \
      "(etcd:) is read when it does, and else twice a minute at most.")        \
    X(TAIL_POLL, "tail_poll", DURATION, "500ms", 0, INT64_C(3600000000000),    \
      "",                                                                      \
      "While fetches wait for what other nodes append, their logs are "        \
      "read at least so often, where they are in the store (wal=object:); "    \
      "eight times as often just after something was found.  0: never, only "  \
      "what is in objects is seen of other nodes' streams.")                   \
    X(TAIL_CACHE, "tail_cache", SIZE, "32MiB", 0, INT64_MAX, "",               \
      "Memory for what was read of other nodes' logs.")                        \
    X(WAL_ABANDON, "wal_abandon", BOOL, "false", 0, 1, "",                     \
      "Open with this write-ahead log although the node's last one was "       \
      "another, and may hold acknowledged data.  Loses that data.")            \
    X(WAL_SALVAGE, "wal_salvage", BOOL, "false", 0, 1, "",                     \
      "Open although acknowledged records in the WAL are damaged beyond "      \
      "telling whose they are, with what can be read.  Loses data.")           \
    X(PROBE, "probe", BOOL, "true", 0, 1, "",                                  \
      "When a node opens on an s3: store, prove first that the bucket has "    \
      "what a node relies on, with about nine requests.")                      \
    X(ETCD_USER, "etcd_user", STRING, "", 0, 0, "",                            \
      "Who logs in at the etcd of an etcd: manifest; nobody if it is empty.")  \
    X(ETCD_PASSWORD, "etcd_password", SECRET, "", 0, 0, "", "Their password.") \
    X(ETCD_CA_FILE, "etcd_ca_file", STRING, "", 0, 0, "",                      \
      "File of CA certificates (PEM) to trust instead of the system's.")       \
    X(ETCD_CERT_FILE, "etcd_cert_file", STRING, "", 0, 0, "",                  \
      "File of the certificate (PEM) that is shown to etcd.")                  \
    X(ETCD_KEY_FILE, "etcd_key_file", STRING, "", 0, 0, "",                    \
      "File of its private key (PEM).")                                        \
    X(ETCD_TIMEOUT, "etcd_timeout", DURATION, "15s", 1000000, INT64_MAX, "",   \
      "Longest that one request to etcd may take, with all its attempts.")     \
    X(ETCD_ATTEMPT_TIMEOUT, "etcd_attempt_timeout", DURATION, "2s", 1000000,   \
      INT64_MAX, "",                                                           \
      "After so long without an answer another member is asked.")              \
    X(S3_CREDENTIALS, "s3_credentials", ENUM, "config", 0, 0,                  \
      "config|chain|environment|web-identity|profile|container|instance",      \
      "Where the keys of an s3: store come from.  config: s3_access_key and "  \
      "the like.  The others are those of the AWS tools, and read the "        \
      "environment variables of these: keys in the environment, a token to "   \
      "exchange at STS, a profile in a file, the endpoint of a container, "    \
      "that of an instance (IMDSv2); chain: s3_access_key if it is set, else " \
      "these in this order.")                                                  \
    X(S3_ACCESS_KEY, "s3_access_key", STRING, "", 0, 0, "",                    \
      "Access key of an s3: store.")                                           \
    X(S3_SECRET_KEY, "s3_secret_key", SECRET, "", 0, 0, "",                    \
      "Secret key of an s3: store.")                                           \
    X(S3_SESSION_TOKEN, "s3_session_token", SECRET, "", 0, 0, "",              \
      "Session token of temporary credentials.")                               \
    X(S3_CA_FILE, "s3_ca_file", STRING, "", 0, 0, "",                          \
      "File of CA certificates (PEM) to trust instead of the system's.")       \
    X(S3_TIMEOUT, "s3_timeout", DURATION, "60s", 1000000, INT64_MAX, "",       \
      "Longest that one request to the store may take, with all its "          \
      "attempts.")                                                             \
    X(S3_ATTEMPTS, "s3_attempts", INT, "8", 1, 100, "",                        \
      "How often a request to the store is sent, at most, when it fails in "   \
      "a way that may pass.")                                                  \
    X(S3_ATTEMPT_TIMEOUT, "s3_attempt_timeout", DURATION, "10s", 1000000,      \
      INT64_MAX, "",                                                           \
      "Longest that one attempt of a request to the store may take, and for "  \
      "a large one as much more as it takes at 1 MiB/s.")                      \
    X(S3_RETRY_DELAY, "s3_retry_delay", DURATION, "50ms", 0, INT64_MAX, "",    \
      "Before the second attempt lies a random time of up to this; the bound " \
      "doubles with each attempt.")                                            \
    X(S3_RETRY_DELAY_MAX, "s3_retry_delay_max", DURATION, "20s", 0, INT64_MAX, \
      "", "The most that this bound grows to.")                                \
    X(S3_HEDGE, "s3_hedge", DURATION, "2s", 0, INT64_MAX, "",                  \
      "A read that has not ended after this is sent a second time, and the "   \
      "answer that comes first is taken.  0: never.")                          \
    X(S3_PART, "s3_part", SIZE, "16MiB", 0, INT64_C(5368709120), "",           \
      "Objects of streams that are larger are put in parts of this size, "     \
      "beside one another (at least 5MiB), or up to a quarter larger where "   \
      "that saves one.  0: each in one request.")                              \
    X(S3_SSE, "s3_sse", ENUM, "none", 0, 0, "none|AES256|aws:kms",             \
      "How the server of an s3: store is asked to encrypt what is put.")       \
    X(S3_SSE_KEY, "s3_sse_key", STRING, "", 0, 0, "",                          \
      "Id of the KMS key for s3_sse=aws:kms; without it the bucket's own.")    \
    X(S3_CONNECTIONS, "s3_connections", INT, "16", 1, 1024, "",                \
      "Requests under way at one time, at most.")

enum weir__property {
#define WEIR__ROW(id, key, type, def, min, max, words, text) WEIR__P_##id,
    WEIR__PROPERTIES(WEIR__ROW)
#undef WEIR__ROW
        WEIR__P_COUNT
};

/** A scheme that the host registered. */
struct weir__scheme {
    struct weir__scheme *next;
    char *name;
    weir_store_open_fn *open_store; /* One of the two is set. */
    weir_wal_open_fn *open_wal;
    void *ctx;
};

struct weir_config {
    const struct weir_alloc *alloc;
    const struct weir_log *log;
    struct weir_env *env;
    weir_s3_keys_fn *s3_keys; /* NULL: the properties tell. */
    void *s3_keys_ctx;
    struct weir__scheme *schemes;
    char *text[WEIR__P_COUNT];     /* Value as set, or NULL. */
    int64_t number[WEIR__P_COUNT]; /* Value of the types that have one;
                                      ENUM: index of the word. */
};

/** Value as text: what was set or the default; secrets too. */
const char *weir__config_text(const struct weir_config *config,
                              enum weir__property id);
/** A copy of its own, schemes included: 0 or WEIR_ENOMEM. */
int weir__config_copy(struct weir_config **out,
                      const struct weir_config *config);
/** Scheme that the host registered for a store or a WAL, or NULL.  `uri` is
 * the whole URI. */
const struct weir__scheme *weir__config_scheme(const struct weir_config *config,
                                               const char *uri, int wal);

#endif
