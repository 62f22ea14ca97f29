#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A cluster of weir-kafka that has nothing but a bucket, on a real S3 server.
set -u
cd "$(dirname "$0")/../.." || exit 2
rgw=tests/support/rgw.sh
if ! "$rgw" check; then
    echo "skipped: no S3 server to test against (make deps GROUPS=s3)"
    exit 0
fi
dir=$(mktemp -d)
trap '"$rgw" stop "$dir/rgw"; rm -rf "$dir"' EXIT
"$rgw" start "$dir/rgw" >"$dir/endpoints" || exit 1
read -r endpoint <"$dir/endpoints"
export AWS_ACCESS_KEY_ID=WEIRTESTKEY AWS_SECRET_ACCESS_KEY=WEIRTESTSECRET
empty=$(sha256sum </dev/null | cut -d' ' -f1)
curl -sSf -o "$dir/answer" -X PUT --aws-sigv4 aws:amz:us-east-1:s3 \
    --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
    -H "x-amz-content-sha256: $empty" "$endpoint/kafka" || exit 1
WEIR_TEST_S3="s3://kafka/cluster?endpoint=$endpoint" \
    tests/integration/test_kafka_cluster.py
