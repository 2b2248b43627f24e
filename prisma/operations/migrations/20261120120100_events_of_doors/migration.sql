-- Doors of services put their events, too: from there, the search_path is the service's.
ALTER FUNCTION put_event(text, text, uuid, jsonb) SET search_path = operations, pg_temp;
