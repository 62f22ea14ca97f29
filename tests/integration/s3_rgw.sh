#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The s3 store against a real S3 server, a Ceph RADOS gateway: the conformance
# suite of all stores, what only a real server can say, and a node on it.
# `make test-s3` installs what it needs and runs it.
set -u
cd "$(dirname "$0")/../.." || exit 2
build=${BUILD:-build}
rgw=tests/support/rgw.sh
if ! "$rgw" check; then
    echo "skipped: no S3 server to test against (make deps GROUPS=s3)"
    exit 0
fi

. tests/integration/facts.sh
appender= # A process that the end of the script ends.
trap '[ -z "$appender" ] || kill -9 "$appender"
    "$rgw" stop "$dir/rgw"; rm -rf "$dir"' EXIT

"$rgw" start "$dir/rgw" >"$dir/endpoints" || exit 1
{ read -r endpoint && read -r tls; } <"$dir/endpoints"
ca=$dir/rgw/ca.pem
key=WEIRTESTKEY secret=WEIRTESTSECRET
empty=$(sha256sum </dev/null | cut -d' ' -f1)

make_bucket() { # NAME
    [ "$(curl -sS -o "$dir/answer" -w '%{http_code}' -X PUT \
        --aws-sigv4 aws:amz:us-east-1:s3 --user "$key:$secret" \
        -H "x-amz-content-sha256: $empty" "$endpoint/$1")" = 200 ]
}
conformance() { # KEY SECRET BUCKET
    WEIR_TEST_S3="s3://$3/conformance?endpoint=$endpoint" \
        WEIR_TEST_S3_KEY=$1 WEIR_TEST_S3_SECRET=$2 \
        "$build/tests/conformance/test_store"
}
over_tls() { # ENDPOINT CA-FILE
    WEIR_TEST_S3="s3://weir/tls?endpoint=$1" WEIR_TEST_S3_KEY=$key \
        WEIR_TEST_S3_SECRET=$secret WEIR_TEST_S3_CA=$2 \
        "$build/tests/conformance/test_store"
}
# The suite fails, and says why.
says() { # WORD COMMAND...
    local word=$1
    shift
    ! "$@" >"$dir/said" 2>&1 && grep -q -- "$word" "$dir/said"
}

fact 'a bucket can be made' make_bucket weir
fact 'the conformance suite passes' conformance $key $secret weir
fact 'a wrong secret is told' says SignatureDoesNotMatch \
    conformance $key wrong weir
fact 'an unknown key is told' says InvalidAccessKeyId \
    conformance NOBODY $secret weir
fact 'a missing bucket is told' says NoSuchBucket \
    conformance $key $secret nosuchbucket
fact 'the conformance suite passes over TLS' over_tls "$tls" "$ca"
fact 'a certificate of an unknown authority is refused' says 'TLS failed' \
    over_tls "$tls" ''
fact 'a certificate for another name is refused' says 'TLS failed' \
    over_tls "https://127.0.0.1:${tls##*:}" "$ca"

# The bucket in the host's name, weir.localhost: in the URL, in the signature,
# and in what the certificate is checked for.
host=http://localhost:${endpoint##*:}
virtual() { # BUCKET ENDPOINT CA-FILE
    WEIR_TEST_S3="s3://$1/virtual?endpoint=$2&path_style=false" \
        WEIR_TEST_S3_KEY=$key WEIR_TEST_S3_SECRET=$secret \
        WEIR_TEST_S3_CA=$3 "$build/tests/conformance/test_store"
}
fact 'the conformance suite passes with the bucket in the host' \
    virtual weir "$host" ''
fact 'and so over TLS' virtual weir "$tls" "$ca"
fact 'a certificate for another bucket is refused' says 'TLS failed' \
    virtual other "$tls" "$ca"

# A node: what one process appends, another one reads from objects alone.
node() { # COMMAND...
    AWS_ACCESS_KEY_ID=$key AWS_SECRET_ACCESS_KEY=$secret timeout 60 \
        "$build/weir" --store "s3://weir/node?endpoint=$endpoint" \
        --wal "file:$dir/wal?size=64MiB" "$@"
}
append() { seq 1 20000 | node append numbers; }
flush() { node flush; }
same() { node cat numbers | cmp - <(seq 1 20000); }
if [ -x "$build/weir" ]; then
    fact 'a node appends with its store on S3' append
    fact 'it uploads to S3' flush
    fact 'what it reads back is the same' same
