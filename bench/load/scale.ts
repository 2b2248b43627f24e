/** How much load there is. */
export interface Scale {
  /** WebSocket clients, ten of them on each topic. */
  clients: number;
  /** How long events are published at their full rate. */
  seconds: number;
  /** How long the soak takes. */
  minutes: number;
}

export const CLIENTS_PER_TOPIC = 10;
/** 500 events a second for 10,000 clients. */
export const eventsPerSecond = (clients: number): number => clients / 20;
/** Fields of three subgraphs: what the event carries, what `vms` knows, what `identity` knows. */
export const SUBSCRIPTION = 'subscription ($ids: [ID!]) { vmChanged(ids: $ids) { cursor vm { name state host { name } createdBy { email } } } }';

/** A program of this folder. */
export const program = (name: string): string => `${import.meta.dirname}/${name}.ts`;
