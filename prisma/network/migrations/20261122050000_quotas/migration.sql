-- Networks are charged to their tenant's quota: those that there are already.
DO $$
BEGIN
  IF to_regclass('operations.quota') IS NULL THEN RETURN; END IF; -- this schema alone
  UPDATE operations.quota q SET used_networks = u.networks FROM (SELECT tenant_id, count(*) AS networks FROM network WHERE tenant_id IS NOT NULL GROUP BY tenant_id) u
  WHERE q.tenant_id = u.tenant_id;
END $$;
