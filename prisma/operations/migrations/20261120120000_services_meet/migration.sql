-- Services meet: storage, network and migration join vms, and one operation may have steps of them all.
--
-- A step that settles has no way back once it has succeeded, and a final one none once it has begun: from there on an
-- operation only goes forward. What fails then is tried again for as long as it takes, and a wish to cancel comes too late.
ALTER TABLE operation ADD COLUMN parent_id uuid REFERENCES operation (id) ON DELETE SET NULL;
CREATE INDEX operation_parent_id_idx ON operation (parent_id);
ALTER TABLE step ADD COLUMN settles boolean NOT NULL DEFAULT false;

-- Which events and kinds of operations each service may speak of.
CREATE OR REPLACE FUNCTION speaks_of(p_name text) RETURNS boolean
LANGUAGE sql STABLE AS $$
  SELECT p_name LIKE ANY (CASE caller()
    WHEN 'vms' THEN ARRAY['vm.%', 'host.%']
    WHEN 'identity' THEN ARRAY['user.%', 'session.%', 'tenant.%']
    WHEN 'storage' THEN ARRAY['volume.%', 'image.%', 'pool.%']
    WHEN 'network' THEN ARRAY['network.%', 'nic.%', 'security_group.%']
    WHEN 'migration' THEN ARRAY['migration.%', 'vm.migrate']
    ELSE ARRAY[]::text[] END) $$;

-- Has the operation passed its point of no return?
CREATE FUNCTION has_settled(o operation) RETURNS boolean
LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT FROM step s WHERE s.operation_id = o.id AND s.state = 'SUCCEEDED' AND (s.settles OR s.final)) $$;

