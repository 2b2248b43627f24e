-- Volumes and snapshots are charged to their tenant's quota by their size, and not by what is written of it; images by their file, once.

-- Charges what a new VM's own disks take up: the last that createVm does before it claims room on a host. QUOTA_EXCEEDED (bootDiskSize).
CREATE FUNCTION charge_disks(p_vm uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = storage, pg_temp AS $$
DECLARE v_tenant uuid; v_size bigint;
BEGIN
  SELECT tenant_id, sum(size) INTO v_tenant, v_size FROM volume WHERE vm_id = p_vm AND owned_by_vm AND deleted_at IS NULL GROUP BY tenant_id;
  IF FOUND THEN PERFORM operations.put_charge(v_tenant, jsonb_build_object('storage', v_size), 'bootDiskSize'); END IF;
END $$;

REVOKE ALL ON FUNCTION charge_disks FROM PUBLIC;
GRANT EXECUTE ON FUNCTION charge_disks TO novacron_vms;

-- What there is already, and what a volume that grows just now has claimed to grow by.
DO $$
BEGIN
  IF to_regclass('operations.quota') IS NULL THEN RETURN; END IF; -- this schema alone
  UPDATE operations.quota q SET used_storage = u.storage, used_snapshots = u.snapshots FROM (
    SELECT v.tenant_id, sum(v.size + coalesce(s.size, 0) + coalesce(r.size, 0)) AS storage, sum(coalesce(s.count, 0)) AS snapshots FROM volume v
      LEFT JOIN (SELECT volume_id, sum(size) AS size, count(*) AS count FROM volume_snapshot GROUP BY volume_id) s ON s.volume_id = v.id
      LEFT JOIN (SELECT operation_id, max((input ->> 'size')::bigint) AS size FROM operations.step WHERE name = 'storage.hold-volume' AND input ->> 'verb' = 'resize'
        GROUP BY operation_id) h ON h.operation_id = v.operation_id
      CROSS JOIN LATERAL (SELECT h.size - v.size AS size) r
    WHERE v.deleted_at IS NULL GROUP BY v.tenant_id) u
  WHERE q.tenant_id = u.tenant_id;
  UPDATE operations.quota q SET used_storage = used_storage + i.size
  FROM (SELECT tenant_id, sum(file_size) AS size FROM image WHERE deleted_at IS NULL AND file_size IS NOT NULL GROUP BY tenant_id) i
  WHERE q.tenant_id = i.tenant_id;
END $$;
