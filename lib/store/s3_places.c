/* SPDX-License-Identifier: Apache-2.0 */
/* The places that credentials are looked for in, but for the environment. */
#include "base/secret.h"
#include "store/s3_source_inside.h"

#include <stdio.h>
#include <string.h>

/* ---- Web identity: a token in a file, exchanged at WEIR__S3_VAR_STS
 * ------------------- */

static void write_form(struct weir__writer *w, const char *name,
                       const char *value)
{
    static const char digits[] = "0123456789ABCDEF";

    if (w->len > 0)
        weir__write8(w, '&');
    weir__write_bytes(w, name, strlen(name));
    weir__write8(w, '=');
    for (; *value != '\0'; value++) {
        unsigned char c = (unsigned char)*value;

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
            (c >= '0' && c <= '9') || strchr("-._~", c) != NULL) {
            weir__write8(w, c);
        } else {
            weir__write8(w, '%');
            weir__write8(w, (uint8_t)digits[c >> 4]);
            weir__write8(w, (uint8_t)digits[c & 15]);
        }
    }
}

static void sts_answered(struct weir__s3_source *s, const char *text,
                         size_t len)
{
    struct weir_error cause = {0};
    int rc = weir__s3_found_sts(&s->found, s->host.alloc, text, len, &cause);

    weir__s3_source_took(s, rc, "the answer of STS", &cause);
}

/* The file's end may be a line's. */
static void trim_end(char *text)
{
    size_t len = strlen(text);

    while (len > 0 && strchr(" \r\n\t", text[len - 1]) != NULL)
        text[--len] = '\0';
}

static void have_identity(struct weir__s3_source *s)
{
    char base[200];

    trim_end(s->text);
    snprintf(base, sizeof(base), "https://sts.%s.amazonaws.com%s", s->region,
             strncmp(s->region, "cn-", 3) == 0 ? ".cn" : "");
    write_form(&s->body, "Action", "AssumeRoleWithWebIdentity");
    write_form(&s->body, "Version", "2011-06-15");
    write_form(&s->body, "RoleArn",
               weir__s3_source_setting(s, WEIR__S3_VAR_ROLE, ""));
    write_form(&s->body, "RoleSessionName",
               weir__s3_source_setting(s, WEIR__S3_VAR_ROLE_SESSION, "weir"));
    write_form(&s->body, "WebIdentityToken", s->text);
    if (s->body.bad ||
        !weir__s3_source_url(
            s, weir__s3_source_setting(s, WEIR__S3_VAR_STS, base), "/", "") ||
        !weir__s3_source_line(s, 0, "Content-Type",
                              "application/x-www-form-urlencoded"))
        weir__s3_source_failed(s, WEIR_ENOMEM, "web identity: out of memory");
    else
        weir__s3_source_ask(s, "POST", sts_answered);
}

void weir__s3_look_web_identity(struct weir__s3_source *s)
{
    if (s->settings[WEIR__S3_VAR_ROLE] == NULL)
        weir__s3_source_failed(s, WEIR_EAUTH, "%s is set, and %s is not",
                               weir__s3_var_names[WEIR__S3_VAR_TOKEN_FILE],
                               weir__s3_var_names[WEIR__S3_VAR_ROLE]);
    else
        weir__s3_source_read(s, s->settings[WEIR__S3_VAR_TOKEN_FILE],
                             have_identity);
}

/* ---- A profile in a file ------------------------------------------------- */

static void have_profiles(struct weir__s3_source *s)
{
    struct weir_error cause = {0};
    char what[200];
    int rc = weir__s3_found_profile(
        &s->found, s->text,
        weir__s3_source_setting(s, WEIR__S3_VAR_PROFILE, "default"), &cause);

    snprintf(what, sizeof(what), "%.180s", s->path);
    weir__s3_source_took(s, rc, what, &cause);
}

void weir__s3_look_profile(struct weir__s3_source *s)
{
    char path[WEIR__S3_URL_ROOM];

    snprintf(path, sizeof(path), "%s/.aws/credentials",
             weir__s3_source_setting(s, WEIR__S3_VAR_HOME, ""));
    weir__s3_source_read(
        s, weir__s3_source_setting(s, WEIR__S3_VAR_CREDENTIALS_FILE, path),
        have_profiles);
}

/* ---- The endpoint of a container ----------------------------------------- */

static void keys_answered(struct weir__s3_source *s, const char *text,
                          size_t len)
{
    struct weir_error cause = {0};
    char what[200];
    int rc = weir__s3_found_json(&s->found, text, len, &cause);

    snprintf(what, sizeof(what), "the answer of %.150s", s->url);
    weir__s3_source_took(s, rc, what, &cause);
}

/* Behind the name of a host: a port, and the path.  Anything else would make
 * of the name a user's, in front of another host (RFC 3986 3.2.1). */
