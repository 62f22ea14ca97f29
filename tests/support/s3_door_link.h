/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A test program that includes this is linked with the scripted server
 * (support/s3_door.h) in place of libcurl.  In one file of a program.
 */
#ifndef TESTS_SUPPORT_S3_DOOR_LINK_H
#define TESTS_SUPPORT_S3_DOOR_LINK_H

#include "support/s3_door.h"

int weir__http_open(struct weir__http **out,
                    const struct weir__http_config *config,
                    struct weir_error *err)
{
    (void)err;
    return s3_door_http_open(out, config);
}

void weir__http_submit(struct weir__http *http, struct weir__http_req *req)
{
    s3_door_http_submit(http, req);
}

void weir__http_cancel(struct weir__http *http, struct weir__http_req *req)
{
    s3_door_http_cancel(http, req);
}

void weir__http_close(struct weir__http *http, struct weir_task *closed)
{
    s3_door_http_close(http, closed);
}

#endif
