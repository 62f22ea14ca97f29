#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The Java client against weir-kafka: tests/integration/java/KafkaJava.java,
# with Kafka's client library as Maven gets it.  Left out, with a message, on
# a machine without a JDK, Maven or an index of packages.
#
#     BUILD=build tests/integration/test_kafka_java.sh
set -u
cd "$(dirname "$0")/../.." || exit 2
build=$(realpath "${BUILD:-build}")
work=build/kafka-java source=tests/integration/java
dir=$(mktemp -d)
server=
# shellcheck disable=SC2317 # Called by trap.
end() {
    [ -z "$server" ] || kill -9 "$server" 2>/dev/null
    rm -rf "$dir"
}
trap end EXIT

skip() {
    echo "skipped: the Java client: $1"
    echo '0 passed, 0 failed'
    exit 0
}

for tool in java javac mvn; do
    command -v "$tool" >/dev/null || skip "no $tool"
done
mkdir -p "$work"
if ! cmp -s "$source/pom.xml" "$work/pom.xml"; then
    rm -rf "$work/jars"
    timeout 200 mvn -q -B -f "$source/pom.xml" \
        dependency:copy-dependencies -DoutputDirectory="$PWD/$work/jars" \
        >"$work/mvn.log" 2>&1 </dev/null ||
        skip "Maven: $(grep -m 1 ERROR "$work/mvn.log")"
    cp "$source/pom.xml" "$work/pom.xml"
fi
javac -d "$work/classes" -cp "$work/jars/*" "$source/KafkaJava.java" || exit 1

"$build/weir-kafka" --store "dir:$dir/store" --wal "file:$dir/wal?size=256MiB" \
    --listen 127.0.0.1:0 >"$dir/out" 2>"$dir/err" &
server=$!
for _ in $(seq 100); do
    grep -q listening "$dir/out" && break
    sleep 0.1
done
timeout 200 java -Xmx512m -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
    -cp "$work/classes:$work/jars/*" KafkaJava \
    "$(sed -n 's/.*listening on //p' "$dir/out")"
status=$?
[ "$status" = 0 ] || tail -n 30 "$dir/err"
exit "$status"
