/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest/manifest_inside.h"

#include "base/error.h"
#include "base/log.h"
#include "base/sometimes.h"

/* Own commits between two trims, of up to 64 versions each: fewer than what
 * a trim removes, so that trims keep up. */
#define TRIM_COMMITS 32u

static void submit(struct weir__manifest *m, enum weir_mlog_verb verb,
                   uint64_t version,
                   void (*done)(struct weir_mlog_req *req, int status))
{
    struct weir__keep *keep = &m->keep;

    keep->iov = (struct weir_iov){keep->bytes.data, keep->bytes.len};
    keep->req = (struct weir_mlog_req){.verb = verb,
                                       .version = version,
                                       .iov = &keep->iov,
                                       .iov_count = 1,
                                       .done = done,
                                       .ctx = m};
    keep->busy = true;
    m->log->ops->submit(m->log, &keep->req);
}

static void trim_done(struct weir_mlog_req *req, int status)
{
    struct weir__manifest *m = req->ctx;

    m->keep.busy = false;
    if (status != 0)
        weir__log(m->host->log, WEIR_LOG_WARN,
                  "manifest: removing old commits: %s",
                  weir_error_text(status));
    weir__manifest_go(m);
}

/* Remove what a snapshot has covered for the length of the grace. */
static void trim(struct weir__manifest *m)
{
    struct weir__keep *keep = &m->keep;

    if (keep->young != 0 &&
        weir__manifest_now(m) - keep->young_at >= WEIR__MANIFEST_GRACE) {
        keep->settled = keep->young;
        keep->young = 0;
    }
    if (keep->settled == 0 || keep->busy || m->closed != NULL)
        return;
    keep->commits = 0;
    submit(m, WEIR_MLOG_TRIM, keep->settled, trim_done);
}

void weir__keep_snapshot(struct weir__manifest *m, uint64_t version)
{
    if (m->keep.young != 0 || version <= m->keep.settled)
        return;
    m->keep.young = version;
    m->keep.young_at = weir__manifest_now(m);
}

static void snapshot_done(struct weir_mlog_req *req, int status)
{
    struct weir__manifest *m = req->ctx;
    struct weir__keep *keep = &m->keep;

    keep->busy = false;
    weir__writer_free(&keep->bytes);
    if (status == 0) {
        weir__keep_snapshot(m, req->version);
        trim(m);
    } else {
        keep->missed = true;
        WEIR__SOMETIMES("a snapshot is not written");
        weir__log(m->host->log, WEIR_LOG_WARN, "manifest: snapshot: %s",
                  weir_error_text(status));
    }
    weir__manifest_go(m);
}

static void snapshot(struct weir__manifest *m)
{
    struct weir__keep *keep = &m->keep;

    keep->missed = true;
    if (weir__state_encode(m->state, &keep->bytes) != 0) {
        weir__writer_free(&keep->bytes);
        return;
    }
    keep->missed = false;
    submit(m, WEIR_MLOG_SNAPSHOT, weir__state_version(m->state), snapshot_done);
}

/* Every node takes the same versions for snapshots, so the one that wrote
 * that version makes it and no other does. */
void weir__keep_after_commit(struct weir__manifest *m)
{
    struct weir__keep *keep = &m->keep;
    bool due = weir__state_version(m->state) % m->snapshot_commits == 0;

    keep->commits++;
    if (m->closed != NULL)
        return;
    if (keep->busy) {
        keep->missed = keep->missed || due;
        return;
    }
    if (due || keep->missed)
        snapshot(m);
    else if (keep->commits >= TRIM_COMMITS)
        trim(m);
}
