# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C at any moment, nodes that nobody closes, the interpreter's end, and
fork."""
import gc
import subprocess
import sys
import textwrap
import threading

import weir


def run(tmp_path, code, **kwargs):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)],
        capture_output=True, text=True, timeout=100, check=False, **kwargs)


INTERRUPTED = """
    import os, signal, sys, threading, time
    import weir
    node = weir.open(store="mem:", driver=sys.argv[2] == "driver")
    s = node.stream("s", create=True)
    seen = 0
    inside = False

    # As Ctrl-C, but only where this program is prepared for it.
    def interrupt(*_):
        global inside
        if inside:
            inside = False
            raise KeyboardInterrupt

    def nag():
        while seen < 200:
            time.sleep(0.002)
            os.kill(os.getpid(), signal.SIGINT)

    signal.signal(signal.SIGINT, interrupt)
    thread = threading.Thread(target=nag)
    thread.start()
    while seen < 200:
        try:
            inside = True
            while True:
                s.append(b"x")
                s.append_many([b"y"] * 10)
        except KeyboardInterrupt:
            seen += 1
    thread.join()
    s.append(b"last")
    assert bytes(s.fetch(s.stat().end - 1)[0].data) == b"last"
    node.close()
    print("well", seen)
"""


def interrupted(tmp_path, how):
    code = textwrap.dedent(INTERRUPTED)
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path), how],
                          capture_output=True, text=True, timeout=100,
                          check=False)
    assert done.stdout == "well 200\n", done
    assert done.stderr == ""


def test_ctrl_c_at_any_moment_ends_a_wait_and_nothing_else(tmp_path):
    interrupted(tmp_path, "polled")


def test_the_same_with_a_driver_thread(tmp_path):
    interrupted(tmp_path, "driver")


def test_a_node_that_is_dropped_gives_its_log_free(tmp_path):
    place = {"store": f"dir:{tmp_path}/store",
             "wal": f"file:{tmp_path}/wal?size=16MiB"}
    node = weir.open(**place)
    stream = node.stream("s", create=True)
    assert stream.append(b"x") == 0
    del node, stream
    gc.collect()
    with weir.open(**place) as node:
        assert node.stream("s").append(b"y") == 1


def append_until_closed(stream, offsets, surprises):
    try:
        while True:
            offsets.append(stream.append(b"x"))
    except weir.ClosedError:
        pass  # The last one is certainly not there.
    except BaseException as error:  # pylint: disable=broad-except
        surprises.append(error)


def test_a_node_that_another_thread_closes_tells_what_became_of_it(tmp_path):
    for turn in range(10):
        place = {"store": f"dir:{tmp_path}/{turn}?fsync=false",
                 "wal": f"file:{tmp_path}/{turn}.wal?size=16MiB"}
        node = weir.open(**place)
        stream = node.stream("s", create=True)
        offsets, surprises = [], []
        threads = [threading.Thread(target=append_until_closed,
                                    args=(stream, offsets, surprises))
                   for _ in range(4)]
        for thread in threads:
            thread.start()
        while len(offsets) < 20:
            pass
        node.close()
        for thread in threads:
            thread.join()
        assert not surprises
        with weir.open(**place) as again:
            assert again.stream("s").stat().end == len(offsets)


def test_a_node_closed_in_its_own_callback_stays_open(node, capfd):
    watch = node.watch("k", lambda _: node.close())
    node.put("k", b"v")
    assert "BusyError" in capfd.readouterr().err
    assert node.get("k").value == b"v"
    watch.close()


def test_the_interpreter_ends_with_a_node_open(tmp_path):
    for driver in ("True", "False"):
        done = run(tmp_path, f"""
            import sys, weir
            node = weir.open(store=f"dir:{{sys.argv[1]}}/store",
                             wal=f"file:{{sys.argv[1]}}/wal?size=16MiB",
                             driver={driver})
            stream = node.stream("s", create=True)
            print(stream.append(b"x"))
        """)
        assert done.returncode == 0 and done.stderr == "", done
    with weir.open(store=f"dir:{tmp_path}/store",
                   wal=f"file:{tmp_path}/wal?size=16MiB") as node:
        assert node.stream("s").stat().end == 2


def test_a_child_that_ends_leaves_its_parents_log_alone(tmp_path):
    """Also when it runs all that an interpreter runs at its end."""
    done = run(tmp_path, """
        import os, sys, weir
        node = weir.open(store=f"dir:{sys.argv[1]}/store",
                         wal=f"file:{sys.argv[1]}/wal?size=16MiB", driver=True)
        stream = node.stream("s", create=True)
        stream.append(b"before")
        if os.fork() == 0:
            try:
                stream.append(b"no")
            except weir.ClosedError as error:
                assert "after fork" in str(error), error
            node.close()
            sys.exit(7)
        assert os.waitstatus_to_exitcode(os.wait()[1]) == 7
        print(stream.append(b"after"))
    """)
    assert (done.stdout, done.stderr) == ("1\n", ""), done


def test_asyncio_ends_with_ctrl_c(tmp_path):
    done = run(tmp_path, """
        import asyncio, os, signal, weir.aio

        async def main():
            async with await weir.aio.open(store="mem:") as node:
                s = await node.stream("s", create=True)
                asyncio.get_running_loop().call_later(
                    0.2, os.kill, os.getpid(), signal.SIGINT)
                await s.fetch(0, min_bytes=1, max_wait=None)

        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            print("ended")
    """)
    assert done.stdout == "ended\n" and done.stderr == "", done


def test_an_exception_in_a_watch_is_printed_and_harms_nothing(node, capfd):
    def changed(_):
        raise RuntimeError("of the host")

    with node.watch("k", changed):
        node.put("k", b"1")
        node.put("k", b"2")
    assert capfd.readouterr().err.count("RuntimeError: of the host") == 2
    assert node.get("k").value == b"2"
