import type { Viewer } from '@novacron/contracts';
import { newId } from '@novacron/core';
import type { TestIdentity } from './identity.ts';

/** What `plant` leaves in an account, and what is left of it: a link to another address, a device, an API token and so on. */
export const EVERYTHING = { links: 1, devices: 1, keys: 1, tokens: 1, totp: 1, codes: 1, named: 1 } as const;
export const NOTHING = { links: 0, devices: 0, keys: 0, tokens: 0, totp: 0, codes: 0, named: 0 } as const;

/** Puts into somebody's account whatever could let its maker come back, or keep others out. */
export async function plant({ sql }: TestIdentity, { userId }: Viewer): Promise<void> {
  await sql(
    `INSERT INTO identity.mail_tokens (id, user_id, purpose, token_hash, email, created_at, expires_at) VALUES ($1, $2, 'change_email', sha256(convert_to(random()::text, 'UTF8')), 'elsewhere@example.org', now(), now() + interval '1 year')`,
    [newId(), userId],
  );
  await sql(`INSERT INTO identity.ssh_keys (id, user_id, name, public_key, fingerprint, created_at) VALUES ($1, $2, 'k', 'k', 'k', now())`, [newId(), userId]);
  await sql(
    `INSERT INTO identity.api_tokens (id, user_id, name, prefix, token_hash, scopes, addresses, created_at, created_by) VALUES ($1, $2, 't', 'nc_', sha256(convert_to(random()::text, 'UTF8')), '{}', '{}', now(), $2)`,
    [newId(), userId],
  );
  await sql(`INSERT INTO identity.totp (user_id, secret, key_id, created_at, confirmed_at) VALUES ($1, '\\x00', 'none', now(), now())`, [userId]);
  await sql(`INSERT INTO identity.backup_codes (id, user_id, code_hash, created_at) VALUES ($1, $2, '\\x00', now())`, [newId(), userId]);
  await sql(`INSERT INTO identity.known_devices (user_id, fingerprint, first_seen_at, last_seen_at) VALUES ($1, '\\x00', now(), now())`, [userId]);
  await sql('UPDATE identity.users SET username = $2 WHERE id = $1', [userId, `u${userId.slice(-12)}`]);
}

export async function planted({ sql }: TestIdentity, userId: string): Promise<Record<keyof typeof EVERYTHING, number>> {
  const [row] = await sql<Record<keyof typeof EVERYTHING, number>>(
    `SELECT (SELECT count(*)::int FROM identity.mail_tokens WHERE user_id = u.id AND purpose = 'change_email' AND used_at IS NULL) AS links,
      (SELECT count(*)::int FROM identity.known_devices WHERE user_id = u.id AND fingerprint = '\\x00') AS devices,
      (SELECT count(*)::int FROM identity.ssh_keys WHERE user_id = u.id) AS keys,
      (SELECT count(*)::int FROM identity.api_tokens WHERE user_id = u.id AND revoked_at IS NULL) AS tokens,
      (SELECT count(*)::int FROM identity.totp WHERE user_id = u.id) AS totp,
      (SELECT count(*)::int FROM identity.backup_codes WHERE user_id = u.id) AS codes,
      count(u.username)::int AS named
    FROM identity.users u WHERE u.id = $1 GROUP BY u.id`,
    [userId],
  );
  return row!; // of a user that is there
}
