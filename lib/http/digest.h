/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Digests that HTTP services ask for: the door to OpenSSL.
 *
 * OpenSSL takes its memory from malloc: its own allocator can only be set
 * for the whole process, which is the host's to decide.
 */
#ifndef WEIR_HTTP_DIGEST_H
#define WEIR_HTTP_DIGEST_H

#include <weir/buf.h>

/** Bytes of a SHA-256, and of it as hexadecimal text with its zero. */
#define WEIR__SHA256_SIZE 32
#define WEIR__SHA256_HEX 65

/** SHA-256 of all pieces: 0 or WEIR_ENOMEM. */
int weir__sha256(unsigned char out[WEIR__SHA256_SIZE],
                 const struct weir_iov *iov, size_t iov_count);

/** Room for an MD5 in base64, with its zero. */
#define WEIR__MD5_BASE64 25

/** MD5 of all pieces in base64, which S3 wants with a batch of deletions: 0;
 * WEIR_ENOMEM; WEIR_EUNSUPPORTED (the system's policy forbids it). */
int weir__md5_base64(char out[WEIR__MD5_BASE64], const struct weir_iov *iov,
                     size_t iov_count);

/** HMAC-SHA-256 of `data` under `key`: 0 or WEIR_ENOMEM. */
int weir__hmac_sha256(unsigned char out[WEIR__SHA256_SIZE], const void *key,
                      size_t key_len, const void *data, size_t len);

/** Lower-case hexadecimal text and a zero: `2 * len + 1` bytes. */
void weir__hex(char *to, const unsigned char *data, size_t len);

/** Base64 with padding and a zero: `(len + 2) / 3 * 4 + 1` bytes. */
void weir__base64(char *to, const unsigned char *data, size_t len);

/** The bytes of base64 with padding (RFC 4648, section 4): 0 or WEIR_EFORMAT.
 * `to` has room for `strlen(text) / 4 * 3` bytes. */
int weir__base64_decode(unsigned char *to, size_t *len, const char *text);

#endif
