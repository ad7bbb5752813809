//! Fills a store with as much as a console of a large site has to show.

use lockstep_testbed::Schema;

/// Devices of several types and states, some of them not synchronized; a hundred causes, and 5,000 events of one device.
const DEVICES: &str = "\
    UPDATE device SET device_type = CASE id % 50 WHEN 0 THEN 'CORE' WHEN 1 THEN 'DIST' ELSE 'ACCESS' END, \
        state = CASE WHEN id % 100 = 7 THEN 'INIT' WHEN id % 100 = 8 THEN 'UNMANAGED' ELSE 'MANAGED' END, platform = 'eos', \
        state_since = now() - interval '90 days'; \
    INSERT INTO cause (id, cause, source, message_id, kind, actor, at, detail) \
        SELECT n, 'refresh_settings', 'urn:bench', n::text, 'lockstep.repository.changed', 'github', now() - n * interval '1 hour', '' \
        FROM generate_series(1, 100) AS n; \
    UPDATE device SET desired_generation = 2, unsynchronized_since = now() - id % 100000 * interval '1 second', \
        open_causes = ARRAY[id % 100 + 1] WHERE id % 10 = 0; \
    INSERT INTO device_history (device_id, at, what, source, message_id, kind, actor, generation) \
        SELECT CASE WHEN n <= 5000 THEN (SELECT min(id) FROM device) ELSE n END, now() - n * interval '1 minute', 'synchronized', 'urn:bench', \
            n::text, 'lockstep.element.finished', 'alice', 1 FROM generate_series(1, 200000) AS n \
        WHERE n <= 5000 OR n IN (SELECT id FROM device); \
    INSERT INTO interface (device_id, name) SELECT id, 'Ethernet' || port FROM device CROSS JOIN generate_series(1, 4) AS port";

/// Five hundred groups; each device is in two of them.
const GROUPS: &str = "\
    INSERT INTO device_group (name) SELECT 'group' || n FROM generate_series(1, 500) AS n; \
    INSERT INTO group_member (device_id, group_id) \
        SELECT device.id, device_group.id FROM device JOIN device_group ON device_group.id IN (device.id % 500 + 1, (device.id + 77) % 500 + 1)";

/// 20,000 executions: the first is a plan of all devices, the second runs on all of them, fifty others run, and a hundred are sweeps.
const EXECUTIONS: &str = "\
    INSERT INTO execution (id, task_number, task, provider, task_arguments, requested, run_on, source, message_id, kind, actor, at, state, \
        in_canary, elements, done, stage_elements, stage_ended, started_at, ended_at) \
    SELECT gen_random_uuid()::text, n % 500 + 1, CASE WHEN n % 200 = 3 THEN 'cvp_sweep' WHEN n = 1 THEN 'sync' ELSE 'task' || n % 500 END, \
        CASE WHEN n % 200 = 3 THEN 'cvp_sweep' WHEN n = 1 THEN 'sync' ELSE 'ping' END, '{}', \
        '{\"task\": 7, \"execute_on_type\": \"DEVICE\", \"dry_run\": true}', 'DEVICE', 'urn:bench', 'e' || n, 'lockstep.task.requested', 'alice', \
        now() - n * interval '1 minute', CASE WHEN n BETWEEN 2 AND 52 THEN 'RUNNING' ELSE 'SUCCESSFUL' END, false, \
        CASE WHEN n <= 2 THEN (SELECT count(*) FROM device) ELSE 50 END, 0, \
        CASE WHEN n <= 2 THEN (SELECT count(*) FROM device) ELSE 50 END, 0, now(), CASE WHEN n BETWEEN 2 AND 52 THEN NULL ELSE now() END \
    FROM generate_series(1, 20000) AS n; \
    INSERT INTO element (execution, entity_type, entity_id, name, device_id, hostname, state, outcome, attempts, started_at, ended_at, message, \
        data) \
    SELECT execution.number, 'DEVICE', device.id, device.hostname, device.id, device.hostname, 'SUCCESSFUL', \
        CASE WHEN device.id % 10000 = 1 THEN 'failed' ELSE 'done' END, 1, now(), now(), 'answered', '{\"stage\": \"done\"}' \
    FROM execution JOIN device ON execution.number <= 2 OR device.id % 2000 = execution.number % 2000 WHERE execution.number <= 2000 \
    ORDER BY execution.number, device.id; \
    INSERT INTO sync_element (element, execution, device_id, generation, masked, hash, score) \
    SELECT number, execution, device_id, 1, repeat('+ip name-server vrf default 192.0.2.53' || chr(10), 40), 'x', 4.0 \
    FROM element WHERE execution = 1; \
    INSERT INTO task (name, provider, arguments, saved_at) SELECT 'task' || n, 'ping', '{}', now() FROM generate_series(1, 500) AS n; \
    INSERT INTO schedule (name, cron, time_zone, request, enabled, saved_at) \
    SELECT 'schedule' || n, '0 4 * * *', 'UTC', '{\"task\": 1, \"execute_on_type\": \"DEVICE\"}', true, now() FROM generate_series(1, 300) AS n";

