-- What identity offers to the transactions of other services. It runs as the owner (SECURITY DEFINER) with a pinned search_path.

-- {userId, ids: [ids] | null}: the public keys of a user that are named, or all of them (null), the oldest first. NOT_FOUND
-- (cloudInit.sshKeyIds) for one that is not this user's, BAD_USER_INPUT (cloudInit.withMySshKeys) where there are none.
CREATE FUNCTION ssh_keys_of(p jsonb) RETURNS text[]
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = identity, pg_temp AS $$
DECLARE v_wanted text[]; v_keys text[];
BEGIN
  IF jsonb_typeof(p->'ids') = 'array' THEN
    SELECT coalesce(array_agg(DISTINCT lower(id)), '{}') INTO v_wanted FROM jsonb_array_elements_text(p->'ids') id;
  END IF;
  SELECT coalesce(array_agg(k.public_key ORDER BY k.id), '{}') INTO v_keys FROM ssh_keys k
    WHERE k.user_id = (p->>'userId')::uuid AND (v_wanted IS NULL OR k.id::text = ANY (v_wanted));
  IF cardinality(v_keys) < cardinality(v_wanted) THEN
    PERFORM operations.refuse('NOT_FOUND', 'You have no SSH key with this id.', 'cloudInit.sshKeyIds');
  END IF;
  IF v_wanted IS NULL AND cardinality(v_keys) = 0 THEN
    PERFORM operations.refuse('BAD_USER_INPUT', 'You have no SSH key: addSshKey remembers one.', 'cloudInit.withMySshKeys');
  END IF;
  RETURN v_keys;
END $$;

REVOKE ALL ON FUNCTION ssh_keys_of FROM PUBLIC;
GRANT USAGE ON SCHEMA identity TO novacron_vms;
GRANT EXECUTE ON FUNCTION ssh_keys_of TO novacron_vms;
