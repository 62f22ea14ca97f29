/* SPDX-License-Identifier: Apache-2.0 */
#include "base/config.h"

#include "base/alloc.h"
#include "base/config_value.h"
#include "base/error.h"
#include "base/secret.h"

#include <string.h>

static const struct weir_property *property_at(size_t i)
{
    size_t count;

    return &weir_config_properties(&count)[i];
}

/* Number of a key, or WEIR__P_COUNT. */
static size_t find(const char *key)
{
    size_t i = 0;

    while (i < WEIR__P_COUNT && strcmp(property_at(i)->key, key) != 0)
        i++;
    return i;
}

static int complete(const struct weir_alloc *alloc)
{
    return alloc->malloc != NULL && alloc->realloc != NULL &&
           alloc->aligned != NULL && alloc->free != NULL;
}

int weir_config_new(struct weir_config **out, const struct weir_alloc *alloc)
{
    struct weir_config *config;
    size_t i;

    *out = NULL;
    if (alloc == NULL)
        alloc = weir_alloc_default();
    if (!complete(alloc))
        return WEIR_EINVAL;
    config = weir__calloc(alloc, 1, sizeof(*config));
    if (config == NULL)
        return WEIR_ENOMEM;
    config->alloc = alloc;
    for (i = 0; i < WEIR__P_COUNT; i++) {
        const struct weir_property *property = property_at(i);
        int rc = weir__config_parse(property, alloc, property->def,
                                    &config->number[i], NULL);

        if (rc != 0) {
            weir_config_free(config);
            return rc;
        }
    }
    *out = config;
    return 0;
}

static void free_scheme(const struct weir_alloc *alloc,
                        struct weir__scheme *scheme)
{
    weir__free(alloc, scheme->name);
    weir__free(alloc, scheme);
}

/* Secrets have memory of their own. */
static char *copy_value(const struct weir_config *config, size_t i,
                        const char *value)
{
    return property_at(i)->type == WEIR_TYPE_SECRET
               ? weir__secret_strdup(config->alloc, value)
               : weir__strdup(config->alloc, value);
}

static void free_value(struct weir_config *config, size_t i)
{
    if (property_at(i)->type == WEIR_TYPE_SECRET)
        weir__secret_free(config->alloc, config->text[i]);
    else
        weir__free(config->alloc, config->text[i]);
    config->text[i] = NULL;
}

void weir_config_free(struct weir_config *config)
{
    struct weir__scheme *scheme;
    size_t i;

    if (config == NULL)
        return;
    for (i = 0; i < WEIR__P_COUNT; i++)
        free_value(config, i);
    while ((scheme = config->schemes) != NULL) {
        config->schemes = scheme->next;
        free_scheme(config->alloc, scheme);
    }
    weir__free(config->alloc, config);
}

static int unknown_key(const char *key, struct weir_error *err)
{
    const struct weir_property *nearest = weir__config_nearest(key);

    if (nearest != NULL)
        return weir__fail(err, WEIR_EINVAL,
                          "%.64s: no such property; did you mean %s?", key,
                          nearest->key);
    return weir__fail(err, WEIR_EINVAL,
                      "%.64s: no such property; expected one of the table of "
                      "properties, such as store or wal",
                      key);
}

int weir_config_set(struct weir_config *config, const char *key,
                    const char *value, struct weir_error *err)
{
    int64_t number;
    size_t i;
    char *copy;
    int rc;

    if (config == NULL || key == NULL || value == NULL)
        return weir__fail(err, WEIR_EINVAL,
                          "configuration: expected a key and a value");
    i = find(key);
    if (i == WEIR__P_COUNT)
        return unknown_key(key, err);
    rc = weir__config_parse(property_at(i), config->alloc, value, &number, err);
    if (rc != 0)
        return rc;
    copy = copy_value(config, i, value);
    if (copy == NULL)
        return weir__fail(err, WEIR_ENOMEM, "%s: out of memory", key);
    free_value(config, i);
    config->text[i] = copy;
    config->number[i] = number;
    return 0;
}

const char *weir__config_text(const struct weir_config *config,
                              enum weir__property id)
{
    return config->text[id] != NULL ? config->text[id] : property_at(id)->def;
}