fi
# Objects are the same ones, whichever way they are asked for.
virtual_node() { # COMMAND...
    AWS_ACCESS_KEY_ID=$key AWS_SECRET_ACCESS_KEY=$secret timeout 60 \
        "$build/weir" --store "s3://weir/host?endpoint=$host&path_style=$1" \
        --wal object: "${@:2}"
}
virtual_append() { seq 1 20000 | virtual_node false append numbers; }
virtual_flush() { virtual_node false flush; }
virtual_same() { virtual_node "$1" cat numbers | cmp - <(seq 1 20000); }
if [ -x "$build/weir" ]; then
    fact 'a node appends with the bucket in the host' virtual_append
    fact 'it uploads so' virtual_flush
    fact 'what it reads back so is the same' virtual_same false
    fact 'and with the bucket in the path' virtual_same true
fi

# A versioned bucket takes every PUT: it is refused, by what is missing.
versioned() {
    local body='<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status></VersioningConfiguration>'
    make_bucket versioned && [ "$(curl -sS -o "$dir/answer" -w '%{http_code}' \
        -X PUT --aws-sigv4 aws:amz:us-east-1:s3 --user "$key:$secret" \
        -H "x-amz-content-sha256: $(printf %s "$body" | sha256sum |
            cut -d' ' -f1)" -d "$body" "$endpoint/versioned?versioning=")" = 200 ]
}
refused() {
    echo x | AWS_ACCESS_KEY_ID=$key AWS_SECRET_ACCESS_KEY=$secret timeout 60 \
        "$build/weir" --store "s3://versioned/node?endpoint=$endpoint" \
        --wal "file:$dir/wal2?size=64MiB" append s >"$dir/said" 2>&1
    grep -q 'If-None-Match is ignored' "$dir/said"
}
probe() { # BUCKET
    AWS_ACCESS_KEY_ID=$key AWS_SECRET_ACCESS_KEY=$secret timeout 60 \
        "$build/weir" probe "s3://$1/node?endpoint=$endpoint"
}
if [ -x "$build/weir" ]; then
    fact 'a bucket can be versioned' versioned
    fact 'a versioned bucket is refused' refused
    fact 'the probe finds all that a node needs' probe weir
    fact 'the probe tells what a versioned bucket lacks' \
        says 'conditional_create *no' probe versioned
fi

# The bucket alone: the log is in it too.  A node that is killed loses nothing,
# and another one takes over what it had.
bucket() { # NODE COMMAND...
    local id=$1
    shift
    AWS_ACCESS_KEY_ID=$key AWS_SECRET_ACCESS_KEY=$secret timeout 120 \
        "$build/weir" --store "s3://weir/bucket?endpoint=$endpoint" \
        --wal object: -X "node_id=$id" -X upload_interval=1h "$@"
}
# Numbers from 1 on, until there is $dir/enough.
feed() {
    local at=0
    while [ ! -e "$dir/enough" ]; do
        seq $((at + 1)) $((at + 1000)) || return
        at=$((at + 1000))
        sleep 0.02
    done
}
# In the background, as $appender; what is acknowledged is in $dir/acked, a line
# each.
append_on() { # NODE STREAM
    rm -f "$dir/enough"
    : >"$dir/acked" # It is there to be counted before the program starts.
    AWS_ACCESS_KEY_ID=$key AWS_SECRET_ACCESS_KEY=$secret \
        "$build/weir" --store "s3://weir/bucket?endpoint=$endpoint" \
        --wal object: -X "node_id=$1" -X upload_interval=1h \
        append --ack "$2" < <(feed) >"$dir/acked" &
    appender=$!
}
acked() { wc -l <"$dir/acked"; }
until_acked() { # COUNT: and it goes on all the time
    local i
    for ((i = 0; i < 600; i++)); do
        kill -0 "$appender" || return 1
        [ "$(acked)" -ge "$1" ] && return 0
        sleep 0.1
    done
    return 1
}
ended() { # STATUS
    local status
    wait "$appender"
    status=$?
    appender=
    echo "it ended with $status"
    [ "$status" = "$1" ]
}
killed() {
    append_on 1 numbers
    until_acked 5000 || return 1
    kill -9 "$appender"
    ended 137
}
taken_over() { bucket 2 takeover --force 1; }
read=0
kept() { # A beginning of the numbers, at least what was acknowledged.
    bucket 2 cat numbers >"$dir/read" || return 1
    read=$(wc -l <"$dir/read")
    [ "$read" -ge "$(acked)" ] && cmp "$dir/read" <(seq 1 "$read")
}
goes_on() {
    seq $((read + 1)) $((read + 1000)) | bucket 2 append numbers &&
        bucket 2 cat numbers | cmp - <(seq 1 $((read + 1000)))
}
if [ -x "$build/weir" ]; then
    fact 'a node that appends to a log in the bucket is killed' killed
    fact 'another node takes it over' taken_over
    fact 'what had been acknowledged is there' kept
    fact 'the other node appends behind it' goes_on
fi

