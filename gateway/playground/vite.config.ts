import { defineConfig } from 'vite';

/** `vite build gateway/playground`: static files in dist/, served by the gateway below /playground/. */
export default defineConfig({
  base: '/playground/',
  build: {
    target: 'es2023',
    // Every asset stays a file of its own: the gateway's Content-Security-Policy allows no inline script.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 4_000,
    reportCompressedSize: false,
    rolldownOptions: {
      // 'use client' means nothing here, and would be said of each of a few hundred files
      onLog: (level, log, report) => log.code === 'MODULE_LEVEL_DIRECTIVE' || report(level, log),
    },
  },
  worker: { format: 'es' },
});