const char *weir_config_get(const struct weir_config *config, const char *key)
{
    size_t i = find(key);
    const char *text;

    if (i == WEIR__P_COUNT)
        return NULL;
    text = weir__config_text(config, (enum weir__property)i);
    if (property_at(i)->type == WEIR_TYPE_SECRET && text[0] != '\0')
        return "***";
    return text;
}

void weir_config_set_log(struct weir_config *config, const struct weir_log *log)
{
    config->log = log;
}

void weir_config_set_env(struct weir_config *config, struct weir_env *env)
{
    config->env = env;
}

void weir_config_set_s3_keys(struct weir_config *config, weir_s3_keys_fn *give,
                             void *ctx)
{
    config->s3_keys = give;
    config->s3_keys_ctx = ctx;
}

/* A letter, then letters, digits, '+', '-', '.': as in a URI. */
static int is_scheme(const char *name)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
        "0123456789+-.";

    return name != NULL && name[0] != '\0' &&
           strchr("0123456789+-.", name[0]) == NULL &&
           name[strspn(name, letters)] == '\0';
}

static const struct weir__scheme *find_scheme(const struct weir_config *config,
                                              const char *name, size_t len,
                                              int wal)
{
    const struct weir__scheme *scheme;

    for (scheme = config->schemes; scheme != NULL; scheme = scheme->next)
        if ((scheme->open_wal != NULL) == (wal != 0) &&
            strlen(scheme->name) == len && memcmp(scheme->name, name, len) == 0)
            return scheme;
    return NULL;
}

/* Takes `like` but for the name, which is copied. */
static int add_scheme(struct weir_config *config, const char *name,
                      const struct weir__scheme *like)
{
    struct weir__scheme *scheme;
    struct weir__scheme **end = &config->schemes;

    if (!is_scheme(name) ||
        (like->open_store == NULL) == (like->open_wal == NULL))
        return WEIR_EINVAL;
    if (find_scheme(config, name, strlen(name), like->open_wal != NULL) != NULL)
        return WEIR_EEXIST;
    scheme = weir__malloc(config->alloc, sizeof(*scheme));
    if (scheme == NULL)
        return WEIR_ENOMEM;
    *scheme = *like;
    scheme->next = NULL;
    scheme->name = weir__strdup(config->alloc, name);
    if (scheme->name == NULL) {
        weir__free(config->alloc, scheme);
        return WEIR_ENOMEM;
    }
    while (*end != NULL)
        end = &(*end)->next;
    *end = scheme;
    return 0;
}

int weir_config_add_store(struct weir_config *config, const char *scheme,
                          weir_store_open_fn *open, void *ctx)
{
    struct weir__scheme like = {.open_store = open, .ctx = ctx};

    return add_scheme(config, scheme, &like);
}

int weir_config_add_wal(struct weir_config *config, const char *scheme,
                        weir_wal_open_fn *open, void *ctx)
{
    struct weir__scheme like = {.open_wal = open, .ctx = ctx};

    return add_scheme(config, scheme, &like);
}

const struct weir__scheme *weir__config_scheme(const struct weir_config *config,
                                               const char *uri, int wal)
{
    return find_scheme(config, uri, strcspn(uri, ":"), wal);
}

/* Fill in a new configuration. */
static int copy_into(struct weir_config *to, const struct weir_config *from)
{
    const struct weir__scheme *scheme;
    size_t i;
    int rc;

    to->log = from->log;
    to->env = from->env;
    to->s3_keys = from->s3_keys;
    to->s3_keys_ctx = from->s3_keys_ctx;
    for (i = 0; i < WEIR__P_COUNT; i++) {
        to->number[i] = from->number[i];
        if (from->text[i] == NULL)
            continue;
        to->text[i] = copy_value(to, i, from->text[i]);
        if (to->text[i] == NULL)
            return WEIR_ENOMEM;
    }
    for (scheme = from->schemes; scheme != NULL; scheme = scheme->next) {
        rc = add_scheme(to, scheme->name, scheme);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int weir__config_copy(struct weir_config **out,
                      const struct weir_config *config)
{
    struct weir_config *copy;
    int rc = weir_config_new(&copy, config->alloc);

    if (rc == 0)
        rc = copy_into(copy, config);
    if (rc != 0) {
        weir_config_free(copy);
        copy = NULL;
    }
    *out = copy;
    return rc;
}
