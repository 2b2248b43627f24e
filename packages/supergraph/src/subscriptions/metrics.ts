/** What subscriptions count of themselves. */
export interface SubscriptionMetrics {
  began(field: string): void;
  ended(field: string): void;
  /** A message was handed to one subscriber. */
  delivered(field: string): void;
  /** An event was handed to a group's subscribers, so long after it was committed; replays do not count. */
  handedOver(afterMs: number): void;
}
