// SPDX-License-Identifier: Apache-2.0
// The Java client against a server: java KafkaJava HOST:PORT
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class KafkaJava {
    static final int RECORDS = 200;
    static final long TIME = 1700000000000L;
    static String server;
    static int passed, failed;

    interface Fact {
        void prove() throws Exception;
    }

    static void fact(String name, Fact fact) {
        try {
            fact.prove();
            passed++;
            System.out.println("ok    " + name);
        } catch (Throwable e) {
            failed++;
            System.out.println("FAIL  " + name);
            e.printStackTrace(System.out);
        }
    }

    static void check(boolean holds, String what) {
        if (!holds)
            throw new AssertionError(what);
    }

    static Properties props() {
        Properties p = new Properties();
        p.put("bootstrap.servers", server);
        return p;
    }

    static KafkaProducer<byte[], byte[]> producer(String codec) {
        Properties p = props();
        p.put("compression.type", codec);
        p.put("enable.idempotence", "true");
        p.put("linger.ms", "5");
        return new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer());
    }

    static KafkaConsumer<byte[], byte[]> consumer(String isolation) {
        Properties p = props();
        p.put("isolation.level", isolation);
        return new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static byte[] value(int i) {
        if (i == 3)
            return null;
        byte[] v = new byte[i == 1 ? 1000000 : i];
        Arrays.fill(v, (byte) ('a' + i % 26));
        return v;
    }

    static void produce(String codec, TopicPartition tp) throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> producer = producer(codec)) {
            for (int i = 0; i < RECORDS; i++)
                sent.add(producer.send(new ProducerRecord<>(tp.topic(), tp.partition(), TIME + i,
                    i % 2 == 0 ? null : ("k" + i).getBytes(StandardCharsets.UTF_8), value(i),
                    List.of(new RecordHeader("h", new byte[] {1}), new RecordHeader("n", null)))));
            producer.flush();
            for (int i = 0; i < RECORDS; i++)
                check(sent.get(i).get().offset() == i, "offset of " + i);
        }
    }

    static List<ConsumerRecord<byte[], byte[]>> read(KafkaConsumer<byte[], byte[]> consumer,
                                                     int count) {
        List<ConsumerRecord<byte[], byte[]>> got = new ArrayList<>();
        long end = System.nanoTime() + 60_000_000_000L;
        while (got.size() < count && System.nanoTime() < end)
            for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(500)))
                got.add(r);
        check(got.size() == count, "got " + got.size() + " of " + count);
        return got;
    }

    static void codec(String codec) throws Exception {
        TopicPartition tp = new TopicPartition("java-" + codec, 0);
        produce(codec, tp);
        try (KafkaConsumer<byte[], byte[]> c = consumer("read_committed")) {
            c.assign(List.of(tp));
            c.seekToBeginning(List.of(tp));
            List<ConsumerRecord<byte[], byte[]>> got = read(c, RECORDS);
            for (int i = 0; i < RECORDS; i++) {
                ConsumerRecord<byte[], byte[]> r = got.get(i);
                check(r.offset() == i && r.timestamp() == TIME + i, "place of " + i);
                check(Arrays.equals(r.value(), value(i)), "value of " + i);
                check((r.key() == null) == (i % 2 == 0), "key of " + i);
                check(r.headers().toArray().length == 2
                    && r.headers().lastHeader("n").value() == null, "headers of " + i);
            }
            c.seek(tp, 150);
            check(read(c, 50).get(0).offset() == 150, "seek");
            check(c.offsetsForTimes(Map.of(tp, TIME + 77)).get(tp).offset() == 77, "by time");
            check(c.offsetsForTimes(Map.of(tp, TIME + RECORDS)).get(tp) == null, "beyond");
            check(c.endOffsets(List.of(tp)).get(tp) == RECORDS, "end");
            check(c.beginningOffsets(List.of(tp)).get(tp) == 0, "beginning");
        }
    }

    static Uuid create(Admin admin, String name, int partitions) throws Exception {
        return admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1)))
            .topicId(name).get();
    }

    static void recreate(Admin admin) throws Exception {
        TopicPartition tp = new TopicPartition("java-again", 2);
        Uuid first = create(admin, "java-again", 3);
        produce("none", tp);
        admin.deleteTopics(List.of("java-again")).all().get();
        check(!admin.listTopics().names().get().contains("java-again"), "still listed");
        Uuid second = create(admin, "java-again", 3);
        check(!first.equals(second), "the same id twice");
        produce("lz4", tp); // Checks that offsets begin at 0.
    }

    static void latest(Admin admin) throws Exception {
        TopicPartition tp = new TopicPartition("java-gzip", 0);
        check(admin.listOffsets(Map.of(tp, OffsetSpec.maxTimestamp())).partitionResult(tp).get()
            .offset() == RECORDS - 1, "offset of the largest timestamp");
        check(admin.listOffsets(Map.of(tp, OffsetSpec.latest())).partitionResult(tp).get()
            .offset() == RECORDS, "latest");
    }

    static void refusals(Admin admin) throws Exception {
        try {
            create(admin, "java-gzip", 1);
            throw new AssertionError("created twice");
        } catch (ExecutionException e) {
            check(e.getCause() instanceof TopicExistsException, "" + e.getCause());
        }
        try {
            admin.createTopics(List.of(new NewTopic("java-bad", 1, (short) 1)
                .configs(Map.of("no.such.thing", "1")))).all().get();
            throw new AssertionError("unknown configuration");
        } catch (ExecutionException e) {
            check(e.getCause() instanceof InvalidConfigurationException, "" + e.getCause());
        }
    }

    static void many(Admin admin) throws Exception {
        create(admin, "java-many", 20);
        try (KafkaProducer<byte[], byte[]> p = producer("zstd")) {
            for (int i = 0; i < 20000; i++)
                p.send(new ProducerRecord<>("java-many", i % 20, null, ("" + i).getBytes()));
        }
        List<TopicPartition> all = new ArrayList<>();
        for (int i = 0; i < 20; i++)
            all.add(new TopicPartition("java-many", i));
        int[] next = new int[20];
        try (KafkaConsumer<byte[], byte[]> c = consumer("read_uncommitted")) {
            c.assign(all);
            c.seekToBeginning(all);
            for (ConsumerRecord<byte[], byte[]> r : read(c, 20000)) {
                int p = r.partition();
                check(r.offset() == next[p]
                    && new String(r.value()).equals("" + (next[p] * 20 + p)), "order of " + p);
                next[p]++;
            }
        }
    }

    public static void main(String[] args) {
        server = args[0];
        try (Admin admin = Admin.create(props())) {
            fact("the cluster tells its node", () ->
                check(admin.describeCluster().nodes().get().size() == 1, "nodes"));
            for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd"))
                fact("records come back, " + codec, () -> codec(codec));
            fact("offsets are listed by what they stand for", () -> latest(admin));
            fact("a topic created again begins anew", () -> recreate(admin));
            fact("bad topics are refused by name", () -> refusals(admin));
            fact("many partitions keep their orders", () -> many(admin));
            fact("a deleted topic is gone", () -> {
                admin.deleteTopics(Collections.singleton("java-many")).all().get();
                check(!admin.listTopics().names().get().contains("java-many"), "still listed");
            });
        }
        System.out.println(passed + " passed, " + failed + " failed");
        System.exit(failed == 0 ? 0 : 1);
    }
}
