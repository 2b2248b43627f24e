-- What other services may know and do of VMs and hosts, in the transactions of their own mutations. Each runs as the
-- owner (SECURITY DEFINER) with a pinned search_path; whose VM it is, and who may, is for the caller to check.

-- Living VMs; an id that names none has no row.
CREATE FUNCTION vm_facts(p_ids uuid[])
  RETURNS TABLE (id uuid, tenant_id uuid, name text, state text, host_id uuid, vcpus int, memory bigint, operation_verb text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = vms, pg_temp AS $$
  SELECT v.id, v.tenant_id, v.name, v.state::text, v.host_id, v.vcpus, v.memory, v.operation_verb
  FROM vm v WHERE v.id = ANY (p_ids) AND v.deleted_at IS NULL $$;

-- The living VMs of a host, oldest first.
CREATE FUNCTION vms_on(p_host uuid)
  RETURNS TABLE (id uuid, tenant_id uuid, name text, state text, host_id uuid, vcpus int, memory bigint, operation_verb text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = vms, pg_temp AS $$
  SELECT v.id, v.tenant_id, v.name, v.state::text, v.host_id, v.vcpus, v.memory, v.operation_verb
  FROM vm v WHERE v.host_id = p_host AND v.deleted_at IS NULL ORDER BY v.id $$;

CREATE FUNCTION host_facts() RETURNS TABLE (id uuid, name text, uri text, migration_uri text, overlay_address text, state text,
  labels jsonb, capacity_vcpus int, capacity_memory bigint, allocated_vcpus int, allocated_memory bigint, accelerated boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = vms, pg_temp AS $$
  SELECT h.id, h.name, h.uri, h.migration_uri, h.overlay_address, h.state::text, h.labels, h.capacity_vcpus, h.capacity_memory,
    h.allocated_vcpus, h.allocated_memory, h.accelerated
  FROM host h ORDER BY h.name $$;

-- The devices that a VM's domain has, in their order.
CREATE FUNCTION devices_of(p_vm uuid) RETURNS SETOF jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = vms, pg_temp AS $$
  SELECT d.device FROM vm_device d WHERE d.vm_id = p_vm ORDER BY d.place $$;

CREATE FUNCTION facts(v vm) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object('name', v.name, 'state', v.state, 'desiredState', v.desired_state, 'generation', v.generation,
    'hostId', v.host_id, 'tags', to_jsonb(v.tags)) $$;

-- Takes a VM for the operation of another service, if it is in one of those states and nothing else is in flight; with a
-- target, room for it is claimed there, too. p_verb is one of FOREIGN_VERBS in services/vms/src/rules.ts; p_via the state that
-- shows meanwhile, null: none. Answers HeldVm of packages/contracts. INVALID_STATE, NOT_FOUND, UNAVAILABLE, NO_CAPACITY.
CREATE FUNCTION hold_for(p_vm uuid, p_operation uuid, p_verb text, p_from text[], p_via text DEFAULT NULL, p_target uuid DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = vms, pg_temp AS $$
DECLARE v vm; w vm; h host; t host;
BEGIN
  SELECT * INTO v FROM vm WHERE id = p_vm AND deleted_at IS NULL FOR UPDATE;
  IF NOT FOUND THEN PERFORM operations.refuse('NOT_FOUND', 'There is no VM with this id.', 'vmId'); END IF;
  IF v.operation_id IS NOT NULL THEN
    PERFORM operations.refuse('INVALID_STATE', format('The VM is busy: another operation on it (%s) is under way.', v.operation_verb), 'vmId');
  END IF;
  IF v.migration_host_id IS NOT NULL THEN
    PERFORM operations.refuse('INVALID_STATE', format('What a migration that failed has left on host "%s" is still being removed.',
      (SELECT name FROM host WHERE id = v.migration_host_id)), 'vmId');
  END IF;
  IF NOT v.state::text = ANY (p_from) THEN
    PERFORM operations.refuse('INVALID_STATE', format('A VM that is %s can''t %s: it must be %s.', v.state, p_verb, array_to_string(p_from, ' or ')), 'vmId');
  END IF;
  SELECT * INTO h FROM host WHERE id = v.host_id;
  IF NOT FOUND OR h.state = 'OFFLINE' THEN
    PERFORM operations.refuse('UNAVAILABLE', format('Host "%s" is offline.', coalesce(h.name, '?')), 'vmId');
  END IF;
  IF p_target IS NOT NULL THEN
    SELECT * INTO t FROM host WHERE id = p_target FOR UPDATE;
    IF NOT FOUND THEN PERFORM operations.refuse('NOT_FOUND', 'There is no host with this id.', 'hostId'); END IF;
    IF t.id = v.host_id THEN PERFORM operations.refuse('BAD_USER_INPUT', format('The VM is on host "%s" already.', t.name), 'hostId'); END IF;
    IF t.state <> 'ONLINE' THEN PERFORM operations.refuse('INVALID_STATE', format('Host "%s" is %s.', t.name, t.state), 'hostId'); END IF;
    IF t.allocated_vcpus + v.vcpus > t.capacity_vcpus THEN
      PERFORM operations.refuse('NO_CAPACITY', format('Host "%s" is short by %s vCPUs.', t.name, t.allocated_vcpus + v.vcpus - t.capacity_vcpus), 'hostId');
    END IF;
    IF t.allocated_memory + v.memory > t.capacity_memory THEN
      PERFORM operations.refuse('NO_CAPACITY', format('Host "%s" is short by %s MiB of memory.', t.name,
        ceil((t.allocated_memory + v.memory - t.capacity_memory) / 1048576.0)), 'hostId');
    END IF;
    UPDATE host SET allocated_vcpus = allocated_vcpus + v.vcpus, allocated_memory = allocated_memory + v.memory WHERE id = t.id;
  END IF;
  UPDATE vm SET operation_id = p_operation, operation_verb = p_verb, migration_host_id = p_target,
    state = coalesce(p_via::vm_state, state), generation = generation + (p_via IS NOT NULL)::int
  WHERE id = v.id RETURNING * INTO w;
  IF p_via IS NOT NULL THEN
    PERFORM operations.put_event('vm.changed', w.id::text, w.tenant_id, jsonb_build_object('before', facts(v), 'after', facts(w)));
  END IF;
  RETURN jsonb_build_object('tenantId', v.tenant_id, 'name', v.name, 'hostId', v.host_id, 'state', v.state, 'hold', jsonb_build_object(
    'vmId', v.id, 'operationId', p_operation, 'verb', p_verb, 'desiredBefore', v.desired_state));
END $$;

-- A migration has failed, and its guest is on the source: whatever must still be removed from the target, the VM is at rest again. Its
-- claim on the target is given back with the rest, by the undo of vms.hold.
CREATE FUNCTION let_go(p_vm uuid, p_operation uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = vms, pg_temp AS $$
DECLARE v vm; w vm;
BEGIN
  SELECT * INTO v FROM vm WHERE id = p_vm AND operation_id = p_operation AND deleted_at IS NULL FOR UPDATE;
  IF NOT FOUND THEN RETURN; END IF;
  UPDATE vm SET operation_id = NULL, operation_verb = NULL, generation = generation + 1,
    -- AT_REST in services/vms/src/rules.ts
    state = CASE observed WHEN 'NONE' THEN 'UNKNOWN' WHEN 'MISSING' THEN 'ERROR' ELSE observed::text END::vm_state
  WHERE id = v.id RETURNING * INTO w;
  PERFORM operations.put_event('vm.changed', w.id::text, w.tenant_id, jsonb_build_object('before', facts(v), 'after', facts(w)));
END $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA vms FROM PUBLIC;
GRANT USAGE ON SCHEMA vms TO novacron_storage, novacron_network, novacron_migration;
GRANT EXECUTE ON FUNCTION let_go TO novacron_migration;
GRANT EXECUTE ON FUNCTION vm_facts, vms_on, host_facts, devices_of, hold_for TO novacron_storage, novacron_network, novacron_migration;
