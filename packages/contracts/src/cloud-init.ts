import { badInput } from '@novacron/core';

/** What a guest's cloud-init is told. */
export interface CloudInit {
  hostname: string | null;
  sshKeys: readonly string[];
  userData: string | null;
  networkConfig: string | null;
}

/** As the graph takes it. */
export type CloudInitInput = { [Name in keyof CloudInit]?: CloudInit[Name] | null | undefined };

export const CLOUD_INIT_LIMITS = {
  /** Bytes as UTF-8. */
  userData: 64 * 1024,
  networkConfig: 64 * 1024,
  sshKeys: 64,
  /** Characters: an RSA key of 16,384 bits has about 2,800. */
  sshKey: 8_192,
} as const;

/** The room that a seed takes up, whatever is in it: more than all of the above together. */
export const SEED_BYTES = 2 ** 20;

/** RFC 1123, 2.1: labels of letters, digits and -, 253 characters in all. */
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i;
const MOST_HOSTNAME = 253;

/** Source: https://man.openbsd.org/sshd.8#AUTHORIZED_KEYS_FILE_FORMAT; DSA is refused by sshd itself. */
const KEY_TYPES = new Set([
  'ssh-ed25519',
  'ssh-rsa',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'sk-ssh-ed25519@openssh.com',
  'sk-ecdsa-sha2-nistp256@openssh.com',
]);
const BASE64 = /^(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

const bad = (field: string, message: string): never => badInput(`cloudInit.${field}`, message);

/** What was asked for, checked. BAD_USER_INPUT names the field: "cloudInit.sshKeys". */
export function checkCloudInit(input: CloudInitInput): CloudInit {
  return {
    hostname: input.hostname == null ? null : checkHostname(input.hostname),
    sshKeys: checkKeys(input.sshKeys ?? []),
    userData: input.userData == null ? null : checkFile(input.userData, 'userData'),
    networkConfig: input.networkConfig == null ? null : checkFile(input.networkConfig, 'networkConfig'),
  };
}

function checkHostname(name: string): string {
  const isName = name.length <= MOST_HOSTNAME && name.split('.').every((label) => LABEL.test(label));
  return isName ? name : bad('hostname', 'A host name has labels of 1-63 of a-z, 0-9 and -, separated by dots, 253 characters in all.');
}

function checkKeys(keys: readonly string[]): string[] {
  if (keys.length > CLOUD_INIT_LIMITS.sshKeys) bad('sshKeys', `At most ${CLOUD_INIT_LIMITS.sshKeys} keys are given to a guest.`);
  return keys.map((key) => checkSshKey(key.trim(), 'cloudInit.sshKeys'));
}

/** One line of authorized_keys, without options: type, key, comment. BAD_USER_INPUT with the field. */
export function checkSshKey(key: string, field: string): string {
  const refuse = (message: string): never => badInput(field, message);
  if (key.length > CLOUD_INIT_LIMITS.sshKey) refuse(`An SSH key has at most ${CLOUD_INIT_LIMITS.sshKey} characters.`);
  if (/\bPRIVATE KEY\b/.test(key)) refuse('This is a private key: it belongs to nobody else. Give the public one.');
  // oxlint-disable-next-line no-control-regex -- they are what it is about
  if (!key.isWellFormed() || /[\u0000-\u001f\u007f\u0085\u2028\u2029\ufffe\uffff]/.test(key)) refuse('An SSH key is one line without control characters.');
  const [type = '', encoded = ''] = key.split(/ +/);
  if (!KEY_TYPES.has(type)) refuse(`An SSH key begins with its type: ${[...KEY_TYPES].join(', ')}.`);
  const blob = BASE64.test(encoded) ? Buffer.from(encoded, 'base64') : Buffer.alloc(0);
  // RFC 4253, 6.6: the key itself begins with its type, too, and its length
  const isKey = blob.length > type.length + 4 && blob.readUInt32BE(0) === type.length && blob.toString('latin1', 4, 4 + type.length) === type;
  return isKey ? key : refuse(`This is no public key of the type ${type}.`);
}

/** Text of any kind that a guest reads: cloud-init knows by its first line what it is. */
function checkFile(text: string, field: 'userData' | 'networkConfig'): string {
  if (Buffer.byteLength(text) > CLOUD_INIT_LIMITS[field]) bad(field, 'This has at most 64 KiB.');
  // oxlint-disable-next-line no-control-regex -- they are what it is about
  const isText = text.isWellFormed() && !/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/.test(text);
  return isText ? text : bad(field, 'This is text in UTF-8, without control characters but tabs and line ends.');
}