static bool is_end_of_host(const char *at)
{
    if (*at == ':')
        at += 1 + strspn(at + 1, "0123456789");
    return *at == '/' || *at == '\0';
}

/* Whoever can set a variable must not have the token sent anywhere: plain
 * http to this machine and to the addresses of ECS and EKS alone. */
static bool is_container_host(const char *url)
{
    static const char *const hosts[] = {
        "http://127.0.0.1",      "http://localhost",
        "http://[::1]",          "http://169.254.170.2",
        "http://169.254.170.23", "http://[fd00:ec2::23]"};

    if (strncmp(url, "https://", 8) == 0)
        return true;
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        size_t len = strlen(hosts[i]);

        if (strncmp(url, hosts[i], len) == 0 && is_end_of_host(url + len))
            return true;
    }
    return false;
}

static void ask_container(struct weir__s3_source *s, const char *token)
{
    const char *relative = s->settings[WEIR__S3_VAR_RELATIVE_URI];
    bool good =
        relative != NULL
            ? weir__s3_source_url(s, "http://169.254.170.2", relative, "")
            : weir__s3_source_url(s, s->settings[WEIR__S3_VAR_FULL_URI], "",
                                  "");

    if (!good || !is_container_host(s->url))
        weir__s3_source_failed(
            s, WEIR_EAUTH,
            "%s: expected https://, or this machine's or the container "
            "service's address",
            weir__s3_var_names[WEIR__S3_VAR_FULL_URI]);
    else if (token != NULL &&
             !weir__s3_source_line(s, 0, "Authorization", token))
        weir__s3_source_failed(s, WEIR_EAUTH, "%s: expected one line",
                               weir__s3_var_names[WEIR__S3_VAR_AUTHORIZATION]);
    else
        weir__s3_source_ask(s, "GET", keys_answered);
}

static void have_authorization(struct weir__s3_source *s)
{
    trim_end(s->text);
    ask_container(s, s->text);
}

void weir__s3_look_container(struct weir__s3_source *s)
{
    if (s->settings[WEIR__S3_VAR_AUTHORIZATION_FILE] != NULL)
        weir__s3_source_read(s, s->settings[WEIR__S3_VAR_AUTHORIZATION_FILE],
                             have_authorization);
    else
        ask_container(s, s->settings[WEIR__S3_VAR_AUTHORIZATION]);
}

/* ---- The endpoint of an instance: IMDSv2 --------------------------------- */

#define IMDS_KEYS "/latest/meta-data/iam/security-credentials/"

static const char *imds(const struct weir__s3_source *s)
{
    return weir__s3_source_setting(s, WEIR__S3_VAR_METADATA,
                                   "http://169.254.169.254");
}

static bool authorize_imds(struct weir__s3_source *s)
{
    weir__s3_source_drop(s);
    return weir__s3_source_line(s, 0, "X-aws-ec2-metadata-token",
                                s->imds_token);
}

static void have_role(struct weir__s3_source *s, const char *text, size_t len)
{
    char role[200];
    size_t n = 0;

    while (n < len && n + 1 < sizeof(role) && text[n] > ' ' && text[n] <= '~' &&
           text[n] != '/')
        n++;
    memcpy(role, text, n);
    role[n] = '\0';
    if (n == 0 || !weir__s3_source_url(s, imds(s), IMDS_KEYS, role))
        weir__s3_source_failed(s, WEIR_EAUTH, "%s: the instance has no role",
                               s->url);
    else if (!authorize_imds(s))
        weir__s3_source_failed(s, WEIR_ENOMEM, "instance: out of memory");
    else
        weir__s3_source_ask(s, "GET", keys_answered);
}

static void have_imds_token(struct weir__s3_source *s, const char *text,
                            size_t len)
{
    weir__s3_source_wipe(s->host.alloc, &s->imds_token);
    s->imds_token = weir__secret_calloc(s->host.alloc, len + 1);
    if (s->imds_token != NULL)
        memcpy(s->imds_token, text, len);
    if (s->imds_token == NULL || !authorize_imds(s) ||
        !weir__s3_source_url(s, imds(s), IMDS_KEYS, ""))
        weir__s3_source_failed(s, WEIR_EAUTH, "%s: no token", s->url);
    else
        weir__s3_source_ask(s, "GET", have_role);
}

void weir__s3_look_instance(struct weir__s3_source *s)
{
    if (!weir__s3_source_url(s, imds(s), "/latest/api/token", "") ||
        !weir__s3_source_line(s, 0, "X-aws-ec2-metadata-token-ttl-seconds",
                              "21600"))
        weir__s3_source_failed(s, WEIR_ENOMEM, "instance: out of memory");
    else
        weir__s3_source_ask(s, "PUT", have_imds_token);
}
