import { auditSubgraph, createAuditTrail } from '@novacron/audit';
import type { ServiceRole } from '@novacron/database';
import type { Logger } from 'pino';
import { SUBGRAPHS, type Services } from './services.ts';

export interface AuditOptions {
  login(role: ServiceRole): string;
  logger: Logger;
  opened: AsyncDisposableStack;
}

/** Puts every mutation of the subgraphs that are answered here into the audit, each with its own service's login. */
export function auditSubgraphs(subgraphs: Services['subgraphs'], { login, logger, opened }: AuditOptions): void {
  for (const name of SUBGRAPHS) {
    const subgraph = subgraphs[name];
    if (!subgraph) continue;
    const trail = createAuditTrail({ databaseUrl: login(name), service: name, logger });
    opened.defer(() => trail.close());
    subgraphs[name] = auditSubgraph(subgraph, trail);
  }
}
