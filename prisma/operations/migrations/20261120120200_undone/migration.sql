-- Has one of these steps of an operation acted, and been undone? For a service that tells "nothing had been done" from "it was undone".
CREATE FUNCTION has_undone(p_operation uuid, p_names text[]) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = operations, pg_temp AS $$
  SELECT EXISTS (SELECT FROM step s WHERE s.operation_id = p_operation AND s.name = ANY (p_names) AND s.state = 'UNDONE' AND s.output IS NOT NULL) $$;

REVOKE ALL ON FUNCTION has_undone FROM PUBLIC;
GRANT EXECUTE ON FUNCTION has_undone TO novacron_migration;
