/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing: cffi knows the standard types. */
