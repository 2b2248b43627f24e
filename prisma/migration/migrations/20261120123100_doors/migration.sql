-- What migration offers to the transactions of other services. Each runs as the owner (SECURITY DEFINER) with a pinned
-- search_path.

-- What an event tells of a migration.
CREATE FUNCTION facts(m migration) RETURNS jsonb
LANGUAGE sql STABLE AS $$ SELECT jsonb_build_object('vmId', m.vm_id, 'state', m.state, 'progress', m.progress) $$;

-- The last word on a migration, in the transaction that makes the target the VM's host and ends the operation. Repeats
-- harmlessly.
CREATE FUNCTION succeed(p_migration uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = migration, pg_temp AS $$
DECLARE m migration;
BEGIN
  UPDATE migration SET state = 'SUCCEEDED', progress = 1, generation = generation + 1, message = NULL, finished_at = clock_timestamp()
  WHERE id = p_migration AND finished_at IS NULL RETURNING * INTO m;
  IF FOUND THEN
    PERFORM operations.put_event('migration.changed', m.id::text, m.tenant_id, jsonb_build_object('after', facts(m)));
  END IF;
END $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA migration FROM PUBLIC;
GRANT USAGE ON SCHEMA migration TO novacron_vms;
GRANT EXECUTE ON FUNCTION succeed TO novacron_vms;
