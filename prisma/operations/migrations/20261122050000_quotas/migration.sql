-- Quotas of storage, snapshots, networks and operations in flight join those of VMs, vCPUs and memory.
ALTER TABLE "quota" ADD COLUMN     "networks" BIGINT,
ADD COLUMN     "operations_in_flight" BIGINT,
ADD COLUMN     "snapshots" BIGINT,
ADD COLUMN     "storage" BIGINT,
ADD COLUMN     "used_networks" BIGINT NOT NULL DEFAULT 0,
ADD COLUMN     "used_snapshots" BIGINT NOT NULL DEFAULT 0,
ADD COLUMN     "used_storage" BIGINT NOT NULL DEFAULT 0;

-- What was given back twice shows at once.
ALTER TABLE quota ADD CONSTRAINT quota_used_check CHECK (used_storage >= 0 AND used_snapshots >= 0 AND used_networks >= 0);

-- What a tenant has under way: what somebody has asked for, and not what an operation has begun for itself or NovaCron by itself.
CREATE INDEX operation_in_flight ON operation (tenant_id) WHERE finished_at IS NULL AND requested_by IS NOT NULL AND parent_id IS NULL;

CREATE FUNCTION in_flight(p_tenant uuid) RETURNS bigint
LANGUAGE sql STABLE AS $$
  SELECT count(*) FROM operation WHERE tenant_id = p_tenant AND finished_at IS NULL AND requested_by IS NOT NULL AND parent_id IS NULL $$;

-- Every refusal of a quota says the same: what, how much of it is used, how much may be. p_unit: bytes are told in MiB. What others use may
-- be given back at any time, but nobody knows when: only an operation in flight ends by itself, and is worth waiting for.
CREATE FUNCTION refuse_quota(p_noun text, p_used bigint, p_most bigint, p_more bigint, p_field text, p_unit bigint DEFAULT 1) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'NC000',
    MESSAGE = format('The tenant uses %s of %s %s; this needs %s more.', ceil(p_used / p_unit::numeric), p_most / p_unit, p_noun, ceil(p_more / p_unit::numeric)),
    DETAIL = jsonb_strip_nulls(jsonb_build_object('code', 'QUOTA_EXCEEDED', 'field', p_field, 'retryable', p_noun = 'operations in flight'))::text;
END $$;

