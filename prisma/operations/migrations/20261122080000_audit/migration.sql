-- CreateTable
CREATE TABLE "audit_pending" (
    "id" UUID NOT NULL,
    "service" TEXT NOT NULL,
    "entry" JSONB NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "ended_at" TIMESTAMPTZ(3),

    CONSTRAINT "audit_pending_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "audit_repeat" (
    "key" TEXT NOT NULL,
    "origin" TEXT NOT NULL,
    "service" TEXT NOT NULL,
    "entry" JSONB NOT NULL,
    "seen" BIGINT NOT NULL,
    "since" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "last_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "audit_repeat_pkey" PRIMARY KEY ("key")
);

-- CreateTable
CREATE TABLE "audit_log" (
    "position" BIGINT NOT NULL,
    "id" UUID NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "user_id" TEXT,
    "tenant_id" TEXT,
    "action" TEXT NOT NULL,
    "outcome" TEXT NOT NULL,
    "target_id" TEXT,
    "request_id" TEXT,
    "content" TEXT NOT NULL,
    "hash" BYTEA NOT NULL,

    CONSTRAINT "audit_log_pkey" PRIMARY KEY ("position")
);

-- CreateTable
CREATE TABLE "audit_head" (
    "id" INTEGER NOT NULL DEFAULT 1,
    "position" BIGINT NOT NULL DEFAULT 0,
    "hash" BYTEA NOT NULL,
    "sealed" BYTEA,
    "sealed_key_id" TEXT,
    "sealed_at" TIMESTAMPTZ(3),

    CONSTRAINT "audit_head_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "audit_pending_ended_at_idx" ON "audit_pending"("ended_at");

-- CreateIndex
CREATE INDEX "audit_repeat_origin_idx" ON "audit_repeat"("origin");

-- CreateIndex
CREATE INDEX "audit_repeat_since_idx" ON "audit_repeat"("since");

-- CreateIndex
CREATE INDEX "audit_log_tenant_id_position_idx" ON "audit_log"("tenant_id", "position");

-- CreateIndex
CREATE INDEX "audit_log_user_id_position_idx" ON "audit_log"("user_id", "position");

-- CreateIndex
CREATE INDEX "audit_log_target_id_position_idx" ON "audit_log"("target_id", "position");

-- CreateIndex
CREATE INDEX "audit_log_request_id_idx" ON "audit_log"("request_id");

-- ---- the audit -----------------------------------------------------------------------------------------------

INSERT INTO audit_head (id, position, hash) VALUES (1, 0, decode(repeat('00', 32), 'hex'));

-- A slip of whoever owns the tables is refused, too; malice is found by the chain.
CREATE FUNCTION refuse_audit_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit log is only ever added to';
END $$;
CREATE TRIGGER audit_log_is_append_only BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_log_is_not_truncated BEFORE TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

-- Takes entries: [{id, ended, entry}] of what begins and of what has ended, and {..., key, origin, count} of what was refused.
-- What an entry said when it began stands, whatever is said at its end. Of refusals with one key the first is an entry; those
-- that follow it within a minute are counted and become one more. Of one origin, no more than a hundred kinds a minute.
CREATE FUNCTION write_audit(p_entries jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = operations, pg_temp AS $$
DECLARE v jsonb; v_entry jsonb; v_key text; v_origin text; v_count bigint; v_seen bigint;
BEGIN
  -- in the order of keys: batches that wait for one another do so in a line
  FOR v IN SELECT value FROM jsonb_array_elements(p_entries) ORDER BY value ->> 'key' COLLATE "C" NULLS FIRST, value ->> 'id' LOOP
    v_entry := v -> 'entry';
    IF v ->> 'key' IS NOT NULL THEN
      v_origin := caller() || ':' || (v ->> 'origin');
      v_key := v_origin || ':' || (v ->> 'key');
      v_count := coalesce((v ->> 'count')::bigint, 1);
      IF NOT EXISTS (SELECT FROM audit_repeat WHERE key = v_key) AND (SELECT count(*) FROM audit_repeat WHERE origin = v_origin) >= 100 THEN
        v_key := v_origin || ':others';
        v_entry := (v_entry - ARRAY['arguments', 'targetId', 'targetType', 'tenantId', 'code', 'requestId']) || '{"action": "others"}';
      END IF;
      INSERT INTO audit_repeat AS r (key, origin, service, entry, seen) VALUES (v_key, v_origin, caller(), v_entry, v_count)
      ON CONFLICT (key) DO UPDATE SET seen = r.seen + v_count, last_at = clock_timestamp() RETURNING seen INTO v_seen;
      IF v_seen > v_count THEN
        DELETE FROM audit_pending WHERE id = (v ->> 'id')::uuid AND service = caller() AND ended_at IS NULL;
        CONTINUE;
      END IF;
    END IF;
    INSERT INTO audit_pending AS p (id, service, entry, ended_at)
    VALUES ((v ->> 'id')::uuid, caller(), v_entry, CASE WHEN (v ->> 'ended')::boolean THEN clock_timestamp() END)
    ON CONFLICT (id) DO UPDATE SET entry = EXCLUDED.entry || p.entry, ended_at = coalesce(EXCLUDED.ended_at, p.ended_at)
      WHERE p.service = EXCLUDED.service AND p.ended_at IS NULL;
  END LOOP;
END $$;

-- Moves what has ended into the log, each entry with the hash of all before it. What has not ended after p_unknown_ms belongs to a
-- process that is gone: UNKNOWN. Answers how many were moved. One at a time, by the head's row.
CREATE FUNCTION chain_audit(p_limit int, p_unknown_ms int, p_repeats_ms int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = operations, pg_temp AS $$
DECLARE r record; v_position bigint; v_hash bytea; v_content jsonb; v_count int := 0; v_now timestamptz := clock_timestamp();
BEGIN
  SELECT position, hash INTO v_position, v_hash FROM audit_head WHERE id = 1 FOR UPDATE;
  FOR r IN
    WITH ended AS (
      DELETE FROM audit_pending WHERE id IN (
        SELECT p.id FROM audit_pending p WHERE p.ended_at IS NOT NULL OR p.at < v_now - make_interval(secs => p_unknown_ms / 1000.0)
        ORDER BY coalesce(p.ended_at, p.at), p.id LIMIT p_limit FOR UPDATE SKIP LOCKED) RETURNING *
    ), over AS (
      DELETE FROM audit_repeat WHERE key IN (
        SELECT a.key FROM audit_repeat a WHERE a.since < v_now - make_interval(secs => p_repeats_ms / 1000.0)
        ORDER BY a.since LIMIT p_limit FOR UPDATE SKIP LOCKED) RETURNING *
    )
    SELECT e.id, e.service, e.at, e.ended_at, CASE WHEN e.ended_at IS NULL THEN e.entry || '{"outcome": "UNKNOWN"}' ELSE e.entry END AS entry FROM ended e
    UNION ALL
    SELECT gen_random_uuid(), o.service, o.since, o.last_at, o.entry || jsonb_build_object('count', o.seen - 1) FROM over o WHERE o.seen > 1
    ORDER BY 4, 3, 1
  LOOP
    v_position := v_position + 1;
    v_content := jsonb_build_object('count', 1) || r.entry || jsonb_build_object(
      'position', v_position, 'id', r.id, 'service', r.service, 'at', moment(r.at), 'endedAt', moment(r.ended_at));
    v_hash := sha256(v_hash || convert_to(v_content::text, 'UTF8'));
    INSERT INTO audit_log (position, id, at, user_id, tenant_id, action, outcome, target_id, request_id, content, hash)
    VALUES (v_position, r.id, r.at, v_content ->> 'userId', v_content ->> 'tenantId', v_content ->> 'action', v_content ->> 'outcome',
      v_content ->> 'targetId', v_content ->> 'requestId', v_content::text, v_hash);
    v_count := v_count + 1;
  END LOOP;
  IF v_count > 0 THEN UPDATE audit_head SET position = v_position, hash = v_hash WHERE id = 1; END IF;
  RETURN v_count;
END $$;

-- RFC 3339, in UTC, with milliseconds: the same text whatever the session's settings.
CREATE FUNCTION moment(p_at timestamptz) RETURNS text
LANGUAGE sql STABLE AS $$ SELECT to_char(p_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $$;

-- Keeps what says, under a key that is not in the database, how far the chain had come.
CREATE FUNCTION seal_audit(p_sealed bytea, p_key_id text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = operations, pg_temp AS $$
  UPDATE audit_head SET sealed = p_sealed, sealed_key_id = p_key_id, sealed_at = clock_timestamp() WHERE id = 1 $$;

REVOKE ALL ON FUNCTION refuse_audit_change, write_audit, chain_audit, moment, seal_audit FROM PUBLIC;
GRANT EXECUTE ON FUNCTION write_audit TO novacron_identity, novacron_vms, novacron_storage, novacron_network, novacron_migration, novacron_monitoring, novacron_operations, novacron_gateway;
GRANT EXECUTE ON FUNCTION chain_audit TO novacron_operations;
GRANT EXECUTE ON FUNCTION seal_audit TO novacron_identity;
GRANT SELECT ON audit_log, audit_head TO novacron_identity;
