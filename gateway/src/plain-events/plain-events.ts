import { DomainError } from '@novacron/core';
import { encodeCursor, type SubscriptionMetrics } from '@novacron/supergraph';
import type { GraphQLFormattedError } from 'graphql';
import type { Place } from '../rate-limits/places.ts';
import type { RateLimits } from '../rate-limits/rate-limits.ts';
import { CLOSE, type Connection } from '../subscriptions/connection.ts';
import { createFeed, type FeedSources } from './feed.ts';
import { parseMessage, type Choice, type ClientMessage } from './messages.ts';

/** Where events are to be had without GraphQL. */
export const PLAIN_EVENT_PATHS = ['/ws/events/v1', '/api/ws/events/v1'] as const;

/** How long a client may take to say who it is. */
const SIGN_IN_MS = 5_000;
/** By this name its subscriptions are counted, and held by the connection. */
const NAME = 'plainEvents';

export interface PlainEventOptions extends FeedSources {
  limits: Pick<RateLimits, 'allowanceOf' | 'holdSubscription'>;
  metrics: Pick<SubscriptionMetrics, 'began' | 'ended'>;
  formatError(thrown: unknown): GraphQLFormattedError;
}

/** What the socket server gives to whoever speaks with a client. */
export interface Channel {
  /** A listener that rejects has been told what is no message: the connection is closed. */
  onMessage(listener: (text: string) => Promise<void>): void;
}

export interface PlainEvents {
  /**
   * Speaks with one client. `authenticate` signs the connection in; false when it has been closed instead. Returns what to
   * do when the socket is gone.
   */
  open(connection: Connection, channel: Channel, authenticate: (connection: Connection, token: string) => Promise<boolean>): () => void;
}

/**
 * Events as JSON over a plain WebSocket. The client's first message is {"type":"auth","token":...}; it hears
 * {"type":"ready","cursor":...}, then all that it may see. {"type":"subscribe"} chooses events and ids anew, or goes back to a cursor;
 * what is chosen may stand in "auth" as well.
 */
export function createPlainEvents({ limits, metrics, formatError, ...sources }: PlainEventOptions): PlainEvents {
  function refuse(connection: Connection, thrown: unknown): void {
    const { message, extensions } = formatError(thrown);
    connection.send(JSON.stringify({ type: 'error', message, ...extensions }));
  }

  function end(connection: Connection): void {
    const running = connection.subscriptions.get(NAME);
    connection.subscriptions.delete(NAME);
    void running?.return();
  }

  /** In place of what the client heard before; counts as a request, and as a subscription as long as it lasts. */
  async function begin(connection: Connection, choice: Choice, said: 'ready' | 'subscribed'): Promise<void> {
    try {
      await limits.allowanceOf(connection).admit();
      if (connection.viewer === null) return; // closed meanwhile
      const place = await limits.holdSubscription(connection.viewer);
      if (connection.isOpen) start(connection, place, choice, said);
      else place.release();
    } catch (thrown) {
      refuse(connection, thrown);
    }
  }

  function start(connection: Connection, place: Place, choice: Choice, said: 'ready' | 'subscribed'): void {
    end(connection);
    const leave = () => {
      place.release();
      metrics.ended(NAME);
    };
    metrics.began(NAME);
    try {
      const feed = createFeed(sources, connection, choice, leave);
      connection.subscriptions.set(NAME, feed);
      connection.send(JSON.stringify({ type: said, cursor: encodeCursor(feed.settled) }));
      feed.run().catch((thrown: unknown) => {
        if (connection.subscriptions.get(NAME) !== feed) return;
        end(connection);
        refuse(connection, thrown);
      });
    } catch (thrown) {
      leave();
      throw thrown;
    }
  }

  return {
    open(connection, channel, authenticate) {
      let isKnown = false; // from the first message on: a second token would be another client's
      const late = setTimeout(() => connection.close(CLOSE.unauthorized, 'Send {"type":"auth","token":...} first'), SIGN_IN_MS);

      async function take(message: ClientMessage): Promise<void> {
        if (message.type === 'subscribe' && connection.viewer !== null) return begin(connection, message, 'subscribed');
        if (message.type === 'subscribe' || isKnown) return connection.close(CLOSE.unauthorized, 'Send {"type":"auth","token":...} once, and first');
        isKnown = true;
        if (!(await authenticate(connection, message.token))) return undefined;
        clearTimeout(late);
        return begin(connection, message, 'ready');
      }
      channel.onMessage(async (text) => {
        try {
          await take(parseMessage(text));
        } catch (thrown) {
          if (DomainError.from(thrown).code !== 'BAD_USER_INPUT') throw thrown;
          refuse(connection, thrown);
          connection.close(CLOSE.badRequest, 'Invalid message');
        }
      });
      return () => {
        clearTimeout(late);
        end(connection);
      };
    },
  };
}
