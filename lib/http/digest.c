/* SPDX-License-Identifier: Apache-2.0 */
#include "http/digest.h"

#include <weir/error.h>

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <string.h>

int weir__sha256(unsigned char out[WEIR__SHA256_SIZE],
                 const struct weir_iov *iov, size_t iov_count)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool good = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;

    for (size_t i = 0; i < iov_count && good; i++)
        good = iov[i].len == 0 ||
               EVP_DigestUpdate(md, iov[i].data, iov[i].len) == 1;
    good = good && EVP_DigestFinal_ex(md, out, NULL) == 1;
    EVP_MD_CTX_free(md);
    return good ? 0 : WEIR_ENOMEM;
}

int weir__md5_base64(char out[WEIR__MD5_BASE64], const struct weir_iov *iov,
                     size_t iov_count)
{
    unsigned char digest[16];
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool good;

    if (md == NULL)
        return WEIR_ENOMEM;
    if (EVP_DigestInit_ex(md, EVP_md5(), NULL) != 1) {
        EVP_MD_CTX_free(md);
        return WEIR_EUNSUPPORTED;
    }
    good = true;
    for (size_t i = 0; i < iov_count && good; i++)
        good = iov[i].len == 0 ||
               EVP_DigestUpdate(md, iov[i].data, iov[i].len) == 1;
    good = good && EVP_DigestFinal_ex(md, digest, NULL) == 1;
    EVP_MD_CTX_free(md);
    if (!good)
        return WEIR_ENOMEM;
    weir__base64(out, digest, sizeof(digest));
    return 0;
}

int weir__hmac_sha256(unsigned char out[WEIR__SHA256_SIZE], const void *key,
                      size_t key_len, const void *data, size_t len)
{
    if (key_len > INT_MAX)
        return WEIR_EINVAL;
    return HMAC(EVP_sha256(), key, (int)key_len, data, len, out, NULL) != NULL
               ? 0
               : WEIR_ENOMEM;
}

void weir__hex(char *to, const unsigned char *data, size_t len)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        to[2 * i] = digits[data[i] >> 4];
        to[2 * i + 1] = digits[data[i] & 15];
    }
    to[2 * len] = '\0';
}

void weir__base64(char *to, const unsigned char *data, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        unsigned v = (unsigned)data[i] << 16;

        if (left > 1)
            v |= (unsigned)data[i + 1] << 8;
        if (left > 2)
            v |= data[i + 2];
        *to++ = digits[v >> 18 & 63];
        *to++ = digits[v >> 12 & 63];
        *to++ = left > 1 ? digits[v >> 6 & 63] : '=';
        *to++ = left > 2 ? digits[v & 63] : '=';
    }
    *to = '\0';
}

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int weir__base64_decode(unsigned char *to, size_t *len, const char *text)
{
    size_t n = strlen(text);
    size_t pad = n >= 2 && text[n - 1] == '=' ? 1 + (text[n - 2] == '=') : 0;
    unsigned bits = 0;
    size_t out = 0;

    *len = 0;
    if (n % 4 != 0)
        return WEIR_EFORMAT;
    for (size_t i = 0; i < n; i++) {
        int digit = i >= n - pad ? 0 : digit_of(text[i]);

        if (digit < 0)
            return WEIR_EFORMAT;
        bits = bits << 6 | (unsigned)digit;
        if (i % 4 != 3)
            continue;
        to[out++] = (unsigned char)(bits >> 16);
        to[out++] = (unsigned char)(bits >> 8);
        to[out++] = (unsigned char)bits;
        bits = 0;
    }
    *len = out - pad;
    return 0;
}
