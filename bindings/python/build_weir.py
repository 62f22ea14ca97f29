# SPDX-License-Identifier: Apache-2.0
"""Builds the extension module: cffi over the public headers, as they are.

    python3 build_weir.py            in place: weir/_cdef.h and weir/_weir.*.so
    python3 build_weir.py --cdef     weir/_cdef.h alone, for the ABI mode

The library is found with pkg-config, or in WEIR_ROOT (a checkout that was
built, its parent's parent by default)."""
import os
import pathlib
import subprocess
import sys

import cffi

HERE = pathlib.Path(__file__).resolve().parent
ROOT = pathlib.Path(os.environ.get("WEIR_ROOT", HERE.parent.parent))
CDEF = HERE / "weir" / "_cdef.h"

# What runs between the library and Python without the interpreter.
GLUE_DECLARATIONS = """
extern "Python" void weir_py_done(struct weir_req *req, int status);
extern "Python" int weir_py_pair(struct weir_kv_get *req,
                                 const struct weir_kv_pair *pair);
extern "Python" int weir_py_changed(struct weir_kv_watch *req,
                                    const struct weir_kv_pair *pair);
extern "Python" int weir_py_item(void *ctx, const struct weir_item *item);
extern "Python" void weir_py_log(void *ctx, enum weir_log_level level,
                                 const char *text);
extern "Python" int weir_py_s3_keys(void *ctx, int rejected,
                                    struct weir_s3_keys *keys,
                                    struct weir_error *err);
struct weir_py_many { size_t left; int status; };
int weir_py_append_many(struct weir_stream *stream, struct weir_append *reqs,
                        size_t count, struct weir_py_many *many);
struct weir_py_open {
    struct weir *node;
    const struct weir_config *config;
    struct weir_error err;
    int status;
};
int weir_py_sim_open(struct weir_sim_node *node, struct weir_py_open *open);
int weir_py_sim_close(struct weir_sim_node *node, struct weir_py_open *open);
"""

GLUE = """
#include <weir.h>
#include <weir/sim.h>

struct weir_py_many { size_t left; int status; };

static void many_done(struct weir_req *req, int status)
{
    struct weir_py_many *many = req->ctx;

    if (status != 0 && many->status == 0)
        many->status = status;
    __atomic_sub_fetch(&many->left, 1, __ATOMIC_RELEASE);
}

/* Queue all; the first that is refused ends it, with its status. */
static int weir_py_append_many(struct weir_stream *stream,
                               struct weir_append *reqs, size_t count,
                               struct weir_py_many *many)
{
    size_t i;
    int rc;

    many->left = count;
    many->status = 0;
    for (i = 0; i < count; i++) {
        reqs[i].req.done = many_done;
        reqs[i].req.ctx = many;
        rc = weir_append(stream, &reqs[i]);
        if (rc != 0) {
            __atomic_sub_fetch(&many->left, count - i, __ATOMIC_RELEASE);
            return rc;
        }
    }
    return 0;
}

struct weir_py_open {
    struct weir *node;
    const struct weir_config *config;
    struct weir_error err;
    int status;
};

static void open_program(void *ctx)
{
    struct weir_py_open *open = ctx;

    open->status = weir_open(&open->node, open->config, &open->err);
}

/* A crash in the middle ends the call as a longjmp does: so no frame of the
 * interpreter may be inside of it. */
static int weir_py_sim_open(struct weir_sim_node *node,
                            struct weir_py_open *open)
{
    return weir_sim_call(node, open_program, open);
}

static void close_program(void *ctx)
{
    struct weir_py_open *open = ctx;

    weir_free(open->node);
    open->node = NULL;
}

static int weir_py_sim_close(struct weir_sim_node *node,
                             struct weir_py_open *open)
{
    return weir_sim_call(node, close_program, open);
}
"""


def include_dir():
    if (ROOT / "include" / "weir.h").exists():
        return str(ROOT / "include")
    return subprocess.run(["pkg-config", "--variable=includedir", "weir"],
                          check=True, capture_output=True,
                          text=True).stdout.strip()


def declarations():
    """The public headers, preprocessed; kept beside the package, so that it
    can be used where there is no compiler."""
    fake = HERE / "fake"
    text = subprocess.run(
        [os.environ.get("CC", "cc"), "-E", "-xc", "-P", "-nostdinc",
         "-DWEIR_PARSE_ONLY", f"-I{fake}", f"-I{include_dir()}", "-"],
        input="#include <weir.h>\n#include <weir/sim.h>\n", check=True,
        capture_output=True, text=True).stdout
    CDEF.write_text(text)
    return text


def where_library():
    """Library directories, and where to look for it at run time."""
    build = ROOT / "build"
    if (build / "libweir.so").exists():
        return [str(build)], [str(build)]
    return [], []


def make_ffi():
    ffi = cffi.FFI()
    ffi.cdef(declarations())
    ffi.cdef(GLUE_DECLARATIONS)
    library, runtime = where_library()
    ffi.set_source("weir._weir", GLUE, libraries=["weir"],
                   include_dirs=[include_dir()], library_dirs=library,
                   runtime_library_dirs=runtime,
                   extra_compile_args=["-O2"])
    return ffi


def main():
    if "--cdef" in sys.argv[1:]:
        declarations()
        return
    os.chdir(HERE)
    make_ffi().compile(tmpdir=str(HERE), verbose=False)


if __name__ == "__main__":
    main()
else:
    ffibuilder = make_ffi()
