/** Who asks, as far as @authenticated, @requiresScopes and @policy want to know. */
export interface Principal {
  authenticated: boolean;
  scopes: ReadonlySet<string>;
  /** Why it has none: said where one is missing, in place of its name. */
  owes?: string;
  /** Which of these policies it satisfies; without it, none. */
  policies?(names: readonly string[]): ReadonlySet<string>;
}
