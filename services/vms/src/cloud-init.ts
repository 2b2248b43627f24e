import { DomainError } from '@novacron/core';
import { checkName } from './rules.ts';

/** What cloud-init in the guest is told (https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html). */
export interface CloudInit {
  /** The VM's name unless given. */
  hostname: string;
  sshKeys: string[];
  userData: string | null;
  networkConfig: string | null;
}

export interface CloudInitInput {
  hostname?: string | null | undefined;
  sshKeys?: readonly string[] | null | undefined;
  userData?: string | null | undefined;
  networkConfig?: string | null | undefined;
}

export const CLOUD_INIT_LIMITS = { userDataBytes: 64 * 1024, networkConfigBytes: 16 * 1024, sshKeys: 32, sshKeyLength: 8_192 } as const;
/** The room that a seed takes up, whatever is in it. */
export const SEED_BYTES = 2 ** 20;

/** An OpenSSH public key: its type, the key in base64, and a comment (sshd(8), AUTHORIZED_KEYS FILE FORMAT). */
const SSH_KEY = /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519@openssh\.com|sk-ecdsa-sha2-nistp256@openssh\.com) [A-Za-z0-9+/]+={0,2}( [^\r\n]*)?$/;

const bad = (field: string, message: string): never => {
  throw new DomainError('BAD_USER_INPUT', message, { field: `cloudInit.${field}` });
};

function checkDocument(value: string, field: 'userData' | 'networkConfig', most: number): string {
  if (Buffer.byteLength(value) > most) bad(field, `This has at most ${most / 1024} KiB.`);
  if (value.includes('\u0000') || !value.isWellFormed()) bad(field, 'This is text, without zeros.');
  return value;
}

/** What was sent, checked and completed. BAD_USER_INPUT with the field at fault. */
export function checkCloudInit(input: CloudInitInput, vmName: string): CloudInit {
  const keys = input.sshKeys ?? [];
  if (keys.length > CLOUD_INIT_LIMITS.sshKeys) bad('sshKeys', `A VM gets at most ${CLOUD_INIT_LIMITS.sshKeys} SSH keys.`);
  if (keys.some((key) => key.length > CLOUD_INIT_LIMITS.sshKeyLength || !SSH_KEY.test(key))) {
    bad('sshKeys', 'An SSH key is one line of an authorized_keys file without options: "ssh-ed25519 AAAA... comment".');
  }
  return {
    hostname: checkName(input.hostname ?? vmName, 'cloudInit.hostname'),
    sshKeys: [...keys],
    userData: input.userData == null ? null : checkDocument(input.userData, 'userData', CLOUD_INIT_LIMITS.userDataBytes),
    networkConfig: input.networkConfig == null ? null : checkDocument(input.networkConfig, 'networkConfig', CLOUD_INIT_LIMITS.networkConfigBytes),
  };
}
