-- An operation remembers the trace that it was submitted in, so that its steps continue it: in another process, later.
-- W3C Trace Context (https://www.w3.org/TR/trace-context/): {"traceparent": ..., "tracestate": ...}; null for what nobody traces.
ALTER TABLE operation ADD COLUMN trace_context jsonb;

CREATE OR REPLACE FUNCTION submit(p_operation jsonb, p_steps jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = operations, pg_temp AS $$
DECLARE o operation;
BEGIN
  IF NOT speaks_of(p_operation ->> 'kind') THEN
    RAISE EXCEPTION 'the service % does not submit %', caller(), p_operation ->> 'kind';
  END IF;
  INSERT INTO operation (id, service, kind, target_type, target_id, tenant_id, requested_by, request_id, parent_id, trace_context)
  SELECT x.id, caller(), x.kind, x."targetType", x."targetId", x."tenantId", x."requestedBy", x."requestId", x."parentId", x."traceContext"
  FROM jsonb_to_record(p_operation) AS x(id uuid, kind text, "targetType" text, "targetId" uuid, "tenantId" uuid,
    "requestedBy" uuid, "requestId" text, "parentId" uuid, "traceContext" jsonb);
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
    'requestedBy', o.requested_by, 'requestId', o.request_id, 'traceContext', o.trace_context, 'error', o.error,
    'index', s.index, 'name', s.name, 'input', s.input, 'output', s.output, 'attempt', s.attempt,
    'fence', s.fence, 'hostEpoch', s.host_epoch, 'undoing', o.unwinding, 'interrupted', v_interrupted,
    'cancelled', o.cancel_requested_at IS NOT NULL AND o.error IS NULL));
END $$;
