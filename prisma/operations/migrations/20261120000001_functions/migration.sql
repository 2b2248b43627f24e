-- The only doors to the kernel's tables. Each runs as the owner (SECURITY DEFINER) with a pinned search_path;
-- who called is session_user, the service's own login role `novacron_<service>`.

-- A function that a later migration adds is for nobody until it is granted. (The form with IN SCHEMA can't take away
-- what PUBLIC has by default: https://www.postgresql.org/docs/current/sql-alterdefaultprivileges.html)
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

INSERT INTO event_head (id) VALUES (1);
CREATE SEQUENCE fence;

-- What the domain refuses carries SQLSTATE NC000 and, in DETAIL, the code, field and whether to retry.
CREATE FUNCTION refuse(p_code text, p_message text, p_field text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'NC000', MESSAGE = p_message,
    DETAIL = jsonb_strip_nulls(jsonb_build_object('code', p_code, 'field', p_field))::text;
END $$;

-- SQLSTATE NC001: whoever records no longer holds the claim, or its host's lease. Its work counts for nothing.
CREATE FUNCTION refuse_stale() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'NC001', MESSAGE = 'Another worker has taken this step over.';
END $$;

CREATE FUNCTION caller() RETURNS text
LANGUAGE sql STABLE AS $$ SELECT regexp_replace(session_user, '^novacron_', '') $$;

-- The nouns that the calling service may speak of, in events and in kinds of operations: "vm.changed", "vm.start".
CREATE FUNCTION speaks_of(p_name text) RETURNS boolean
LANGUAGE sql STABLE AS $$
  SELECT split_part(p_name, '.', 1) = ANY (CASE caller()
    WHEN 'vms' THEN ARRAY['vm', 'host']
    WHEN 'identity' THEN ARRAY['user', 'session', 'tenant']
    ELSE ARRAY[]::text[] END) $$;

-- ---- events ------------------------------------------------------------------------------------------------

CREATE FUNCTION put_event(p_type text, p_entity text, p_tenant uuid, p_body jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO outbox (type, entity_id, tenant_id, body) VALUES (p_type, p_entity, p_tenant, p_body);
  PERFORM pg_notify('novacron_outbox', '');
END $$;

-- The last statement of the transaction that makes the change, after the entity's row is locked: ids of one
-- entity then follow the order of commits.
CREATE FUNCTION emit(p_type text, p_entity text, p_tenant uuid, p_body jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = operations, pg_temp AS $$
BEGIN
  IF NOT speaks_of(p_type) THEN
    RAISE EXCEPTION 'the service % does not emit %', caller(), p_type;
  END IF;
  IF NOT p_body ? 'after' OR p_body - 'after' - 'before' <> '{}' THEN
    RAISE EXCEPTION 'an event tells what is, and what was before: nothing else';
  END IF;
  PERFORM put_event(p_type, p_entity, p_tenant, p_body);
END $$;

-- Moves committed rows from the outbox into the log, in id order, under dense positions. One sequencer at a time
-- (the head's row, which no service can lock); rows of a transaction that commits late simply get later positions.
CREATE FUNCTION sequence_events(p_limit int) RETURNS SETOF event_log
LANGUAGE plpgsql SECURITY DEFINER SET search_path = operations, pg_temp AS $$
DECLARE v_head bigint; v_count bigint;
BEGIN
  SELECT head INTO v_head FROM event_head WHERE id = 1 FOR UPDATE;
  RETURN QUERY
    WITH taken AS (
      DELETE FROM outbox WHERE id IN (SELECT o.id FROM outbox o ORDER BY o.id LIMIT p_limit) RETURNING *
    )
    INSERT INTO event_log (position, type, entity_id, tenant_id, body, at)
    SELECT v_head + row_number() OVER (ORDER BY t.id), t.type, t.entity_id, t.tenant_id, t.body, t.at FROM taken t
    ORDER BY t.id
    RETURNING *;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  IF v_count > 0 THEN UPDATE event_head SET head = v_head + v_count WHERE id = 1; END IF;
END $$;

CREATE FUNCTION event_bounds() RETURNS event_head
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = operations, pg_temp AS $$
  SELECT * FROM event_head WHERE id = 1 $$;

CREATE FUNCTION read_events(p_after bigint, p_limit int) RETURNS SETOF event_log
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = operations, pg_temp AS $$
BEGIN
  IF p_after < (SELECT trimmed FROM event_head WHERE id = 1) THEN
    PERFORM refuse('CURSOR_EXPIRED', 'The events after this cursor are no longer kept: read again and subscribe afresh.', 'after');
  END IF;
  RETURN QUERY SELECT * FROM event_log WHERE position > p_after ORDER BY position LIMIT p_limit;
END $$;

CREATE FUNCTION trim_events(p_before timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = operations, pg_temp AS $$
DECLARE v_last bigint;
BEGIN
  SELECT max(position) INTO v_last FROM event_log WHERE at < p_before;
  IF v_last IS NULL THEN RETURN 0; END IF;
  UPDATE event_head SET trimmed = greatest(trimmed, v_last) WHERE id = 1;
  DELETE FROM event_log WHERE position <= v_last;
  RETURN v_last;
END $$;

-- ---- operations --------------------------------------------------------------------------------------------

CREATE FUNCTION put_operation_event(o operation) RETURNS void
LANGUAGE sql AS $$
  SELECT put_event('operation.changed', o.id::text, o.tenant_id, jsonb_build_object('after', jsonb_build_object(
    'kind', o.kind, 'state', o.state, 'progress', o.progress, 'targetType', o.target_type, 'targetId', o.target_id,
    'requestedBy', o.requested_by, 'error', o.error))) $$;

-- Where the next bell must ring for an operation, or null when it has ended.
CREATE FUNCTION bell(o operation) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object('operationId', o.id, 'service', s.service, 'hostId', s.host_id, 'cursor', o.cursor,
    'attempt', s.attempt, 'delayMs', greatest(0, ceil(extract(epoch FROM o.due_at - clock_timestamp()) * 1000)))
  FROM step s WHERE s.operation_id = o.id AND s.index = o.cursor AND o.finished_at IS NULL $$;

CREATE FUNCTION finish(o operation, p_state operation_state) RETURNS operation
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE operation SET state = p_state, finished_at = clock_timestamp(), due_at = NULL,
    started_at = coalesce(started_at, CASE WHEN p_state = 'SUCCEEDED' THEN clock_timestamp() END), cancellable = false,
    progress = CASE WHEN p_state = 'SUCCEEDED' THEN 1 ELSE progress END
  WHERE id = o.id RETURNING * INTO o;
  RETURN o;
END $$;

-- Turns back, or goes on going back: to the next step at or below the cursor that has something to undo.
CREATE FUNCTION unwind(o operation) RETURNS operation
LANGUAGE plpgsql AS $$
DECLARE v_index int;
BEGIN
  SELECT max(index) INTO v_index FROM step WHERE operation_id = o.id AND index <= o.cursor AND undoable
    AND state IN ('RUNNING', 'FAILED', 'SUCCEEDED', 'UNDOING');
  -- a step that was begun and put back for another try has something to undo, too
  SELECT greatest(v_index, max(index)) INTO v_index FROM step WHERE operation_id = o.id AND index <= o.cursor AND undoable
    AND state = 'PENDING' AND started_at IS NOT NULL;
  UPDATE operation SET unwinding = true, due_at = clock_timestamp(), cancellable = false,
    cursor = coalesce(v_index, cursor),
    state = CASE WHEN cancel_requested_at IS NOT NULL AND error IS NULL THEN 'CANCELLING'::operation_state ELSE 'RUNNING' END
  WHERE id = o.id RETURNING * INTO o;
  IF v_index IS NULL THEN
    o := finish(o, CASE WHEN o.cancel_requested_at IS NOT NULL AND o.error IS NULL THEN 'CANCELLED'::operation_state ELSE 'FAILED' END);
  END IF;
  RETURN o;
END $$;

CREATE FUNCTION submit(p_operation jsonb, p_steps jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = operations, pg_temp AS $$
DECLARE o operation;
BEGIN
  IF NOT speaks_of(p_operation ->> 'kind') THEN
    RAISE EXCEPTION 'the service % does not submit %', caller(), p_operation ->> 'kind';
  END IF;
  INSERT INTO operation (id, service, kind, target_type, target_id, tenant_id, requested_by, request_id)
  SELECT x.id, caller(), x.kind, x."targetType", x."targetId", x."tenantId", x."requestedBy", x."requestId"
  FROM jsonb_to_record(p_operation) AS x(id uuid, kind text, "targetType" text, "targetId" uuid, "tenantId" uuid,
    "requestedBy" uuid, "requestId" text);
  INSERT INTO step (operation_id, index, name, service, host_id, input, undoable, final, state, attempt, started_at, finished_at)
  SELECT (p_operation ->> 'id')::uuid, s.ordinality - 1, x.name, split_part(x.name, '.', 1), x."hostId", x.input,
    x.undoable, x.final,
    CASE WHEN x.done THEN 'SUCCEEDED'::step_state ELSE 'PENDING' END, CASE WHEN x.done THEN 1 ELSE 0 END,
    CASE WHEN x.done THEN clock_timestamp() END, CASE WHEN x.done THEN clock_timestamp() END
  FROM jsonb_array_elements(p_steps) WITH ORDINALITY s,
    jsonb_to_record(s.value) AS x(name text, "hostId" uuid, input jsonb, undoable boolean, final boolean, done boolean);
  UPDATE operation SET cursor = (SELECT count(*) FROM step WHERE operation_id = operation.id AND state = 'SUCCEEDED')
  WHERE id = (p_operation ->> 'id')::uuid RETURNING * INTO o;
  -- what the submitting transaction has done altogether has succeeded with it
  IF o.cursor = jsonb_array_length(p_steps) THEN o := finish(o, 'SUCCEEDED'); END IF;
  PERFORM put_operation_event(o);
  RETURN bell(o);
END $$;

-- Takes the step at the cursor for a worker of the calling service (on a host: of the lease's epoch).
-- Answers {claim}, or why not: {ended}, {elsewhere: bell}, {waitMs}, {stale}.
CREATE FUNCTION claim_step(p_operation uuid, p_host uuid, p_host_epoch bigint, p_worker text, p_ttl_ms int) RETURNS jsonb
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
  -- cancelled while its worker was lost: from here it goes back, not forward
  IF o.cancel_requested_at IS NOT NULL AND NOT o.unwinding THEN
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

-- Locks the operation and makes sure that the worker still holds its step; SQLSTATE NC001 when it does not.
CREATE FUNCTION require_claim(p_operation uuid, p_index int, p_fence bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE s step;
BEGIN
  PERFORM FROM operation WHERE id = p_operation FOR UPDATE;
  SELECT * INTO s FROM step WHERE operation_id = p_operation AND index = p_index;
  IF s.fence IS DISTINCT FROM p_fence OR s.state NOT IN ('RUNNING', 'UNDOING') OR s.service <> caller()
    OR (s.host_id IS NOT NULL AND NOT EXISTS (
      SELECT FROM host_lease l WHERE l.host_id = s.host_id AND l.epoch = s.host_epoch)) THEN
    PERFORM refuse_stale();
  END IF;
END $$;

CREATE FUNCTION heartbeat(p_operation uuid, p_index int, p_fence bigint, p_ttl_ms int, p_progress double precision) RETURNS boolean
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
  RETURN o.cancel_requested_at IS NOT NULL AND NOT o.unwinding;
END $$;

-- The step is about to act on the world outside: from now on there may be something to undo.
CREATE FUNCTION begin_step(p_operation uuid, p_index int, p_fence bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = operations, pg_temp AS $$
BEGIN
  PERFORM require_claim(p_operation, p_index, p_fence);
  UPDATE step SET output = coalesce(output, '{"begun": true}') WHERE operation_id = p_operation AND index = p_index;
END $$;

-- A step is done, or undone: in the transaction that records what it did. Answers {state, bell}.
CREATE FUNCTION record_step(p_operation uuid, p_index int, p_fence bigint, p_output jsonb) RETURNS jsonb
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
    UPDATE step SET state = 'SUCCEEDED', output = p_output, error = NULL, progress = 1, finished_at = clock_timestamp()
    WHERE operation_id = o.id AND index = p_index;
    SELECT count(*) INTO v_count FROM step WHERE operation_id = o.id;
    IF p_index + 1 = v_count THEN
      o := finish(o, 'SUCCEEDED');
    ELSIF o.cancel_requested_at IS NOT NULL THEN
      o := unwind(o);
    ELSE
      UPDATE operation SET cursor = p_index + 1, due_at = clock_timestamp(), progress = (p_index + 1.0) / v_count
      WHERE id = o.id RETURNING * INTO o;
    END IF;
  END IF;
  PERFORM put_operation_event(o);
  RETURN jsonb_build_object('state', o.state, 'bell', bell(o));
END $$;

-- A step failed. With p_retry_ms it is tried again then; without, the operation turns back (p_error null: it was
-- cancelled). An undo is tried again for ever: what was begun must not be left behind.
CREATE FUNCTION fail_step(p_operation uuid, p_index int, p_fence bigint, p_error jsonb, p_retry_ms int) RETURNS jsonb
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
  ELSIF p_retry_ms IS NOT NULL AND o.cancel_requested_at IS NULL THEN
    -- put back without an error, it was no try
    UPDATE step SET state = 'PENDING', error = p_error, claimed_until = NULL, attempt = attempt - (p_error IS NULL)::int
    WHERE operation_id = o.id AND index = p_index;
    UPDATE operation SET due_at = clock_timestamp() + make_interval(secs => p_retry_ms / 1000.0)
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

CREATE FUNCTION request_cancel(p_operation uuid) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = operations, pg_temp AS $$
DECLARE o operation; s step;
BEGIN
  SELECT * INTO o FROM operation WHERE id = p_operation FOR UPDATE;
  IF o.cancel_requested_at IS NOT NULL AND o.finished_at IS NULL THEN RETURN bell(o); END IF;
  IF NOT o.cancellable THEN
    PERFORM refuse('INVALID_STATE', CASE WHEN o.finished_at IS NULL
      THEN 'This operation can no longer be cancelled.' ELSE 'This operation has already ended.' END);
  END IF;
  UPDATE operation SET cancel_requested_at = clock_timestamp(), state = 'CANCELLING', cancellable = false
  WHERE id = o.id RETURNING * INTO o;
  SELECT * INTO s FROM step WHERE operation_id = o.id AND index = o.cursor;
  IF s.state <> 'RUNNING' OR s.claimed_until < clock_timestamp()
    OR s.host_epoch < (SELECT l.epoch FROM host_lease l WHERE l.host_id = s.host_id) THEN o := unwind(o); END IF;
  PERFORM put_operation_event(o);
  RETURN bell(o);
END $$;

-- The hosts that have an agent now.
CREATE FUNCTION attended_hosts() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = operations, pg_temp AS $$
  SELECT host_id FROM host_lease WHERE expires_at > clock_timestamp() $$;

-- For the sweeper: bells of operations that are due and that no living worker holds.
CREATE FUNCTION due_bells(p_limit int) RETURNS SETOF jsonb
LANGUAGE sql SECURITY DEFINER SET search_path = operations, pg_temp AS $$
  SELECT bell(o) FROM operation o JOIN step s ON s.operation_id = o.id AND s.index = o.cursor
  WHERE o.due_at <= clock_timestamp()
    -- where no agent is, nobody hears: a thousand of these must not keep the others from being rung
    AND (s.host_id IS NULL OR s.host_id IN (SELECT attended_hosts()))
    AND (s.state NOT IN ('RUNNING', 'UNDOING') OR s.claimed_until < clock_timestamp()
      OR s.host_epoch < (SELECT l.epoch FROM host_lease l WHERE l.host_id = s.host_id))
  ORDER BY o.due_at LIMIT p_limit $$;

CREATE FUNCTION goes_on(p_operation uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = operations, pg_temp AS $$
  SELECT EXISTS (SELECT FROM operation WHERE id = p_operation AND finished_at IS NULL AND NOT unwinding AND cancel_requested_at IS NULL) $$;

CREATE FUNCTION claim_idempotency_key(p_user uuid, p_mutation text, p_key text, p_hash text, p_result jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = operations, pg_temp AS $$
DECLARE v_known idempotency_key;
BEGIN
  DELETE FROM idempotency_key WHERE user_id = p_user AND mutation = p_mutation AND key = p_key
    AND created_at < clock_timestamp() - interval '24 hours';
  INSERT INTO idempotency_key (user_id, mutation, key, input_hash, result)
  VALUES (p_user, p_mutation, p_key, p_hash, p_result) ON CONFLICT DO NOTHING;
  IF FOUND THEN RETURN NULL; END IF;
  SELECT * INTO v_known FROM idempotency_key WHERE user_id = p_user AND mutation = p_mutation AND key = p_key;
  IF v_known.input_hash <> p_hash THEN
    PERFORM refuse('CONFLICT', 'This idempotency key was used with another input.', 'idempotencyKey');
  END IF;
  RETURN v_known.result;
END $$;

CREATE FUNCTION purge(p_operations_before timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = operations, pg_temp AS $$
  DELETE FROM idempotency_key WHERE created_at < clock_timestamp() - interval '24 hours';
  DELETE FROM operation WHERE finished_at < p_operations_before $$;

-- ---- leases of hosts ---------------------------------------------------------------------------------------

-- The epoch under which the holder may speak to the host, or null while another holds it. With p_epoch, a lease is made
-- longer, and only while it lasts; without, it is taken, and every taking is a new epoch, by the same holder too: what
-- it still had in hand under the old one counts for nothing.
CREATE FUNCTION hold_host(p_host uuid, p_holder text, p_epoch bigint, p_ttl_ms int) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = operations, pg_temp AS $$
  INSERT INTO host_lease AS l (host_id, holder, epoch, expires_at)
  VALUES (p_host, p_holder, 1, clock_timestamp() + make_interval(secs => least(p_ttl_ms, 60000) / 1000.0))
  ON CONFLICT (host_id) DO UPDATE SET holder = p_holder, expires_at = excluded.expires_at,
    epoch = l.epoch + (p_epoch IS NULL)::int
  WHERE CASE WHEN p_epoch IS NULL THEN l.holder = p_holder OR l.expires_at <= clock_timestamp()
    -- a lease from the future was made before the clock was set back: nobody knows how long ago
    OR l.expires_at > clock_timestamp() + interval '1 minute'
    ELSE l.holder = p_holder AND l.epoch = p_epoch AND l.expires_at > clock_timestamp() END
  RETURNING epoch $$;

CREATE FUNCTION release_host(p_host uuid, p_holder text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = operations, pg_temp AS $$
  UPDATE host_lease SET expires_at = clock_timestamp() WHERE host_id = p_host AND holder = p_holder $$;

-- ---- quota -------------------------------------------------------------------------------------------------

CREATE FUNCTION set_quota(p_tenant uuid, p_vms bigint, p_vcpus bigint, p_memory bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = operations, pg_temp AS $$
  INSERT INTO quota (tenant_id, vms, vcpus, memory) VALUES (p_tenant, p_vms, p_vcpus, p_memory)
  ON CONFLICT (tenant_id) DO UPDATE SET vms = p_vms, vcpus = p_vcpus, memory = p_memory $$;

CREATE FUNCTION quota_of(p_tenants uuid[]) RETURNS SETOF quota
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = operations, pg_temp AS $$
  SELECT * FROM quota WHERE tenant_id = ANY (p_tenants) $$;

-- Adds to what a tenant uses (or takes from it, with negative numbers): exact under any race, by the row's lock. Every
-- tenant has a row: identity sets its quota when it makes it.
CREATE FUNCTION charge_quota(p_tenant uuid, p_vms bigint, p_vcpus bigint, p_memory bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = operations, pg_temp AS $$
DECLARE q quota;
BEGIN
  UPDATE quota SET used_vms = used_vms + p_vms, used_vcpus = used_vcpus + p_vcpus, used_memory = used_memory + p_memory
  WHERE tenant_id = p_tenant RETURNING * INTO q;
  IF NOT FOUND THEN PERFORM refuse('NOT_FOUND', 'There is no tenant with this id.', 'tenantId'); END IF;
  IF p_vms > 0 AND q.used_vms > q.vms THEN
    PERFORM refuse('QUOTA_EXCEEDED', format('The tenant may have %s VMs and has them.', q.vms), NULL);
  ELSIF p_vcpus > 0 AND q.used_vcpus > q.vcpus THEN
    PERFORM refuse('QUOTA_EXCEEDED', format('The tenant may use %s vCPUs; this would make it %s.', q.vcpus, q.used_vcpus), 'vcpus');
  ELSIF p_memory > 0 AND q.used_memory > q.memory THEN
    PERFORM refuse('QUOTA_EXCEEDED', format('The tenant may use %s MiB of memory; this would make it %s MiB.',
      q.memory / 1048576, q.used_memory / 1048576), 'memory');
  END IF;
END $$;

-- ---- who may call what -------------------------------------------------------------------------------------

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA operations FROM PUBLIC;
GRANT USAGE ON SCHEMA operations TO novacron_identity, novacron_vms, novacron_monitoring, novacron_operations, novacron_gateway, novacron_agent;
GRANT EXECUTE ON FUNCTION emit, submit, goes_on, claim_step, begin_step, heartbeat, record_step, fail_step, claim_idempotency_key TO novacron_vms;
GRANT EXECUTE ON FUNCTION charge_quota, attended_hosts TO novacron_vms;
GRANT EXECUTE ON FUNCTION emit, set_quota, quota_of TO novacron_identity;
GRANT EXECUTE ON FUNCTION hold_host, release_host, attended_hosts TO novacron_agent;
GRANT EXECUTE ON FUNCTION event_bounds, read_events TO novacron_gateway, novacron_operations;
GRANT EXECUTE ON FUNCTION sequence_events, trim_events, purge, due_bells, request_cancel TO novacron_operations;
GRANT SELECT ON operation, step TO novacron_operations;