/// Messages, dead letters of fifty kinds, the audit of some months, and samples of a year.
const RECORDS: &str = "\
    INSERT INTO inbox (source, id, kind, digest, state, at, actor, result_type, result) \
    SELECT 'urn:bench', CASE WHEN n <= 100 THEN n::text ELSE 'm' || n END, 'lockstep.interface.updated', decode(md5(n::text) || md5(n::text), 'hex'), \
        'applied', now() - n * interval '1 second', 'github', 'lockstep.event.applied', '{\"outcome\":\"applied\",\"scope\":\"device\",\"flipped\":1,\"devices\":[\"' \
        || (SELECT hostname FROM device WHERE id % 10 = 0 ORDER BY id LIMIT 1) || '\"],\"truncated\":false}' \
    FROM generate_series(1, 200000) AS n; \
    INSERT INTO dead_letter (source, id, redrive_count, lane, kind, code, reason, attempts, first_at, dead_lettered_at, body, properties, state) \
    SELECT 'urn:bench', 'd' || n, 0, 'events', 'lockstep.kind' || n % 50, 'unknown-device', 'no such device', 1, now(), now(), '{}', '{}', 'dead' \
    FROM generate_series(1, 100000) AS n; \
    INSERT INTO audit (at, kind, principal, token, subject, message_source, message_id, message_type) \
    SELECT now() - (500000 - n) * interval '20 seconds', CASE WHEN n % 1000 = 0 THEN 'flag-cleared' ELSE 'command' END, 'person' || n % 40, 'laptop', \
        'access-' || n % 100000, 'urn:bench', n::text, 'lockstep.sync.requested' FROM generate_series(1, 500000) AS n; \
    INSERT INTO fleet_sample (seconds, at, synchronized, unsynchronized) \
    SELECT seconds, date_trunc('minute', now()) - n * seconds * interval '1 second', 90000, n % 977 \
    FROM (VALUES (60, 2880), (3600, 8760)) AS kind (seconds, most) CROSS JOIN LATERAL generate_series(0, most) AS n; \
    INSERT INTO repository (name, branch, revision, accepted, accepted_at, seen, seen_at) \
    VALUES ('settings', 'main', 1, repeat('a', 40), now(), repeat('a', 40), now()), \
        ('templates', 'main', 1, repeat('b', 40), now(), repeat('c', 40), now())";

/// Fills the tables around the devices, which are there.
///
/// # Errors
/// The database rejects a statement.
pub(super) async fn fill(schema: &Schema) -> anyhow::Result<()> {
    let client = schema.connect().await?;
    for statements in [DEVICES, GROUPS, EXECUTIONS, RECORDS] {
        client.batch_execute(statements).await?;
    }
    client.batch_execute("VACUUM ANALYZE").await?;
    client.batch_execute("CHECKPOINT").await?;
    Ok(())
}
