/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of etcd's gateway: the first byte chooses the reader. */
#include "http/json.h"
#include "store/etcd.h"

#include <stdint.h>
#include <weir/alloc.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_values(const struct weir__json *root)
{
    struct weir__etcd_value value = {0};
    struct weir__etcd_chunks chunks;
    char key[100];
    int done;

    if (weir__etcd_read_value(&value, weir_alloc_default(),
                              weir__json_get(root, "kvs")) == 0 &&
        value.body != NULL)
        (void)weir__etcd_chunks_decode(&chunks, value.body->data,
                                       value.body->len);
    weir_buf_unref(value.body);
    (void)weir__etcd_read_key(key, sizeof(key),
                              weir__json_at(weir__json_get(root, "kvs"), 0));
    (void)weir__etcd_read_create(root, &done, &value, weir_alloc_default());
    weir_buf_unref(value.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir__json *root;
    struct weir__etcd_news news;
    int login;

    if (size == 0)
        return 0;
    if ((data[0] & 1) != 0) {
        (void)weir__etcd_failure(500, data + 1, size - 1, data[0] & 2, &login,
                                 "fuzz", NULL);
        return 0;
    }
    if (weir__json_parse(&root, data + 1, size - 1, NULL) != 0)
        return 0;
    fuzz_values(root);
    (void)weir__etcd_read_news(&news, root);
    weir__json_free(root);
    return 0;
}