# The server is stopped in the midst of PUTs, for longer than an attempt may
# take, and goes on: what became of them is found out, nothing is lost or twice.
frozen() {
    local server before lasted
    server=$(cat "$dir/rgw/run/client.rgw.a.pid") || return 1
    append_on 3 frozen
    until_acked 5000 || return 1
    kill -STOP "$server"
    sleep 2 # What was answered before has come.
    before=$(acked)
    sleep 11
    # There is more to append all the time: PUTs are open, and none is answered.
    kill -0 "$appender" && [ "$(acked)" = "$before" ]
    lasted=$?
    kill -CONT "$server"
    echo "$before acknowledged before, $(acked) while it was stopped"
    [ "$lasted" = 0 ] && until_acked $((before + 5000)) || return 1
    touch "$dir/enough"
    ended 0
}
thawed() { bucket 3 cat frozen | cmp - <(seq 1 "$(acked)"); }
if [ -x "$build/weir" ]; then
    fact 'appends outlive a server that is stopped for 13 seconds' frozen
    fact 'and all of them are there, once' thawed
fi

# Another node follows what is appended, and in no object yet: each line is
# written when the one before has been seen there.
within_a_minute() { # COMMAND...
    local i
    for ((i = 0; i < 600; i++)); do
        "$@" && return 0
        sleep 0.1
    done
    return 1
}
there_is() { bucket 5 ls | grep -qx "$1"; }
has_lines() { [ "$(wc -l <"$1")" -ge "$2" ]; } # FILE COUNT
follow_each() { # FD: what is written there is appended
    local i
    within_a_minute there_is tail || return 1
    bucket 5 cat --follow --count 3 tail >"$dir/followed" {feed}>&- &
    for i in 1 2 3; do
        echo "$i" >&"$1"
        within_a_minute has_lines "$dir/followed" "$i" || return 1
    done
}
followed() {
    local feed good
    mkfifo "$dir/tail" || return 1
    : >"$dir/followed"
    bucket 4 append tail <"$dir/tail" &
    exec {feed}>"$dir/tail"
    follow_each "$feed"
    good=$?
    exec {feed}>&- # Its input ends, and so does the writer.
    wait
    [ "$good" = 0 ] && cmp "$dir/followed" <(seq 1 3)
}
if [ -x "$build/weir" ]; then
    fact 'another node follows the tail' followed
fi

# 16 processes that begin to commit at one moment: what was reported is there,
# once, and nothing else is.
nodes=16 count=20
child() { # NODE COUNT
    AWS_ACCESS_KEY_ID=$key AWS_SECRET_ACCESS_KEY=$secret timeout 120 \
        "$build/tests/integration/commit_child" \
        "s3://weir/commits?endpoint=$endpoint" "$@"
}
all_ready() {
    local i
    for ((i = 0; i < 600; i++)); do
        [ "$(grep -lx ready "$dir"/did.* | wc -l)" = $nodes ] && return 0
        sleep 0.1
    done
    return 1
}
at_once() {
    local i pids=() good=0 gate
    mkfifo "$dir/gate" || return 1
    exec {gate}<>"$dir/gate"
    for ((i = 1; i <= nodes; i++)); do
        child "$i" $count <"$dir/gate" >"$dir/did.$i" {gate}>&- &
        pids+=($!)
    done
    all_ready || good=1
    exec {gate}>&- # It has no writer any more: all of them begin.
    for i in "${pids[@]}"; do wait "$i" || good=1; done
    return $good
}
did() { cat "$dir"/did.* | sed -n "s/^$1 //p" | sort; }
nothing_in_doubt() { # It may be, of a server that fails; this one does not.
    ! grep '^?' "$dir"/did.*
}
marks_once() {
    child 17 0 | sort >"$dir/marks"
    diff "$dir/marks" <(did marked) &&
        [ "$(wc -l <"$dir/marks")" = $((nodes * count)) ]
}
commits() { # COMMAND...
    AWS_ACCESS_KEY_ID=$key AWS_SECRET_ACCESS_KEY=$secret timeout 60 \
        "$build/weir" --store "s3://weir/commits?endpoint=$endpoint" \
        --wal mem: -X node_id=18 "$@"
}
streams_are() {
    commits ls | sort >"$dir/streams"
    diff "$dir/streams" <(comm -23 <(did made) <(did deleted)) &&
        [ "$(wc -l <"$dir/streams")" = $((nodes * count / 2)) ]
}
whole() { commits dump manifest >"$dir/manifest"; }
if [ -x "$build/weir" ]; then
    fact 'sixteen processes commit at once' at_once
    fact 'nobody is left in doubt' nothing_in_doubt
    fact 'each compare-and-set that was done is there once' marks_once
    fact 'so are the streams that were made and not deleted' streams_are
    fact 'the manifest can be read from its beginning' whole
fi

facts_end