CREATE OR REPLACE FUNCTION submit(p_operation jsonb, p_steps jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = operations, pg_temp AS $$
DECLARE o operation;
BEGIN
  IF NOT speaks_of(p_operation ->> 'kind') THEN
    RAISE EXCEPTION 'the service % does not submit %', caller(), p_operation ->> 'kind';
  END IF;
  INSERT INTO operation (id, service, kind, target_type, target_id, tenant_id, requested_by, request_id, parent_id)
  SELECT x.id, caller(), x.kind, x."targetType", x."targetId", x."tenantId", x."requestedBy", x."requestId", x."parentId"
  FROM jsonb_to_record(p_operation) AS x(id uuid, kind text, "targetType" text, "targetId" uuid, "tenantId" uuid,
    "requestedBy" uuid, "requestId" text, "parentId" uuid);
  INSERT INTO step (operation_id, index, name, service, host_id, input, undoable, final, settles, state, attempt, started_at, finished_at)
  SELECT (p_operation ->> 'id')::uuid, s.ordinality - 1, x.name, split_part(x.name, '.', 1), x."hostId", x.input,
    x.undoable, x.final, coalesce(x.settles, false),
    CASE WHEN x.done THEN 'SUCCEEDED'::step_state ELSE 'PENDING' END, CASE WHEN x.done THEN 1 ELSE 0 END,
    CASE WHEN x.done THEN clock_timestamp() END, CASE WHEN x.done THEN clock_timestamp() END
  FROM jsonb_array_elements(p_steps) WITH ORDINALITY s,
    jsonb_to_record(s.value) AS x(name text, "hostId" uuid, input jsonb, undoable boolean, final boolean, settles boolean, done boolean);
  -- what has settled with the submitting transaction can't be cancelled from the first
  UPDATE operation SET cursor = (SELECT count(*) FROM step WHERE operation_id = operation.id AND state = 'SUCCEEDED'), cancellable = NOT has_settled(operation)
  WHERE id = (p_operation ->> 'id')::uuid RETURNING * INTO o;
  -- what the submitting transaction has done altogether has succeeded with it
  IF o.cursor = jsonb_array_length(p_steps) THEN o := finish(o, 'SUCCEEDED'); END IF;
  PERFORM put_operation_event(o);
  RETURN bell(o);
END $$;

CREATE OR REPLACE FUNCTION claim_step(p_operation uuid, p_host uuid, p_host_epoch bigint, p_worker text, p_ttl_ms int) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = operations, pg_temp AS $$
DECLARE o operation; s step; v_interrupted boolean; v_wait double precision;
BEGIN
  SELECT * INTO o FROM operation WHERE id = p_operation FOR UPDATE;
  IF o.id IS NULL OR o.finished_at IS NOT NULL THEN RETURN '{"ended": true}'; END IF;
  SELECT * INTO s FROM step WHERE operation_id = o.id AND index = o.cursor;
  IF s.service <> caller() OR s.host_id IS DISTINCT FROM p_host THEN
    RETURN jsonb_build_object('elsewhere', bell(o));
  END IF;
  IF p_host IS NOT NULL AND NOT EXISTS (SELECT FROM host_lease l
      WHERE l.host_id = p_host AND l.epoch = p_host_epoch AND l.expires_at > clock_timestamp()) THEN
    RETURN '{"stale": true}';
  END IF;
  v_interrupted := s.state IN ('RUNNING', 'UNDOING');
  -- a living claim is respected, unless it was made under an older lease of the host: its holder is gone
  IF v_interrupted AND s.claimed_until > clock_timestamp() AND s.host_epoch IS NOT DISTINCT FROM p_host_epoch THEN
    RETURN jsonb_build_object('waitMs', ceil(extract(epoch FROM s.claimed_until - clock_timestamp()) * 1000));
  END IF;
  -- cancelled while its worker was lost: from here it goes back, not forward; but what may have passed the point of no
  -- return only its step can tell
  IF o.cancel_requested_at IS NOT NULL AND NOT o.unwinding AND NOT (s.settles AND s.started_at IS NOT NULL) AND NOT has_settled(o) THEN
    o := unwind(o);
    PERFORM put_operation_event(o);
    RETURN CASE WHEN o.finished_at IS NULL THEN jsonb_build_object('elsewhere', bell(o)) ELSE '{"ended": true}' END;
  END IF;
  v_wait := extract(epoch FROM o.due_at - clock_timestamp()) * 1000;
  IF v_wait > 0 AND NOT v_interrupted THEN RETURN jsonb_build_object('waitMs', ceil(v_wait)); END IF;

  UPDATE step SET state = CASE WHEN o.unwinding THEN 'UNDOING'::step_state ELSE 'RUNNING' END,
    attempt = attempt + 1, fence = nextval('fence'), claimed_by = p_worker, host_epoch = p_host_epoch,
    claimed_until = clock_timestamp() + make_interval(secs => p_ttl_ms / 1000.0),
    started_at = coalesce(started_at, clock_timestamp())
  WHERE operation_id = o.id AND index = o.cursor RETURNING * INTO s;
  IF o.state = 'QUEUED' OR (s.final AND o.cancellable) THEN
    UPDATE operation SET state = CASE WHEN state = 'QUEUED' THEN 'RUNNING' ELSE state END,
      started_at = coalesce(started_at, clock_timestamp()), cancellable = cancellable AND NOT s.final
    WHERE id = o.id RETURNING * INTO o;
    PERFORM put_operation_event(o);
  END IF;
  RETURN jsonb_build_object('claim', jsonb_build_object(
    'operationId', o.id, 'kind', o.kind, 'targetType', o.target_type, 'targetId', o.target_id, 'tenantId', o.tenant_id,
    'requestedBy', o.requested_by, 'requestId', o.request_id, 'error', o.error,
    'index', s.index, 'name', s.name, 'input', s.input, 'output', s.output, 'attempt', s.attempt,
    'fence', s.fence, 'hostEpoch', s.host_epoch, 'undoing', o.unwinding, 'interrupted', v_interrupted,
    'cancelled', o.cancel_requested_at IS NOT NULL AND o.error IS NULL));
END $$;

CREATE OR REPLACE FUNCTION heartbeat(p_operation uuid, p_index int, p_fence bigint, p_ttl_ms int, p_progress double precision) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = operations, pg_temp AS $$
DECLARE o operation; s step; v_count int;
BEGIN
  PERFORM require_claim(p_operation, p_index, p_fence);
  SELECT * INTO o FROM operation WHERE id = p_operation;
  SELECT * INTO s FROM step WHERE operation_id = p_operation AND index = p_index;
  UPDATE step SET claimed_until = clock_timestamp() + make_interval(secs => p_ttl_ms / 1000.0),
    progress = coalesce(p_progress, progress)
  WHERE operation_id = p_operation AND index = p_index;
  SELECT count(*) INTO v_count FROM step WHERE operation_id = p_operation;
  IF NOT o.unwinding AND (p_index + least(p_progress, 1)) / v_count - o.progress >= 0.01 THEN
    UPDATE operation SET progress = (p_index + least(p_progress, 1)) / v_count WHERE id = p_operation RETURNING * INTO o;
    PERFORM put_operation_event(o);
  END IF;
  RETURN o.cancel_requested_at IS NOT NULL AND NOT o.unwinding AND NOT has_settled(o);
END $$;

CREATE OR REPLACE FUNCTION record_step(p_operation uuid, p_index int, p_fence bigint, p_output jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = operations, pg_temp AS $$
DECLARE o operation; s step; v_count int;
BEGIN
  PERFORM require_claim(p_operation, p_index, p_fence);
  SELECT * INTO o FROM operation WHERE id = p_operation;
  SELECT * INTO s FROM step WHERE operation_id = p_operation AND index = p_index;
  IF s.state = 'UNDOING' THEN
    UPDATE step SET state = 'UNDONE', finished_at = clock_timestamp() WHERE operation_id = o.id AND index = p_index;
    o := unwind(o);
  ELSE
    -- a step that answers nothing has begun all the same: its undo must know
    UPDATE step SET state = 'SUCCEEDED', output = CASE WHEN p_output <> 'null' THEN p_output ELSE output END, error = NULL, progress = 1, finished_at = clock_timestamp()
    WHERE operation_id = o.id AND index = p_index;
    SELECT count(*) INTO v_count FROM step WHERE operation_id = o.id;
    IF p_index + 1 = v_count THEN
      o := finish(o, 'SUCCEEDED');
    ELSIF o.cancel_requested_at IS NOT NULL AND NOT has_settled(o) THEN
      o := unwind(o);
    ELSE
      UPDATE operation SET cursor = p_index + 1, due_at = clock_timestamp(), progress = (p_index + 1.0) / v_count,
        state = 'RUNNING', cancellable = cancellable AND NOT has_settled(o)
      WHERE id = o.id RETURNING * INTO o;
    END IF;
  END IF;
  PERFORM put_operation_event(o);
  RETURN jsonb_build_object('state', o.state, 'bell', bell(o));
END $$;

-- As before; and past the point of no return, a step is tried again for ever, too.
CREATE OR REPLACE FUNCTION fail_step(p_operation uuid, p_index int, p_fence bigint, p_error jsonb, p_retry_ms int) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = operations, pg_temp AS $$
DECLARE o operation; s step;
BEGIN
  PERFORM require_claim(p_operation, p_index, p_fence);
  SELECT * INTO o FROM operation WHERE id = p_operation;
  SELECT * INTO s FROM step WHERE operation_id = p_operation AND index = p_index;
  IF s.state = 'UNDOING' THEN
    UPDATE step SET error = p_error, claimed_until = NULL WHERE operation_id = o.id AND index = p_index;
    UPDATE operation SET due_at = clock_timestamp() + make_interval(secs => coalesce(p_retry_ms, 5000) / 1000.0)
    WHERE id = o.id RETURNING * INTO o;
    -- undoing, but not claimed: the next claim must wait for due_at
    UPDATE step SET state = 'FAILED' WHERE operation_id = o.id AND index = p_index;
  ELSIF has_settled(o) OR (p_retry_ms IS NOT NULL AND (o.cancel_requested_at IS NULL OR s.settles)) THEN
    -- put back without an error, it was no try
    UPDATE step SET state = 'PENDING', error = p_error, claimed_until = NULL, attempt = attempt - (p_error IS NULL)::int
    WHERE operation_id = o.id AND index = p_index;
    UPDATE operation SET due_at = clock_timestamp() + make_interval(secs => coalesce(p_retry_ms, 5000) / 1000.0)
    WHERE id = o.id RETURNING * INTO o;
  ELSE
    UPDATE step SET state = 'FAILED', error = p_error, claimed_until = NULL, finished_at = clock_timestamp()
    WHERE operation_id = o.id AND index = p_index;
    UPDATE operation SET error = p_error WHERE id = o.id RETURNING * INTO o;
    o := unwind(o);
  END IF;
  PERFORM put_operation_event(o);
  RETURN jsonb_build_object('state', o.state, 'bell', bell(o));
END $$;

-- As before; and a service may cancel its own.
CREATE OR REPLACE FUNCTION request_cancel(p_operation uuid) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = operations, pg_temp AS $$
DECLARE o operation; s step;
BEGIN
  SELECT * INTO o FROM operation WHERE id = p_operation FOR UPDATE;
  IF o.cancel_requested_at IS NOT NULL AND o.finished_at IS NULL THEN RETURN bell(o); END IF;
  IF o.service <> caller() AND caller() <> 'operations' THEN RAISE EXCEPTION 'the service % does not cancel operations of %', caller(), o.service; END IF;
  IF NOT o.cancellable THEN
    PERFORM refuse('INVALID_STATE', CASE WHEN o.finished_at IS NULL
      THEN 'This operation can no longer be cancelled.' ELSE 'This operation has already ended.' END);
  END IF;
  UPDATE operation SET cancel_requested_at = clock_timestamp(), state = 'CANCELLING', cancellable = false
  WHERE id = o.id RETURNING * INTO o;
  SELECT * INTO s FROM step WHERE operation_id = o.id AND index = o.cursor;
  IF NOT (s.settles AND s.started_at IS NOT NULL) AND (s.state <> 'RUNNING' OR s.claimed_until < clock_timestamp()
    OR s.host_epoch < (SELECT l.epoch FROM host_lease l WHERE l.host_id = s.host_id)) THEN o := unwind(o); END IF;
  PERFORM put_operation_event(o);
  RETURN bell(o);
END $$;

-- The operations that were submitted for another, and how they went.
CREATE FUNCTION children_of(p_parent uuid) RETURNS TABLE (id uuid, kind text, target_id uuid, state text, error jsonb, progress double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = operations, pg_temp AS $$
  SELECT o.id, o.kind, o.target_id, o.state::text, o.error, o.progress FROM operation o WHERE o.parent_id = p_parent ORDER BY o.id $$;

-- ---- who may call what -------------------------------------------------------------------------------------

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA operations FROM PUBLIC;
GRANT USAGE ON SCHEMA operations TO novacron_storage, novacron_network, novacron_migration;
GRANT EXECUTE ON FUNCTION emit, submit, goes_on, claim_step, begin_step, heartbeat, record_step, fail_step, claim_idempotency_key
  TO novacron_storage, novacron_network, novacron_migration;
GRANT EXECUTE ON FUNCTION attended_hosts TO novacron_storage, novacron_network, novacron_migration;
GRANT EXECUTE ON FUNCTION request_cancel, children_of TO novacron_migration;
