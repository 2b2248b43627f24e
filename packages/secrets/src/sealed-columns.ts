/** Everything in the database that is sealed. A test compares it with the columns that hold a key's id: none of them is missing. */

export interface SealedColumn {
  /** With its schema. */
  table: string;
  id: string;
  sealed: string;
  keyId: string;
  /** What a row's secret is sealed for: said by whoever seals it, and to be the same here. */
  contextOf(id: string): string;
  /** Rows without a key's id hold boxes without a version, sealed for this. */
  bareContextOf?(id: string): string;
}

export const SEALED_COLUMNS: readonly SealedColumn[] = [
  { table: 'identity.signing_keys', id: 'kid', sealed: 'private_jwk', keyId: 'key_id', contextOf: (id) => `signing-key:${id}`, bareContextOf: (id) => id },
  { table: 'identity.totp', id: 'user_id', sealed: 'secret', keyId: 'key_id', contextOf: (id) => `totp:${id}` },
  { table: 'identity.mails', id: 'id', sealed: 'content', keyId: 'key_id', contextOf: (id) => `mail:${id}` },
  { table: 'storage.volume', id: 'id', sealed: 'passphrase', keyId: 'key_id', contextOf: (id) => `volume:${id}` },
  { table: 'storage.seed', id: 'vm_id', sealed: 'content', keyId: 'key_id', contextOf: (id) => `seed:${id}` },
  { table: 'operations.audit_head', id: 'id', sealed: 'sealed', keyId: 'sealed_key_id', contextOf: () => 'audit:head' },
];
