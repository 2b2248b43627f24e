-- What other services may know and do of networks, in the transactions of their own mutations. Each runs as the owner
-- (SECURITY DEFINER) with a pinned search_path; who may is for the caller to check.

-- libvirt's name of a network, and of its bridge: 14 characters, from the random end of a UUID of version 7.
CREATE FUNCTION libvirt_name(p_network uuid) RETURNS text
LANGUAGE sql IMMUTABLE AS $$ SELECT 'nc-' || right(replace(p_network::text, '-', ''), 11) $$;

-- Where the tunnels of overlays end: the address that a host was given for it, else the one it is migrated to by.
-- In PL/pgSQL, which looks for the other schema's functions no sooner than it is called: this one can be migrated alone.
CREATE FUNCTION tunnel_ends() RETURNS TABLE (host_id uuid, address text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = network, pg_temp AS $$
BEGIN
  RETURN QUERY SELECT h.id, coalesce(h.overlay_address,
    substring(h.migration_uri FROM '^[a-z+]+://(?:[^/@]*@)?(\d+\.\d+\.\d+\.\d+)(?::\d+)?(?:/|$)'))
  FROM vms.host_facts() h;
END $$;

-- Why a host can't have a NIC on this network; null: it can.
CREATE FUNCTION host_refusal(n network, p_host uuid) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE a host_networking; h network_host;
BEGIN
  SELECT * INTO a FROM host_networking WHERE host_id = p_host;
  IF NOT FOUND THEN RETURN 'Its networks have not been seen yet.'; END IF;
  SELECT * INTO h FROM network_host WHERE network_id = n.id AND host_id = p_host;
  IF n.is_default THEN
    RETURN CASE WHEN h.state = 'READY' THEN NULL WHEN h.state = 'FAILED' THEN 'The default network is down on it.'
      ELSE 'The default network is not on it yet.' END;
  END IF;
  IF a.mode = 'USER' THEN RETURN 'It can have no networks but the default one: its libvirt makes no bridges.'; END IF;
  IF h.state = 'FAILED' THEN RETURN 'The network is down on it.'; END IF;
  IF n.kind = 'OVERLAY' AND NOT a.overlays THEN RETURN 'It can have no overlays: its agent is not on it, or lacks the programs for it.'; END IF;
  IF n.kind = 'OVERLAY' AND NOT EXISTS (SELECT FROM tunnel_ends() t WHERE t.host_id = p_host AND t.address IS NOT NULL) THEN
    RETURN 'It can have no overlays: it has no overlay address.';
  END IF;
  IF EXISTS (SELECT FROM network_host o WHERE o.host_id = p_host AND o.network_id <> n.id AND o.cidr && n.cidr) THEN
    RETURN 'Another network on it has some of the same addresses.';
  END IF;
  RETURN NULL;
END $$;

-- The networks that were asked for, null: the default one. NOT_FOUND (networks).
CREATE FUNCTION wanted_networks(p_tenant uuid, p_networks jsonb) RETURNS SETOF network
LANGUAGE plpgsql STABLE AS $$
DECLARE n network; v_id text;
BEGIN
  IF p_networks IS NULL OR p_networks = 'null' THEN
    RETURN QUERY SELECT * FROM network WHERE is_default;
    RETURN;
  END IF;
  FOR v_id IN SELECT jsonb_array_elements_text(p_networks) LOOP
    SELECT * INTO n FROM network WHERE id::text = lower(v_id) AND coalesce(tenant_id, p_tenant) = p_tenant;
    IF NOT FOUND THEN PERFORM operations.refuse('NOT_FOUND', 'There is no network with this id.', 'networks'); END IF;
    RETURN NEXT n;
  END LOOP;
END $$;

-- {tenantId, networks: [ids] | null}: every host, and why it can't have a VM on them; reason null: it can. NOT_FOUND (networks).
CREATE FUNCTION hosts_for_nics(p jsonb) RETURNS TABLE (host_id uuid, reason text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = network, pg_temp AS $$
BEGIN
  RETURN QUERY
    WITH wanted AS MATERIALIZED (SELECT w AS n FROM wanted_networks((p ->> 'tenantId')::uuid, p -> 'networks') w)
    SELECT h.id, (SELECT min(host_refusal(w.n, h.id)) FROM wanted w) FROM vms.host_facts() h;
END $$;

-- A NIC as its VM's domain has it: NicDevice of packages/contracts.
CREATE FUNCTION nic_device(c nic) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object('kind', 'nic', 'id', c.id, 'mac', c.mac,
    'network', CASE WHEN c.address IS NOT NULL THEN libvirt_name(n.id) END,
    'filter', CASE WHEN c.address IS NOT NULL THEN 'nc-nic-' || c.id END,
    'address', host(c.address),
    'mtu', CASE WHEN n.kind = 'OVERLAY' THEN 1450 END)
  FROM network n WHERE n.id = c.network_id $$;

-- The lowest free address after the gateway; one that was let go of lately only when there is no other, the oldest first.
CREATE FUNCTION free_address(p_network uuid, p_cidr inet) RETURNS inet
LANGUAGE plpgsql STABLE AS $$
DECLARE v_first inet := set_masklen(network(p_cidr)::inet + 2, 32); v_last inet := set_masklen(broadcast(p_cidr) - 1, 32); v_found inet;
BEGIN
  WITH used AS (
    SELECT c.address FROM nic c WHERE c.network_id = p_network AND c.address IS NOT NULL
    UNION SELECT f.address FROM freed_address f WHERE f.network_id = p_network AND f.freed_at > clock_timestamp() - interval '150 seconds')
  SELECT min(a) INTO v_found
  FROM (SELECT v_first AS a UNION ALL SELECT u.address + 1 FROM used u WHERE u.address >= v_first) candidate
  WHERE a <= v_last AND NOT EXISTS (SELECT FROM used u WHERE u.address = candidate.a);
  IF v_found IS NULL THEN
    SELECT f.address INTO v_found FROM freed_address f
    WHERE f.network_id = p_network AND f.address BETWEEN v_first AND v_last
      AND NOT EXISTS (SELECT FROM nic c WHERE c.network_id = p_network AND c.address = f.address)
    ORDER BY f.freed_at LIMIT 1;
  END IF;
  RETURN v_found;
END $$;

-- Reserves a NIC on a network, under the lock of the network's row. p_mac, p_address null: chosen here. NOT_FOUND, INVALID_STATE
-- (networks), BAD_USER_INPUT (address), ALREADY_EXISTS (mac, address), NO_CAPACITY (networks).
CREATE FUNCTION hold_nic(p_vm uuid, p_tenant uuid, p_host uuid, p_network uuid, p_mac text DEFAULT NULL, p_address inet DEFAULT NULL,
  p_field text DEFAULT 'networks') RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = network, pg_temp AS $$
DECLARE n network; c nic; v_cidr inet; v_mode network_mode; v_reason text; v_address inet := p_address; v_mac text := lower(p_mac); v_constraint text;
BEGIN
  SELECT * INTO n FROM network WHERE id = p_network AND coalesce(tenant_id, p_tenant) = p_tenant FOR UPDATE;
  IF NOT FOUND THEN PERFORM operations.refuse('NOT_FOUND', 'There is no network with this id.', p_field); END IF;
  IF n.state <> 'READY' THEN PERFORM operations.refuse('INVALID_STATE', 'The network is being deleted.', p_field); END IF;
  v_reason := host_refusal(n, p_host);
  IF v_reason IS NOT NULL THEN
    PERFORM operations.refuse('INVALID_STATE', format('The VM''s host can''t have network "%s". %s', n.name, v_reason), p_field);
  END IF;
  INSERT INTO network_host (network_id, host_id, cidr) VALUES (n.id, p_host, n.cidr) ON CONFLICT DO NOTHING;
  SELECT h.cidr, a.mode INTO v_cidr, v_mode FROM network_host h JOIN host_networking a USING (host_id) WHERE h.network_id = n.id AND h.host_id = p_host;
  IF v_mode = 'USER' THEN
    IF v_address IS NOT NULL THEN PERFORM operations.refuse('BAD_USER_INPUT', 'On this host the guest''s address can''t be chosen.', 'address'); END IF;
  ELSIF v_address IS NULL THEN
    v_address := free_address(n.id, v_cidr);
    IF v_address IS NULL THEN PERFORM operations.refuse('NO_CAPACITY', format('Network "%s" (%s) has no free address.', n.name, v_cidr), p_field); END IF;
  ELSIF masklen(v_address) <> 32 OR NOT v_address << v_cidr OR v_address <= set_masklen(network(v_cidr)::inet + 1, 32) OR v_address >= set_masklen(broadcast(v_cidr), 32) THEN
    PERFORM operations.refuse('BAD_USER_INPUT', format('An address of this network is between %s and %s.',
      host(network(v_cidr)::inet + 2), host(broadcast(v_cidr) - 1)), 'address');
  END IF;
  IF v_mac IS NULL THEN
    LOOP
      v_mac := '52:54:00' || regexp_replace(right(replace(gen_random_uuid()::text, '-', ''), 6), '(..)', ':\1', 'g');
      EXIT WHEN NOT EXISTS (SELECT FROM nic WHERE mac = v_mac);
    END LOOP;
  END IF;
  BEGIN
    INSERT INTO nic (id, vm_id, tenant_id, network_id, mac, address, host_id)
    VALUES (gen_random_uuid(), p_vm, p_tenant, n.id, v_mac, v_address, p_host) RETURNING * INTO c;
  EXCEPTION WHEN unique_violation THEN
    GET STACKED DIAGNOSTICS v_constraint = CONSTRAINT_NAME;
    IF v_constraint = 'nic_mac_key' THEN PERFORM operations.refuse('ALREADY_EXISTS', format('There is a NIC with the MAC address %s already.', v_mac), 'mac'); END IF;
    PERFORM operations.refuse('ALREADY_EXISTS', format('The address %s is taken.', host(v_address)), 'address');
  END;
  DELETE FROM freed_address WHERE network_id = n.id AND address = v_address;
  RETURN nic_device(c);
END $$;

-- {vmId, tenantId, hostId, networks: [ids] | null, operationId}: reserves a NIC on each, and answers them as an array of
-- NicDevice. Locks the networks' rows in the order of their ids. As hold_nic.
CREATE FUNCTION hold_nics(p jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = network, pg_temp AS $$
DECLARE v_ids uuid[]; v_id uuid; v_devices jsonb := '[]';
BEGIN
  SELECT coalesce(array_agg(w.id), '{}') INTO v_ids FROM wanted_networks((p ->> 'tenantId')::uuid, p -> 'networks') w;
  PERFORM FROM network WHERE id = ANY (v_ids) ORDER BY id FOR UPDATE;
  FOREACH v_id IN ARRAY v_ids LOOP
    v_devices := v_devices || hold_nic((p ->> 'vmId')::uuid, (p ->> 'tenantId')::uuid, (p ->> 'hostId')::uuid, v_id);
  END LOOP;
  RETURN v_devices;
END $$;

-- Every host, and why a VM's networks can't be there; reason null: it could migrate there with its addresses.
CREATE FUNCTION hosts_for_vm(p_vm uuid) RETURNS TABLE (host_id uuid, reason text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = network, pg_temp AS $$
BEGIN
  RETURN QUERY SELECT h.id, coalesce(
    -- its VM may be free already, but it is not: nobody would take away what the target gets for it
    (SELECT 'One of its NICs is still being removed.' FROM nic c WHERE c.vm_id = p_vm AND c.state IN ('DETACHING', 'RELEASING') LIMIT 1), (
    SELECT min(coalesce(host_refusal(n, h.id), CASE WHEN n.is_default AND NOT EXISTS (
      SELECT FROM network_host o WHERE o.network_id = n.id AND o.host_id = h.id AND c.address << o.cidr)
      THEN 'Its default network has other addresses.' END))
    FROM nic c JOIN network n ON n.id = c.network_id WHERE c.vm_id = p_vm AND c.address IS NOT NULL))
  FROM vms.host_facts() h;
END $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA network FROM PUBLIC;
GRANT USAGE ON SCHEMA network TO novacron_vms, novacron_migration;
GRANT EXECUTE ON FUNCTION hosts_for_nics, hold_nics TO novacron_vms;
GRANT EXECUTE ON FUNCTION hosts_for_vm TO novacron_vms, novacron_migration;
GRANT EXECUTE ON FUNCTION hold_nic, tunnel_ends, hosts_for_vm TO novacron_network;
