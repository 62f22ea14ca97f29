#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A real S3 server for tests: a Ceph RADOS gateway with one monitor and one
# OSD that keeps everything in memory, on loopback and on free ports.
#
#     tests/support/rgw.sh start DIR    # prints the endpoints, e.g.
#                                       # http://127.0.0.1:34567
#                                       # https://localhost:34568
#     tests/support/rgw.sh stop DIR     # ends it and removes DIR
#     tests/support/rgw.sh check        # are the packages there?
#
# The key is WEIRTESTKEY with the secret WEIRTESTSECRET.  A bucket is in the
# path or in the host's name (http://BUCKET.localhost:34567, which libcurl takes
# to this machine by itself).  The certificate is DIR/ca.pem, for the names
# localhost and weir.localhost alone: libcurl takes no wildcard in front of a
# single word.  It takes some 15 seconds to start, and about 500 MiB of memory.
set -u

programs=(radosgw ceph-mon ceph-osd monmaptool ceph-authtool ceph
    radosgw-admin curl openssl python3)

die() {
    echo "rgw.sh: $*" >&2
    exit 1
}

check() {
    local p missing=()
    for p in "${programs[@]}"; do
        command -v "$p" >/dev/null 2>&1 || missing+=("$p")
    done
    [ ${#missing[@]} = 0 ] && return 0
    echo "missing: ${missing[*]} (Debian packages radosgw, ceph-mon," \
        "ceph-osd, ceph-common, curl, openssl, python3)" >&2
    return 1
}

free_ports() {
    python3 - <<'P'
import socket
held = [socket.socket() for _ in range(4)]
for s in held:
    s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in held))
P
}

write_config() {
    cat >"$dir/ceph.conf" <<C
[global]
fsid = $fsid
mon_initial_members = a
mon_host = [v2:127.0.0.1:$mon_v2,v1:127.0.0.1:$mon_v1]
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
keyring = $dir/keyring
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pgp_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
run_dir = $dir/run
admin_socket = $dir/run/\$name.asok
pid_file = $dir/run/\$name.pid
log_file = $dir/log/\$name.log
mon_cluster_log_file = $dir/log/cluster.log
[mon]
mon_data = $dir/mon
mon_data_avail_crit = 1
mon_data_avail_warn = 2
[osd]
osd_data = $dir/osd
osd_objectstore = memstore
memstore_device_bytes = 8589934592
osd_class_load_list = *
osd_class_default_list = *
[client.rgw.a]
rgw_frontends = beast endpoint=127.0.0.1:$port tcp_nodelay=1 ssl_endpoint=127.0.0.1:$tls_port ssl_certificate=$dir/server.pem
rgw_data = $dir/rgw
rgw_dns_name = localhost
rgw_enable_usage_log = false
rgw_thread_pool_size = 64
C
}

make_certificate() {
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost,DNS:weir.localhost \
        -keyout "$dir/key.pem" -out "$dir/ca.pem" && cat "$dir/key.pem" "$dir/ca.pem" \
        >"$dir/server.pem"
}

# Until a command succeeds, for up to 60 seconds.
wait_for() {
    local i
    for ((i = 0; i < 300; i++)); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.2
    done
    return 1
}

start_monitor() {
    local name
    monmaptool --create --fsid "$fsid" \
        --addv a "[v2:127.0.0.1:$mon_v2,v1:127.0.0.1:$mon_v1]" \
        --set-min-mon-release 16 "$dir/monmap" --clobber &&
        ceph-authtool -C "$dir/keyring" --gen-key -n mon. \
            --cap mon 'allow *' || return 1
    for name in client.admin client.rgw.a osd.0; do
        ceph-authtool "$dir/keyring" --gen-key -n "$name" \
            --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *' ||
            return 1
    done
    ceph-mon --mkfs --keyring "$dir/keyring" -i a --monmap "$dir/monmap" \
        --mon-data "$dir/mon" &&
        ceph-mon -i a --mon-data "$dir/mon" && wait_for ceph -s
}

start_osd() {
    local uuid
    uuid=$(cat /proc/sys/kernel/random/uuid)
    ceph osd new "$uuid" 0 &&
        ceph-osd -i 0 --mkfs --osd-uuid "$uuid" --osd-data "$dir/osd" &&
        ceph-osd -i 0 --osd-data "$dir/osd" &&
        ceph osd crush add osd.0 1.0 root=default host=localhost
}

start_gateway() {
    radosgw -n client.rgw.a &&
        wait_for curl -s -m 2 -o /dev/null "http://127.0.0.1:$port/" &&
        radosgw-admin user create --uid=weir --display-name=weir \
            --access-key=WEIRTESTKEY --secret-key=WEIRTESTSECRET
}

start() {
    check || exit 1
    mkdir -p "$dir"/{mon,osd,rgw,run,log} || exit 1
    dir=$(cd "$dir" && pwd)
    fsid=$(cat /proc/sys/kernel/random/uuid)
    read -r mon_v2 mon_v1 port tls_port < <(free_ports)
    write_config
    export CEPH_CONF=$dir/ceph.conf
    if ! { make_certificate && start_monitor && start_osd && start_gateway; } \
        >"$dir/log/start.log" 2>&1; then
        tail -n 20 "$dir/log/start.log" >&2
        stop
        die "it did not start"
    fi
    echo "http://127.0.0.1:$port"
    echo "https://localhost:$tls_port"
}

# By process id, and only if the process is still the one that wrote it.
stop() {
    local file pid pids=()
    for file in "$dir"/run/*.pid; do
        [ -r "$file" ] || continue
        pid=$(cat "$file")
        case $(cat "/proc/$pid/comm" 2>/dev/null) in
        radosgw | ceph-mon | ceph-osd) pids+=("$pid") ;;
        esac
    done
    # Nothing in it is worth an orderly end, which can take minutes.
    [ ${#pids[@]} = 0 ] || kill -9 "${pids[@]}" 2>/dev/null
    rm -rf "$dir"
}

command=${1:-} dir=${2:-}
case $command in
check) check ;;
start | stop)
    [ -n "$dir" ] || die "usage: rgw.sh start|stop DIR"
    "$command"
    ;;
*) die "usage: rgw.sh start|stop DIR, rgw.sh check" ;;
esac
