/** Every mail that is sent: its kind, and what its template is told. Times are moments, to be written for people. */
export interface Mails {
  /** Somebody registered with this address: the token shows that it is theirs. */
  verify_email: { name: string; token: string };
  /** The same, but the address has its account already: its owner is told, and nobody else. */
  already_registered: { name: string; address: string | null };
  reset_password: { name: string; token: string };
  invitation: { name: string; token: string; tenant: string; invitedBy: string };
  /** To the new address: the token shows that who asked reads mail there. */
  change_email: { name: string; token: string };
  /** To the old address. `address`: from where it was changed. */
  email_changed: { name: string; email: string; address: string | null; at: Date };
  new_device: { name: string; address: string | null; device: string | null; at: Date };
  password_changed: { name: string; address: string | null; at: Date };
  second_factor_changed: { name: string; change: 'enabled' | 'disabled' | 'codes_renewed' | 'reset_by_administrator'; address: string | null; at: Date };
  backup_code_used: { name: string; left: number; address: string | null; device: string | null; at: Date };
  /** To whoever made it. `called`, `prefix`: by which it is found. */
  api_token_created: { name: string; called: string; prefix: string; address: string | null; at: Date };
  quota_near_end: { name: string; tenant: string; resource: string; used: string; limit: string };
}

export type MailKind = keyof Mails;

export type NewMail = {
  [Kind in MailKind]: { kind: Kind; recipient: string; userId: string | null; tenantId?: string; content: Mails[Kind] };
}[MailKind];
