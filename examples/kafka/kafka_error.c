/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka_error.h"

#include <weir/error.h>

int16_t kafka_error_of(int status)
{
    switch (status) {
    case 0:
        return KAFKA_NONE;
    case WEIR_ERANGE:
        return KAFKA_OFFSET_OUT_OF_RANGE;
    case WEIR_ECORRUPT:
        return KAFKA_CORRUPT_MESSAGE;
    case WEIR_ETOOBIG:
        return KAFKA_MESSAGE_TOO_LARGE;
    case WEIR_ENOENT:
        return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    case WEIR_ETIMEDOUT:
    case WEIR_EUNKNOWN: /* It may be done: clients ask again, and see. */
        return KAFKA_REQUEST_TIMED_OUT;
    case WEIR_EBUSY: /* Another server still has it. */
    case WEIR_EFENCED:
    case WEIR_ECLOSED:
    case WEIR_EREADONLY:
        return KAFKA_NOT_LEADER_OR_FOLLOWER;
    default:
        /* Clients look at the metadata again and retry. */
        return KAFKA_KAFKA_STORAGE_ERROR;
    }
}
