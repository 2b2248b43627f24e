import type { Viewer } from '@novacron/contracts';
import type { EventHub } from '../events/hub.ts';

/** Whoever is connected for longer than one answer, as someone. */
export interface Connected {
  /** Null before it has said who it is. */
  readonly viewer: Viewer | null;
  /** The session that it was let in with has ended. */
  revoke(): void;
  /** What its viewer may see has changed: it may come back with the same token, and sees what it may see now. */
  readmit(): void;
}

/** All who are connected, whatever they speak. What the log says of sessions and users reaches them at once. */
export interface Sessions {
  /** Returns how to let go of it. */
  hold(connected: Connected): () => void;
  close(): void;
}

export function createSessions(hub: EventHub): Sessions {
  const held = new Set<Connected>();
  const stops = [
    hub.listen('session', null, ({ entityId }) => {
      for (const connected of held) if (connected.viewer?.sessionId === entityId) connected.revoke();
    }),
    hub.listen('user', null, ({ entityId }) => {
      for (const connected of held) if (connected.viewer?.userId === entityId) connected.readmit();
    }),
  ];
  return {
    hold(connected) {
      held.add(connected);
      return () => void held.delete(connected);
    },
    close: () => stops.forEach((stop) => stop()),
  };
}
