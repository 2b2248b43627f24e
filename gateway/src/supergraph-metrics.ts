import type { SupergraphFile } from '@novacron/supergraph';
import { Gauge, type Registry } from 'prom-client';

/** What is to be known of the supergraph that is served, under names like those of Prometheus for its own configuration. */
export function measureSupergraph(file: SupergraphFile, registry: Registry): void {
  const hash = new Gauge({
    name: 'novacron_supergraph_info',
    help: 'Always 1: the hash is that of the supergraph that is served.',
    labelNames: ['hash'] as const,
    registers: [],
    collect() {
      this.reset();
      this.set({ hash: file.current.hash }, 1);
    },
  });
  const successful = new Gauge({
    name: 'novacron_supergraph_last_reload_successful',
    help: 'Whether what the file of the supergraph holds is served: 0 if it was refused, and the one before it stays.',
    registers: [],
    collect() {
      this.set(file.state.refusal === null ? 1 : 0);
    },
  });
  const loadedAt = new Gauge({
    name: 'novacron_supergraph_last_reload_success_timestamp_seconds',
    help: 'When the supergraph that is served was loaded.',
    registers: [],
    collect() {
      this.set(file.state.loadedAt.getTime() / 1_000);
    },
  });
  for (const gauge of [hash, successful, loadedAt]) registry.registerMetric(gauge);
}
