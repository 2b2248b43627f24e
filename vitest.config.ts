import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{packages,services,gateway,app,e2e,scripts,prisma,deploy,bench}/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**', '**/generated/**'],
    // Opens the run before the workers start and leaves nothing behind, however the run ends.
    globalSetup: ['packages/testkit/src/vitest-run.ts'],
    pool: 'forks',
    // Files wait for guests and servers more than they compute: left to itself, vitest would run one at a time on two cores.
    maxWorkers: Math.max(2, availableParallelism()),
    // Real servers and guests on small machines: generous, as waits have deadlines of their own.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Node itself loads the code, as it does in production; vite's runner would load graphql twice.
    experimental: { viteModuleRunner: false },
    coverage: {
      provider: 'v8',
      include: ['{packages,services,gateway,app}/**/src/**/*.ts'],
      exclude: ['**/*.test.ts', '**/generated/**', 'gateway/playground/**'],
      thresholds: { 'services/*/src/rules.ts': { lines: 100 }, 'services/vms/src/operations/**': { lines: 100 } },
    },
  },
});
