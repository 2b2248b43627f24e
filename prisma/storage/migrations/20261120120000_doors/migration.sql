-- Claims of room, and what other services may ask of storage in the transactions of their own mutations. Each runs as the
-- owner (SECURITY DEFINER) with a pinned search_path; whose VM it is, and who may, is for the caller to check.

ALTER TABLE pool ADD CONSTRAINT pool_claimed_check CHECK (claimed >= 0);

-- UUIDv7, for rows that are made here: ids sort by age (RFC 9562, 5.7).
CREATE FUNCTION new_id() RETURNS uuid
LANGUAGE sql VOLATILE AS $$
  SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
    PLACING substring(int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid $$;

CREATE FUNCTION mib(p_bytes numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$ SELECT ceil(p_bytes / 1048576.0) $$;

-- Claims room in a pool, or gives it back. It is one UPDATE: of two requests for the last gigabyte, one is refused. NO_CAPACITY.
CREATE FUNCTION claim_room(p_pool uuid, p_bytes bigint, p_field text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = storage, pg_temp AS $$
DECLARE p pool;
BEGIN
  UPDATE pool SET claimed = claimed + p_bytes WHERE id = p_pool AND (p_bytes <= 0 OR claimed + p_bytes <= room);
  IF FOUND THEN RETURN; END IF;
  SELECT * INTO p FROM pool WHERE id = p_pool;
  PERFORM operations.refuse('NO_CAPACITY', format('Storage pool "%s" is short by %s MiB.', p.name, mib(p.claimed + p_bytes - p.room)), p_field);
END $$;

-- Claims room in the pool that has most of it, of a host's, or, without a host, of all that are on one that is online.
-- Answers which. NO_CAPACITY names the nearest miss, UNAVAILABLE: there is none.
CREATE FUNCTION take_room(p_host uuid, p_bytes bigint, p_field text DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = storage, pg_temp AS $$
DECLARE p pool;
BEGIN
  FOR p IN
    SELECT q.* FROM pool q WHERE q.state = 'READY' AND EXISTS (
      SELECT FROM pool_host h JOIN vms.host_facts() f ON f.id = h.host_id
      WHERE h.pool_id = q.id AND h.state = 'READY' AND CASE WHEN p_host IS NULL THEN f.state = 'ONLINE' ELSE h.host_id = p_host END)
    ORDER BY q.room - q.claimed DESC, q.name, q.id
  LOOP
    UPDATE pool SET claimed = claimed + p_bytes WHERE id = p.id AND claimed + p_bytes <= room;
    IF FOUND THEN RETURN p.id; END IF;
  END LOOP;
  SELECT q.* INTO p FROM pool q WHERE q.state = 'READY' AND EXISTS (SELECT FROM pool_host h
    WHERE h.pool_id = q.id AND h.state = 'READY' AND (p_host IS NULL OR h.host_id = p_host)) ORDER BY q.room - q.claimed DESC LIMIT 1;
  IF NOT FOUND THEN PERFORM operations.refuse('UNAVAILABLE', 'There is no storage pool that is ready.', p_field); END IF;
  PERFORM operations.refuse('NO_CAPACITY', format('No storage pool has this much room: "%s", which has most, is short by %s MiB.',
    p.name, greatest(1, mib(p.claimed + p_bytes - p.room))), p_field);
END $$;

-- How large the boot disk of { tenantId, imageId, bootDiskSize } becomes; null without an image.
-- NOT_FOUND, INVALID_STATE (imageId), BAD_USER_INPUT (bootDiskSize).
CREATE FUNCTION boot_size(p jsonb) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE i image; v_size bigint := (p ->> 'bootDiskSize')::bigint;
BEGIN
  IF p ->> 'imageId' IS NULL THEN RETURN NULL; END IF;
  SELECT * INTO i FROM image WHERE id = (p ->> 'imageId')::uuid AND deleted_at IS NULL
    AND (tenant_id IS NULL OR tenant_id = (p ->> 'tenantId')::uuid) FOR SHARE;
  IF NOT FOUND THEN PERFORM operations.refuse('NOT_FOUND', 'There is no image with this id.', 'imageId'); END IF;
  IF i.state <> 'READY' THEN
    PERFORM operations.refuse('INVALID_STATE', format('Image "%s" is %s: it must be READY.', i.name, i.state), 'imageId');
  END IF;
  IF v_size < i.size THEN
    PERFORM operations.refuse('BAD_USER_INPUT', format('Image "%s" needs a boot disk of at least %s MiB.', i.name, mib(i.size)), 'bootDiskSize');
  END IF;
  RETURN coalesce(v_size, i.size);
END $$;

-- The volumes of { tenantId, volumes }, in that order, each free to be attached. NOT_FOUND, INVALID_STATE, BAD_USER_INPUT (volumes).
CREATE FUNCTION free_volumes(p jsonb) RETURNS SETOF volume
LANGUAGE plpgsql AS $$
DECLARE v volume; v_ids uuid[]; v_id uuid;
BEGIN
  SELECT coalesce(array_agg(x::uuid ORDER BY o), '{}') INTO v_ids FROM jsonb_array_elements_text(
    CASE jsonb_typeof(p -> 'volumes') WHEN 'array' THEN p -> 'volumes' ELSE '[]' END) WITH ORDINALITY AS e(x, o);
  IF cardinality(v_ids) > 24 THEN PERFORM operations.refuse('BAD_USER_INPUT', 'A VM has at most 24 volumes beside its boot disk.', 'volumes'); END IF;
  IF cardinality(v_ids) > (SELECT count(DISTINCT x) FROM unnest(v_ids) x) THEN
    PERFORM operations.refuse('BAD_USER_INPUT', 'Each volume can be named once.', 'volumes');
  END IF;
  -- always in the same order, so that two transactions never wait for each other
  PERFORM FROM volume WHERE id = ANY (v_ids) ORDER BY id FOR UPDATE;
  FOREACH v_id IN ARRAY v_ids LOOP
    SELECT * INTO v FROM volume WHERE id = v_id AND tenant_id = (p ->> 'tenantId')::uuid AND deleted_at IS NULL;
    IF NOT FOUND THEN PERFORM operations.refuse('NOT_FOUND', 'The tenant has no volume with this id.', 'volumes'); END IF;
    IF v.state <> 'AVAILABLE' OR v.vm_id IS NOT NULL THEN
      PERFORM operations.refuse('INVALID_STATE', format('Volume "%s" is %s: it must be AVAILABLE.', v.name, v.state), 'volumes');
    END IF;
    RETURN NEXT v;
  END LOOP;
END $$;

-- Which hosts could take a new VM's disks; reason null: this one. p: { tenantId, imageId, bootDiskSize, volumes, seed: { size } | null }.
CREATE FUNCTION hosts_for_disks(p jsonb) RETURNS TABLE (host_id uuid, reason text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = storage, pg_temp AS $$
DECLARE v_boot bigint := boot_size(p); v_seed bigint := (p -> 'seed' ->> 'size')::bigint; v_volumes volume[];
BEGIN
  SELECT coalesce(array_agg(v), '{}') INTO v_volumes FROM free_volumes(p) v;
  RETURN QUERY
  SELECT f.id, coalesce(
    (SELECT format('volume "%s" is in storage pool "%s", which this host does not have', v.name, q.name)
      FROM unnest(v_volumes) v JOIN pool q ON q.id = v.pool_id
      WHERE NOT EXISTS (SELECT FROM pool_host h WHERE h.pool_id = q.id AND h.host_id = f.id AND h.state = 'READY') LIMIT 1),
    (SELECT CASE WHEN max(w.lack) IS NULL THEN 'it has no storage pool that is ready'
        WHEN min(w.lack) > 0 THEN format('its storage pools are short by %s MiB', mib(min(w.lack))) END
      FROM (SELECT q.claimed - q.room + coalesce(v_boot, 0) + coalesce(v_seed, 0) + coalesce((SELECT i.file_size FROM image i
            WHERE i.id = (p ->> 'imageId')::uuid AND NOT EXISTS (SELECT FROM image_copy c WHERE c.image_id = i.id AND c.pool_id = q.id)), 0) AS lack
          FROM pool q JOIN pool_host h ON h.pool_id = q.id WHERE h.host_id = f.id AND h.state = 'READY' AND q.state = 'READY') w
      WHERE v_boot IS NOT NULL OR v_seed IS NOT NULL HAVING v_boot IS NOT NULL OR v_seed IS NOT NULL))
  FROM vms.host_facts() f;
END $$;

CREATE FUNCTION disk_device(v volume, p_pool text) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_build_object('kind', 'disk', 'id', v.id, 'target', v.target, 'pool', 'nc-' || p_pool, 'volume', v.libvirt_name,
    'format', v.format, 'bootOrder', v.boot_order, 'readOnly', false, 'secretId', v.secret_id) $$;

-- A boot disk is called after its VM, unless the tenant has a volume of that name.
CREATE FUNCTION boot_name(p_tenant uuid, p_vm text) RETURNS text
LANGUAGE sql STABLE AS $$
  SELECT name FROM (SELECT 0 AS n, left(p_vm, 58) || '-boot' AS name
    UNION ALL SELECT n, left(p_vm, 53) || '-boot-' || n FROM generate_series(2, 999) n) x
  WHERE NOT EXISTS (SELECT FROM volume v WHERE v.tenant_id = p_tenant AND v.live_name = x.name) ORDER BY n LIMIT 1 $$;

-- Makes a new VM's disks durable: claims room, makes the rows, takes the volumes. Answers its devices (DiskDevice of packages/contracts).
-- p: { vmId, operationId, tenantId, createdBy, name, hostId, imageId, bootDiskSize, volumes, kernelBoot,
--      seed: { sealed (base64), keyId, size } | null }. Refuses as hosts_for_disks does, and NO_CAPACITY, INVALID_STATE (hostId's pools).
CREATE FUNCTION hold_disks(p jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = storage, pg_temp AS $$
DECLARE
  v_vm uuid := (p ->> 'vmId')::uuid; v_host uuid := (p ->> 'hostId')::uuid; v_tenant uuid := (p ->> 'tenantId')::uuid;
  v_boot bigint := boot_size(p); v_seed bigint := (p -> 'seed' ->> 'size')::bigint;
  v_pool pool; v volume; v_devices jsonb := '[]'; v_place int := 0; v_id uuid; s seed;
BEGIN
  IF v_boot IS NOT NULL OR v_seed IS NOT NULL THEN
    -- first called, then looked up: in a WHERE it would be called for every row
    v_id := take_room(v_host, coalesce(v_boot, 0) + coalesce(v_seed, 0));
    SELECT * INTO v_pool FROM pool WHERE id = v_id;
  END IF;
  IF v_boot IS NOT NULL THEN
    v_id := new_id();
    INSERT INTO volume (id, tenant_id, name, live_name, size, format, pool_id, libvirt_name, image_id, vm_id, target, boot_order,
      owned_by_vm, operation_id, operation_verb, created_by)
    SELECT v_id, v_tenant, n, n, v_boot, 'qcow2', v_pool.id, 'vol-' || v_id || '.qcow2', (p ->> 'imageId')::uuid, v_vm, 'vda', 1,
      true, (p ->> 'operationId')::uuid, 'create', (p ->> 'createdBy')::uuid
    FROM boot_name(v_tenant, p ->> 'name') n RETURNING * INTO v;
    v_devices := v_devices || disk_device(v, v_pool.name);
    v_place := 1;
  END IF;
  FOR v IN SELECT * FROM free_volumes(p) LOOP
    IF NOT EXISTS (SELECT FROM pool_host h WHERE h.pool_id = v.pool_id AND h.host_id = v_host AND h.state = 'READY') THEN
      PERFORM operations.refuse('INVALID_STATE', format('Volume "%s" is in a storage pool that the host does not have.', v.name), 'volumes');
    END IF;
    UPDATE volume SET vm_id = v_vm, target = 'vd' || chr(97 + v_place), state = 'IN_USE', generation = generation + 1,
      boot_order = CASE WHEN v_place = 0 AND NOT coalesce((p ->> 'kernelBoot')::boolean, false) THEN 1 END
    WHERE id = v.id RETURNING * INTO v;
    v_devices := v_devices || disk_device(v, (SELECT name FROM pool WHERE id = v.pool_id));
    v_place := v_place + 1;
  END LOOP;
  IF v_seed IS NOT NULL THEN
    INSERT INTO seed (vm_id, id, pool_id, libvirt_name, size, content, key_id)
    VALUES (v_vm, new_id(), v_pool.id, v_vm || '-seed.iso', v_seed, decode(p -> 'seed' ->> 'sealed', 'base64'), p -> 'seed' ->> 'keyId')
    RETURNING * INTO s;
    v_devices := v_devices || jsonb_build_object('kind', 'disk', 'id', s.id, 'target', 'vdz', 'pool', 'nc-' || v_pool.name,
      'volume', s.libvirt_name, 'format', 'raw', 'bootOrder', NULL, 'readOnly', true, 'secretId', NULL);
  END IF;
  RETURN v_devices;
END $$;

-- What each disk of a VM needs on another host: nothing (pool_id null), or room in a pool there; a reason where it can't be.
CREATE FUNCTION disks_elsewhere(p_vm uuid, p_target uuid, p_copy boolean)
  RETURNS TABLE (volume_id uuid, is_seed boolean, pool_id uuid, size bigint, reason text)
LANGUAGE sql STABLE AS $$
  SELECT d.id, d.is_seed, CASE WHEN s.host_id IS NULL THEN t.pool_id END, d.size, CASE
    -- its VM may be free already, but it is not: it is on its way out, or still growing
    WHEN d.verb IS NOT NULL THEN format('%s is busy: another operation on it (%s) is under way.', d.what, d.verb)
    WHEN s.host_id IS NOT NULL THEN NULL
    WHEN NOT p_copy AND NOT d.is_seed THEN format('%s is in storage pool "%s", which the target does not share: it would have to be copied.', d.what, q.name)
    WHEN t.pool_id IS NULL THEN format('%s is in storage pool "%s", and the target has no pool of this name that is ready.', d.what, q.name)
    WHEN d.snapshots > 0 THEN format('%s has snapshots, which can''t leave storage pool "%s".', d.what, q.name) END
  FROM (
    SELECT v.id, false AS is_seed, v.pool_id, v.size, format('Volume "%s"', v.name) AS what, v.operation_verb AS verb,
      (SELECT count(*) FROM volume_snapshot n WHERE n.volume_id = v.id) AS snapshots
    FROM volume v WHERE v.vm_id = p_vm AND v.deleted_at IS NULL
    UNION ALL SELECT s.id, true, s.pool_id, s.size, 'The seed', NULL, 0 FROM seed s WHERE s.vm_id = p_vm) d
  JOIN pool q ON q.id = d.pool_id
  LEFT JOIN pool_host s ON q.shared AND s.pool_id = q.id AND s.host_id = p_target AND s.state = 'READY'
  LEFT JOIN pool_host t ON t.host_id = p_target AND t.name = q.name AND t.state = 'READY' AND t.pool_id <> q.id
  ORDER BY d.id $$;

-- Which hosts could take the disks of a VM that is there, without room being looked at; reason null: this one.
CREATE FUNCTION hosts_for_vm_disks(p_vm uuid, p_copy boolean) RETURNS TABLE (host_id uuid, reason text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = storage, pg_temp AS $$
BEGIN
  -- PL/pgSQL: another service's door is looked for when it is called, not when this is made
  RETURN QUERY SELECT f.id, (SELECT d.reason FROM disks_elsewhere(p_vm, f.id, p_copy) d WHERE d.reason IS NOT NULL LIMIT 1) FROM vms.host_facts() f;
END $$;

-- Claims what a migration needs on its target. The VM is held by the caller. Answers HeldMigration of packages/contracts.
-- INVALID_STATE, NO_CAPACITY (hostId).
CREATE FUNCTION hold_migration(p_vm uuid, p_migration uuid, p_target uuid, p_copy boolean) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = storage, pg_temp AS $$
DECLARE d record; v_target text; v_copied jsonb := '[]'; v_leaves boolean;
BEGIN
  PERFORM FROM volume v WHERE v.vm_id = p_vm ORDER BY v.id FOR UPDATE;
  v_leaves := EXISTS (SELECT FROM volume v WHERE v.vm_id = p_vm AND v.secret_id IS NOT NULL);
  FOR d IN SELECT * FROM disks_elsewhere(p_vm, p_target, p_copy) LOOP
    IF d.reason IS NOT NULL THEN PERFORM operations.refuse('INVALID_STATE', d.reason, 'hostId'); END IF;
    IF d.pool_id IS NULL THEN CONTINUE; END IF;
    PERFORM claim_room(d.pool_id, d.size, 'hostId');
    v_leaves := true;
    IF d.is_seed THEN UPDATE seed SET target_pool_id = d.pool_id WHERE vm_id = p_vm;
    ELSE
      UPDATE volume SET target_pool_id = d.pool_id WHERE id = d.volume_id RETURNING target INTO v_target;
      v_copied := v_copied || to_jsonb(v_target);
    END IF;
  END LOOP;
  RETURN jsonb_build_object('copied', v_copied, 'leaves', v_leaves);
END $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA storage FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_room, take_room TO novacron_storage;
GRANT USAGE ON SCHEMA storage TO novacron_vms, novacron_migration;
GRANT EXECUTE ON FUNCTION hosts_for_disks, hold_disks TO novacron_vms;
GRANT EXECUTE ON FUNCTION hold_migration, hosts_for_vm_disks TO novacron_migration;
