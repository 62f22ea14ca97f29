/* SPDX-License-Identifier: Apache-2.0 */
#include "http/xml.h"

#include "base/alloc.h"
#include "base/error.h"

#include <expat.h>
#include <string.h>

enum { PATH_ROOM = 512 };

struct parse {
    XML_Parser expat;
    weir__xml_fn *element;
    void *ctx;
    int status;        /* What ended the parsing. */
    const char *cause; /* With WEIR_EFORMAT: what is wrong. */

    size_t depth;
    char path[PATH_ROOM];
    size_t path_len;
    size_t path_at[WEIR__XML_DEPTH]; /* Length of the path above. */
    size_t text_at[WEIR__XML_DEPTH]; /* Where its text begins. */
    char text[WEIR__XML_TEXT + 1];   /* Of all open elements. */
    size_t text_len;
};

static void stop(struct parse *p, int status, const char *cause)
{
    if (p->status == 0) {
        p->status = status;
        p->cause = cause;
    }
    XML_StopParser(p->expat, XML_FALSE);
}

static void on_start(void *data, const char *name, const char **attributes)
{
    struct parse *p = data;
    const char *colon = strrchr(name, ':');
    size_t len;

    (void)attributes;
    if (p->status != 0)
        return;
    name = colon != NULL ? colon + 1 : name;
    len = strlen(name);
    if (p->depth == WEIR__XML_DEPTH) {
        stop(p, WEIR_EFORMAT, "elements are too deep");
        return;
    }
    if (len + 2 > PATH_ROOM - p->path_len) {
        stop(p, WEIR_EFORMAT, "names are too long");
        return;
    }
    p->path_at[p->depth] = p->path_len;
    p->text_at[p->depth] = p->text_len;
    p->depth++;
    if (p->path_len > 0)
        p->path[p->path_len++] = '/';
    memcpy(p->path + p->path_len, name, len + 1);
    p->path_len += len;
}

static void on_end(void *data, const char *name)
{
    struct parse *p = data;
    int rc;

    (void)name;
    if (p->status != 0 || p->depth == 0)
        return;
    p->depth--;
    p->text[p->text_len] = '\0';
    rc = p->element(p->ctx, p->path, p->text + p->text_at[p->depth]);
    p->path_len = p->path_at[p->depth];
    p->path[p->path_len] = '\0';
    p->text_len = p->text_at[p->depth];
    if (rc != 0)
        stop(p, rc, NULL);
}

static void on_text(void *data, const char *text, int len)
{
    struct parse *p = data;

    if (p->status != 0 || p->depth == 0)
        return;
    if ((size_t)len > WEIR__XML_TEXT - p->text_len) {
        stop(p, WEIR_EFORMAT, "text is too long");
        return;
    }
    memcpy(p->text + p->text_len, text, (size_t)len);
    p->text_len += (size_t)len;
}

static void on_doctype(void *data, const char *name, const char *system_id,
                       const char *public_id, int internal)
{
    (void)name;
    (void)system_id;
    (void)public_id;
    (void)internal;
    stop(data, WEIR_EFORMAT, "it has a document type");
}

static int run(struct parse *p, const void *data, size_t len,
               struct weir_error *err)
{
    enum XML_Status rc;

    XML_SetUserData(p->expat, p);
    XML_SetElementHandler(p->expat, on_start, on_end);
    XML_SetCharacterDataHandler(p->expat, on_text);
    XML_SetStartDoctypeDeclHandler(p->expat, on_doctype);

    rc = XML_Parse(p->expat, data, (int)len, XML_TRUE);
    if (p->status != 0 && p->cause == NULL)
        return p->status;
    if (rc == XML_STATUS_OK && p->status == 0)
        return 0;
    if (p->status == 0) {
        if (XML_GetErrorCode(p->expat) == XML_ERROR_NO_MEMORY)
            return weir__fail(err, WEIR_ENOMEM, "XML: out of memory");
        p->cause = XML_ErrorString(XML_GetErrorCode(p->expat));
    }
    return weir__fail(err, WEIR_EFORMAT, "XML, line %lu: %s",
                      (unsigned long)XML_GetCurrentLineNumber(p->expat),
                      p->cause != NULL ? p->cause : "not well-formed");
}

int weir__xml_parse(const struct weir_alloc *alloc, const void *data,
                    size_t len, weir__xml_fn *element, void *ctx,
                    struct weir_error *err)
{
    struct parse *p;
    int rc;

    if (len > WEIR__XML_SIZE)
        return weir__fail(err, WEIR_EFORMAT, "XML of %zu bytes: too long", len);
    p = weir__calloc(alloc, 1, sizeof(*p));
    if (p == NULL)
        return weir__fail(err, WEIR_ENOMEM, "XML: out of memory");
    p->element = element;
    p->ctx = ctx;
    p->expat = XML_ParserCreate(NULL);
    rc = p->expat == NULL ? weir__fail(err, WEIR_ENOMEM, "XML: out of memory")
                          : run(p, data, len, err);
    if (p->expat != NULL)
        XML_ParserFree(p->expat);
    explicit_bzero(p->text, sizeof(p->text)); /* It may have been a secret. */
    weir__free(alloc, p);
    return rc;
}
