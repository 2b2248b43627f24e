-- How far storage is with the disks of a VM that is off: it copies them itself. Repeats harmlessly, and says nothing of a migration that is over.
CREATE FUNCTION disks_copied(p_migration uuid, p_bytes bigint, p_all bigint, p_per_second float8) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = migration, pg_temp AS $$
DECLARE m migration;
BEGIN
  UPDATE migration SET
    state = CASE WHEN state = 'PREPARING' THEN 'COPYING_DISKS' ELSE state END,
    disks_transferred = p_bytes,
    throughput = p_per_second,
    progress = greatest(progress, least(0.99, p_bytes / greatest(p_all, 1)::float8)),
    predicted_duration_ms = CASE WHEN p_per_second > 0 AND state <> 'CANCELLING' THEN greatest(p_all - p_bytes, 0) / p_per_second * 1000 END,
    generation = generation + 1
  WHERE id = p_migration AND finished_at IS NULL RETURNING * INTO m;
  IF FOUND THEN
    PERFORM operations.put_event('migration.changed', m.id::text, m.tenant_id, jsonb_build_object('after', facts(m)));
  END IF;
END $$;

REVOKE ALL ON FUNCTION disks_copied FROM PUBLIC;
GRANT USAGE ON SCHEMA migration TO novacron_storage;
GRANT EXECUTE ON FUNCTION disks_copied TO novacron_storage;
