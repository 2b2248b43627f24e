import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';

/** A finished span, as it came. */
export interface CollectedSpan {
  /** What its process is called. */
  service: string;
  traceId: string;
  spanId: string;
  /** Empty for the root. */
  parentSpanId: string;
  name: string;
  attributes: Record<string, unknown>;
  failed: boolean;
}

interface Attribute {
  key: string;
  value: Record<string, unknown>;
}

/** The part of OTLP/HTTP as JSON that is read here: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding */
interface ExportRequest {
  resourceSpans: {
    resource: { attributes: Attribute[] };
    scopeSpans: { spans: { traceId: string; spanId: string; parentSpanId?: string; name: string; attributes?: Attribute[]; status?: { code?: number } }[] }[];
  }[];
}

const STATUS_ERROR = 2;
const readAttributes = (attributes: readonly Attribute[] = []) => Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));

export interface Collector {
  /** What OTEL_EXPORTER_OTLP_ENDPOINT is to say. */
  readonly url: string;
  readonly spans: readonly CollectedSpan[];
  /** All that was sent, as it was written. */
  readonly received: readonly string[];
  close(): Promise<void>;
}

/** The smallest OpenTelemetry collector: takes traces as OTLP over HTTP, in JSON. */
export async function startCollector(): Promise<Collector> {
  const spans: CollectedSpan[] = [];
  const received: string[] = [];
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      received.push(body);
      for (const { resource, scopeSpans } of (JSON.parse(body) as ExportRequest).resourceSpans) {
        const service = String(readAttributes(resource.attributes)['service.name']);
        for (const { traceId, spanId, parentSpanId = '', name, attributes, status } of scopeSpans.flatMap((scope) => scope.spans)) {
          spans.push({ service, traceId, spanId, parentSpanId, name, attributes: readAttributes(attributes), failed: status?.code === STATUS_ERROR });
        }
      }
      response.setHeader('content-type', 'application/json').end('{}');
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('unreachable: it listens on a port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    spans,
    received,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
