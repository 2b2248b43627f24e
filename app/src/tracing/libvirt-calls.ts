import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { CALL_CHANNEL, ERROR_CODE, isClientError, LibvirtError, type CallNotice } from '@novacron/libvirt';
import { inSpan } from '@novacron/telemetry';
import { SpanKind } from '@opentelemetry/api';

const codeNames = new Map<number, string>(Object.entries(ERROR_CODE).map(([name, code]) => [code, name]));

/** What is wrong, as a word of a closed list: `NO_DOMAIN`, `deadline`. The message may hold names and paths. */
function codeOf(error: unknown): string {
  if (error instanceof LibvirtError) return codeNames.get(error.code) ?? String(error.code);
  return isClientError(error) ? error.kind : 'INTERNAL';
}

/** A span for each libvirt call of what is traced. Returns how to stop that. */
export function traceLibvirtCalls(): () => void {
  const listen = (message: unknown): void => {
    const { procedure, outcome } = message as CallNotice; // what the channel promises
    const attributes = { 'rpc.system': 'libvirt', 'rpc.method': procedure };
    inSpan(`libvirt ${procedure}`, { kind: SpanKind.CLIENT, attributes, codeOf }, () => outcome).catch(() => {}); // the caller has it, too
  };
  subscribe(CALL_CHANNEL, listen);
  return () => void unsubscribe(CALL_CHANNEL, listen);
}
