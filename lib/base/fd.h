/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Descriptors for files that must hold nothing but our bytes.
 */
#ifndef WEIR_BASE_FD_H
#define WEIR_BASE_FD_H

/**
 * Move a descriptor away from 0, 1 and 2: a host that has closed one of these
 * may still print to it.
 *
 * @param fd  What `open` has returned; errno stays as it is if that is -1.
 * @return a descriptor of the same file above 2, or -1 with errno set.
 */
int weir__fd_above_standard(int fd);

#endif
