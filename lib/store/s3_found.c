/* SPDX-License-Identifier: Apache-2.0 */
#include "store/s3_found.h"

#include "base/error.h"
#include "http/json.h"
#include "http/xml.h"
#include "store/s3.h"

#include <string.h>

enum { LINE_ROOM = 9000 };

int weir__s3_found_set(char *to, size_t room, const char *text)
{
    size_t len = strlen(text);

    to[0] = '\0';
    if (len >= room || text[strcspn(text, "\r\n")] != '\0')
        return WEIR_EFORMAT;
    memcpy(to, text, len + 1);
    return 0;
}

void weir__s3_found_wipe(struct weir__s3_found *found)
{
    explicit_bzero(found, sizeof(*found));
}

/* Nothing of the text itself is told: it may be a secret. */
static int check(const struct weir__s3_found *found, struct weir_error *err)
{
    if (found->access_key[0] == '\0' || found->secret_key[0] == '\0')
        return weir__fail(err, WEIR_EFORMAT, "it has no keys");
    return 0;
}

static int take(char *to, size_t room, const struct weir__json *value)
{
    const char *text = weir__json_text(value);

    return text != NULL ? weir__s3_found_set(to, room, text) : 0;
}

int weir__s3_found_json(struct weir__s3_found *found, const void *data,
                        size_t len, struct weir_error *err)
{
    struct weir__json *root;
    const struct weir__json *token;
    const char *expires;
    int rc;

    *found = (struct weir__s3_found){0};
    rc = weir__json_parse(&root, data, len, err);
    if (rc != 0)
        return rc;
    token = weir__json_get(root, "Token");
    rc = take(found->access_key, sizeof(found->access_key),
              weir__json_get(root, "AccessKeyId"));
    if (rc == 0)
        rc = take(found->secret_key, sizeof(found->secret_key),
                  weir__json_get(root, "SecretAccessKey"));
    if (rc == 0)
        rc = take(found->token, sizeof(found->token), token);
    expires = weir__json_text(weir__json_get(root, "Expiration"));
    if (expires != NULL)
        found->expires = weir__s3_time(expires);
    weir__json_free(root);
    if (rc != 0)
        return weir__fail(err, rc, "its keys are too long");
    return check(found, err);
}

static int on_element(void *ctx, const char *path, const char *text)
{
    static const char front[] = "AssumeRoleWithWebIdentityResponse/"
                                "AssumeRoleWithWebIdentityResult/Credentials/";
    struct weir__s3_found *found = ctx;

    if (strncmp(path, front, sizeof(front) - 1) != 0)
        return 0;
    path += sizeof(front) - 1;
    if (strcmp(path, "AccessKeyId") == 0)
        return weir__s3_found_set(found->access_key, sizeof(found->access_key),
                                  text);
    if (strcmp(path, "SecretAccessKey") == 0)
        return weir__s3_found_set(found->secret_key, sizeof(found->secret_key),
                                  text);
    if (strcmp(path, "SessionToken") == 0)
        return weir__s3_found_set(found->token, sizeof(found->token), text);
    if (strcmp(path, "Expiration") == 0)
        found->expires = weir__s3_time(text);
    return 0;
}

int weir__s3_found_sts(struct weir__s3_found *found,
                       const struct weir_alloc *alloc, const void *data,
                       size_t len, struct weir_error *err)
{
    int rc;

    *found = (struct weir__s3_found){0};
    rc = weir__xml_parse(alloc, data, len, on_element, found, err);
    return rc != 0 ? weir__fail_status(err, rc) : check(found, err);
}

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t\r");
}

/* The line at `text` without blanks around it; what follows it. */
static const char *next_line(char line[LINE_ROOM], const char *text)
{
    size_t len = strcspn(text, "\n");
    const char *from = skip_blanks(text);
    const char *end = text + len;
    size_t n;

    if (from > end)
        from = end;
    while (end > from && strchr(" \t\r", end[-1]) != NULL)
        end--;
    n = (size_t)(end - from);
    if (n >= LINE_ROOM)
        n = 0; /* No key is so long. */
    memcpy(line, from, n);
    line[n] = '\0';
    return text[len] == '\n' ? text + len + 1 : text + len;
}

/* Is it "[name]", blanks inside allowed? */
static int is_section(const char *line, const char *name)
{
    const char *at = skip_blanks(line + 1);
    size_t len = strlen(name);

    return strncmp(at, name, len) == 0 && *skip_blanks(at + len) == ']';
}

static int take_line(struct weir__s3_found *found, const char *line)
{
    static const char *const names[] = {
        "aws_access_key_id", "aws_secret_access_key", "aws_session_token"};
    char *const to[] = {found->access_key, found->secret_key, found->token};
    const size_t room[] = {sizeof(found->access_key), sizeof(found->secret_key),
                           sizeof(found->token)};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t len = strlen(names[i]);
        const char *at = skip_blanks(
            line + (strncmp(line, names[i], len) == 0 ? len : strlen(line)));

        if (*at == '=')
            return weir__s3_found_set(to[i], room[i], skip_blanks(at + 1));
    }
    return 0;
}

int weir__s3_found_profile(struct weir__s3_found *found, const char *text,
                           const char *profile, struct weir_error *err)
{
    char line[LINE_ROOM];
    int inside = 0;
    int seen = 0;
    int rc = 0;

    *found = (struct weir__s3_found){0};
    while (*text != '\0' && rc == 0) {
        text = next_line(line, text);
        if (line[0] == '[')
            seen |= inside = is_section(line, profile);
        else if (inside)
            rc = take_line(found, line);
    }
    explicit_bzero(line, sizeof(line));
    if (rc != 0)
        return weir__fail(err, rc, "its keys are too long");
    if (!seen)
        return weir__fail(err, WEIR_ENOENT, "it has no profile \"%.60s\"",
                          profile);
    return check(found, err);
}
