import { renderLetter, unlinked, type Letter, type RenderedLetter } from './letter.ts';
import type { MailKind, Mails } from './mails.ts';

/** What a template is told, as it lies in the row: moments are text there. */
type Stored<Content> = { [Key in keyof Content]: Content[Key] extends Date ? string : Content[Key] };

/** Where the pages are that a mailed token is taken to. It stands in the fragment, which no server and no Referer ever sees. */
export const PAGES = { verify_email: 'account/verify-email', reset_password: 'account/reset-password', invitation: 'account/accept-invitation', change_email: 'account/change-email' } as const;

const MOMENT = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' });
const moment = (at: string): string => `${MOMENT.format(new Date(at))} UTC`;

const hello = (name: string): string => `Hello ${unlinked(name)},`;
const optional = (text: string | null): string | null => (text === null ? null : unlinked(text));
const from = ({ address, device, at }: { address: string | null; device?: string | null; at?: string }): NonNullable<Letter['facts']> => [
  ['When', at === undefined ? null : moment(at)],
  ['Address', address],
  ['Device', optional(device ?? null)],
];
const NOT_YOU = 'If this was not you, change your password now, end the other sessions of your account, and tell your administrator.';
const NOT_ASKED = 'If you did not ask for this, you need not do anything.';

const CHANGES: Record<Mails['second_factor_changed']['change'], { subject: string; said: string }> = {
  enabled: { subject: 'Your account has a second factor now', said: 'A second factor was set up for your account: signing in takes a code of it from now on.' },
  disabled: { subject: 'Your account has no second factor any more', said: 'The second factor of your account was removed: your password alone signs in.' },
  codes_renewed: { subject: 'Your backup codes were replaced', said: 'New backup codes were made for your account. The ones before are no longer taken.' },
  reset_by_administrator: {
    subject: 'Your second factor was reset',
    said: 'An administrator has removed the second factor of your account and ended its sessions. Set up a new one when you sign in.',
  },
};

/** What stands in the mails. Where nobody has shown yet that the address is theirs, nothing of what the sender typed does. */
const TEMPLATES: { [Kind in MailKind]: (content: Stored<Mails[Kind]>, link: (page: string, token: string) => string) => Letter } = {
  verify_email: ({ token }, link) => ({
    subject: 'Confirm your e-mail address',
    paragraphs: ['Hello,', 'somebody, probably you, has registered at NovaCron with this address. Confirm that it is yours:'],
    link: { label: 'Confirm the address', url: link(PAGES.verify_email, token) },
    after: [NOT_ASKED],
  }),
  already_registered: ({ name, address }) => ({
    subject: 'You have an account already',
    paragraphs: [
      hello(name),
      'somebody has just tried to register at NovaCron with your address, which belongs to your account already. If this was you, sign in with it; if you have forgotten the password, ask for a new one.',
    ],
    facts: from({ address }),
    after: ['Whoever it was has learnt nothing of your account. ' + NOT_ASKED],
  }),
  reset_password: ({ name, token }, link) => ({
    subject: 'Choose a new password',
    paragraphs: [hello(name), 'you, or somebody else, asked for a new password for your account. This link works once:'],
    link: { label: 'Choose a new password', url: link(PAGES.reset_password, token) },
    after: [NOT_ASKED],
  }),
  invitation: ({ name, token, tenant, invitedBy }, link) => ({
    subject: 'You are invited to NovaCron',
    paragraphs: [hello(name), `${unlinked(invitedBy)} invites you to the tenant ${unlinked(tenant)}. Accept, and choose a password, or sign in if you have an account already:`],
    link: { label: 'Accept the invitation', url: link(PAGES.invitation, token) },
    after: ['If you do not know what this is about, you need not do anything.'],
  }),
  change_email: ({ token }, link) => ({
    subject: 'Confirm your new e-mail address',
    paragraphs: ['Hello,', 'somebody, probably you, wants to use this address for an account at NovaCron. Confirm that it is yours:'],
    link: { label: 'Confirm the address', url: link(PAGES.change_email, token) },
    after: [NOT_ASKED],
  }),
  email_changed: ({ name, email, ...origin }) => ({
    subject: 'The e-mail address of your account was changed',
    paragraphs: [hello(name), `your account has the address ${unlinked(email)} from now on, and this one no longer.`],
    facts: from(origin),
    after: ['If this was not you, tell your administrator at once.'],
  }),
  new_device: ({ name, ...origin }) => ({
    subject: 'A new device signed in to your account',
    paragraphs: [hello(name), 'your account was signed in to from a device that it did not know:'],
    facts: from(origin),
    after: [NOT_YOU],
  }),
  password_changed: ({ name, ...origin }) => ({
    subject: 'Your password was changed',
    paragraphs: [hello(name), 'the password of your account was changed.'],
    facts: from(origin),
    after: ['If this was not you, ask for a new password now, and tell your administrator.'],
  }),
  second_factor_changed: ({ name, change, ...origin }) => ({
    subject: CHANGES[change].subject,
    paragraphs: [hello(name), CHANGES[change].said],
    facts: from(origin),
    after: [NOT_YOU],
  }),
  backup_code_used: ({ name, left, ...origin }) => ({
    subject: 'A backup code was used',
    paragraphs: [hello(name), `a backup code of your account was used to sign in. ${left === 0 ? 'None is left: make new ones.' : left === 1 ? 'One is left: make new ones.' : `${left} are left.`}`],
    facts: from(origin),
    after: [NOT_YOU],
  }),
  api_token_created: ({ name, called, prefix, ...origin }) => ({
    subject: 'An API token was made',
    paragraphs: [hello(name), 'an API token was made from your account. A program that has its secret may do in your name, or in that of a service account, what the token was made for:'],
    facts: [['Name', unlinked(called)], ['Begins with', prefix], ...from(origin)],
    after: ['If this was not you, revoke it now, change your password, end the other sessions of your account, and tell your administrator.'],
  }),
  quota_near_end: ({ name, tenant, resource, used, limit }) => ({
    subject: `The quota of ${unlinked(tenant)} is nearly used up`,
    paragraphs: [hello(name), `the tenant ${unlinked(tenant)} has used more than nine tenths of what it may use.`],
    facts: [['Resource', resource], ['Used', used], ['Limit', limit]],
  }),
};

const isKind = (kind: string): kind is MailKind => Object.hasOwn(TEMPLATES, kind);

/** Writes the mail. Throws for a kind that this version does not know. */
export function writeMail(kind: string, content: unknown, publicUrl: string): RenderedLetter {
  if (!isKind(kind)) throw new Error(`This version of NovaCron knows no mail "${kind}".`);
  const template = TEMPLATES[kind] as (content: never, link: (page: string, token: string) => string) => Letter; // content: sealed by post, for this kind
  const base = publicUrl.endsWith('/') ? publicUrl : `${publicUrl}/`;
  return renderLetter(template(content as never, (page, token) => `${new URL(page, base).href}#token=${encodeURIComponent(token)}`));
}
