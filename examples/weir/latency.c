/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

/* 64 buckets for each power of two, linear below 64. */
static size_t bucket_of(uint64_t value)
{
    unsigned shift;

    if (value < 64)
        return (size_t)value;
    shift = 57u - (unsigned)__builtin_clzll(value);
    return (size_t)(shift * 64u) + (size_t)(value >> shift);
}

static uint64_t bucket_top(size_t bucket)
{
    unsigned shift;

    if (bucket < 128)
        return bucket;
    shift = (unsigned)(bucket / 64u) - 1u;
    return ((uint64_t)(bucket % 64u + 64u + 1u) << shift) - 1u;
}

void latency_add(struct latency *hist, uint64_t nanoseconds)
{
    hist->count++;
    hist->buckets[bucket_of(nanoseconds)]++;
    if (nanoseconds > hist->max)
        hist->max = nanoseconds;
}

void latency_merge(struct latency *hist, const struct latency *other)
{
    size_t i;

    hist->count += other->count;
    if (other->max > hist->max)
        hist->max = other->max;
    for (i = 0; i < sizeof(hist->buckets) / sizeof(hist->buckets[0]); i++)
        hist->buckets[i] += other->buckets[i];
}

uint64_t latency_quantile(const struct latency *hist, double fraction)
{
    uint64_t rank = (uint64_t)(fraction * (double)hist->count);
    uint64_t seen = 0;
    size_t i;

    for (i = 0; i < sizeof(hist->buckets) / sizeof(hist->buckets[0]); i++) {
        seen += hist->buckets[i];
        if (seen > rank)
            return bucket_top(i) < hist->max ? bucket_top(i) : hist->max;
    }
    return hist->max;
}

void row_latency(struct row *row, const struct latency *hist)
{
    row_real(row, "p50_us", (double)latency_quantile(hist, 0.5) / 1e3);
    row_real(row, "p99_us", (double)latency_quantile(hist, 0.99) / 1e3);
    row_real(row, "p999_us", (double)latency_quantile(hist, 0.999) / 1e3);
    row_real(row, "max_us", (double)hist->max / 1e3);
}