-- Adds to what a tenant uses (or takes from it, with negative numbers): { resource: how much more }. Exact under any race, by the row's
-- lock. Charged after what a service locks of its own, and before a host's room is claimed. Every tenant has a row: identity sets its quota
-- when it makes it. For the kernel, and for doors of services, whose search_path is theirs.
CREATE FUNCTION put_charge(p_tenant uuid, p_delta jsonb, p_field text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = operations, pg_temp AS $$
DECLARE q quota; r record;
BEGIN
  UPDATE quota SET
    used_vms = used_vms + coalesce((p_delta ->> 'vms')::bigint, 0),
    used_vcpus = used_vcpus + coalesce((p_delta ->> 'vcpus')::bigint, 0),
    used_memory = used_memory + coalesce((p_delta ->> 'memory')::bigint, 0),
    used_storage = used_storage + coalesce((p_delta ->> 'storage')::bigint, 0),
    used_snapshots = used_snapshots + coalesce((p_delta ->> 'snapshots')::bigint, 0),
    used_networks = used_networks + coalesce((p_delta ->> 'networks')::bigint, 0)
  WHERE tenant_id = p_tenant RETURNING * INTO q;
  IF NOT FOUND THEN PERFORM refuse('NOT_FOUND', 'There is no tenant with this id.', 'tenantId'); END IF;
  FOR r IN SELECT x.*, (p_delta ->> x.resource)::bigint AS more FROM (VALUES
      ('vms', q.used_vms, q.vms, 'VMs', NULL, 1),
      ('vcpus', q.used_vcpus, q.vcpus, 'vCPUs', 'vcpus', 1),
      ('memory', q.used_memory, q.memory, 'MiB of memory', 'memory', 1048576),
      ('storage', q.used_storage, q.storage, 'MiB of storage', 'size', 1048576),
      ('snapshots', q.used_snapshots, q.snapshots, 'snapshots', NULL, 1),
      ('networks', q.used_networks, q.networks, 'networks', NULL, 1)) AS x(resource, used, most, noun, field, unit)
  LOOP
    IF r.more > 0 AND r.used > r.most THEN PERFORM refuse_quota(r.noun, r.used - r.more, r.most, r.more, coalesce(p_field, r.field), r.unit); END IF;
  END LOOP;
END $$;

DROP FUNCTION charge_quota(uuid, bigint, bigint, bigint);
CREATE FUNCTION charge_quota(p_tenant uuid, p_delta jsonb, p_field text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = operations, pg_temp AS $$
BEGIN
  IF p_delta - (CASE caller() WHEN 'vms' THEN ARRAY['vms', 'vcpus', 'memory'] WHEN 'storage' THEN ARRAY['storage', 'snapshots']
      WHEN 'network' THEN ARRAY['networks'] ELSE ARRAY[]::text[] END) <> '{}' THEN
    RAISE EXCEPTION 'the service % does not charge %', caller(), p_delta;
  END IF;
  PERFORM put_charge(p_tenant, p_delta, p_field);
END $$;

-- { resource: limit, or null for none }; what is not named stays.
DROP FUNCTION set_quota(uuid, bigint, bigint, bigint);
CREATE FUNCTION set_quota(p_tenant uuid, p_limits jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = operations, pg_temp AS $$
BEGIN
  INSERT INTO quota (tenant_id) VALUES (p_tenant) ON CONFLICT DO NOTHING;
  UPDATE quota SET
    vms = CASE WHEN p_limits ? 'vms' THEN (p_limits ->> 'vms')::bigint ELSE vms END,
    vcpus = CASE WHEN p_limits ? 'vcpus' THEN (p_limits ->> 'vcpus')::bigint ELSE vcpus END,
    memory = CASE WHEN p_limits ? 'memory' THEN (p_limits ->> 'memory')::bigint ELSE memory END,
    storage = CASE WHEN p_limits ? 'storage' THEN (p_limits ->> 'storage')::bigint ELSE storage END,
    snapshots = CASE WHEN p_limits ? 'snapshots' THEN (p_limits ->> 'snapshots')::bigint ELSE snapshots END,
    networks = CASE WHEN p_limits ? 'networks' THEN (p_limits ->> 'networks')::bigint ELSE networks END,
    operations_in_flight = CASE WHEN p_limits ? 'operationsInFlight' THEN (p_limits ->> 'operationsInFlight')::bigint ELSE operations_in_flight END
  WHERE tenant_id = p_tenant;
END $$;

CREATE FUNCTION limits_of(q quota) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object('vms', q.vms, 'vcpus', q.vcpus, 'memory', q.memory, 'storage', q.storage, 'snapshots', q.snapshots,
    'networks', q.networks, 'operationsInFlight', q.operations_in_flight) $$;

CREATE FUNCTION used_of(q quota) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object('vms', q.used_vms, 'vcpus', q.used_vcpus, 'memory', q.used_memory, 'storage', q.used_storage, 'snapshots', q.used_snapshots,
    'networks', q.used_networks, 'operationsInFlight', in_flight(q.tenant_id)) $$;

DROP FUNCTION quota_of(uuid[]);
CREATE FUNCTION quota_of(p_tenants uuid[]) RETURNS TABLE (tenant_id uuid, limits jsonb, used jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = operations, pg_temp AS $$
  SELECT q.tenant_id, limits_of(q), used_of(q) FROM quota q WHERE q.tenant_id = ANY (p_tenants) $$;

-- Which limits are nearly reached: of what stays used until somebody gives it back. Operations in flight come and go.
CREATE FUNCTION quotas_near_end(p_share double precision) RETURNS TABLE (tenant_id uuid, resource text, used bigint, most bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = operations, pg_temp AS $$
  SELECT q.tenant_id, x.resource, x.used, x.most FROM quota q, LATERAL (VALUES
    ('vms', q.used_vms, q.vms), ('vcpus', q.used_vcpus, q.vcpus), ('memory', q.used_memory, q.memory),
    ('storage', q.used_storage, q.storage), ('snapshots', q.used_snapshots, q.snapshots), ('networks', q.used_networks, q.networks)) AS x(resource, used, most)
  WHERE x.most > 0 AND x.used >= x.most * p_share $$;

-- Refuses whoever would have too much in flight: p_more more than now.
CREATE FUNCTION require_room_in_flight(p_tenant uuid, p_more int) RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = operations, pg_temp AS $$
DECLARE v_most bigint; v_used bigint;
BEGIN
  SELECT operations_in_flight INTO v_most FROM quota WHERE tenant_id = p_tenant;
  IF v_most IS NULL THEN RETURN; END IF;
  v_used := in_flight(p_tenant);
  -- the one that is asked for is in flight already where nothing more is to come
  IF v_used + p_more > v_most THEN PERFORM refuse_quota('operations in flight', v_used + p_more - 1, v_most, 1, NULL); END IF;
END $$;

-- An operation that somebody asks for is refused where its tenant has as many in flight as it may. Nothing is charged, so nothing has to be
-- given back: those that have not ended are counted, one request after the other. The lock is the transaction's last; who has no limit takes
-- none. (submit's own body of before lives on as put_operation: a change of it is a change of that.)
ALTER FUNCTION submit(jsonb, jsonb) RENAME TO put_operation;
CREATE FUNCTION submit(p_operation jsonb, p_steps jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = operations, pg_temp AS $$
DECLARE o operation; v_bell jsonb;
BEGIN
  v_bell := put_operation(p_operation, p_steps);
  SELECT * INTO o FROM operation WHERE id = (p_operation ->> 'id')::uuid;
  IF o.finished_at IS NULL AND o.requested_by IS NOT NULL AND o.parent_id IS NULL
    AND EXISTS (SELECT FROM quota q WHERE q.tenant_id = o.tenant_id AND q.operations_in_flight IS NOT NULL) THEN
    PERFORM pg_advisory_xact_lock(hashtextextended('operations in flight of ' || o.tenant_id, 0));
    PERFORM require_room_in_flight(o.tenant_id, 0);
  END IF;
  RETURN v_bell;
END $$;

-- ---- who may call what -------------------------------------------------------------------------------------

REVOKE ALL ON FUNCTION put_operation FROM PUBLIC, novacron_vms, novacron_storage, novacron_network, novacron_migration;
REVOKE ALL ON FUNCTION in_flight, refuse_quota, put_charge, charge_quota, set_quota, limits_of, used_of, quota_of, quotas_near_end,
  require_room_in_flight, submit FROM PUBLIC;
GRANT EXECUTE ON FUNCTION submit TO novacron_vms, novacron_storage, novacron_network, novacron_migration;
GRANT EXECUTE ON FUNCTION charge_quota TO novacron_vms, novacron_storage, novacron_network;
GRANT EXECUTE ON FUNCTION require_room_in_flight TO novacron_vms, novacron_storage, novacron_network;
GRANT EXECUTE ON FUNCTION set_quota, quota_of, quotas_near_end TO novacron_identity;
