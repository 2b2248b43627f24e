import { DomainError } from '@novacron/core';
import { inTransaction } from '@novacron/database';
import type { Logger } from 'pino';
import type { Admission, Owed, SignedIn } from '../admission.ts';
import type { Mailbox } from '../mail/mailbox.ts';
import type { NewMail } from '../mail/mails.ts';
import type { Passwords } from '../passwords.ts';
import { parseEmail, parseName, parsePassword } from '../rules.ts';
import { readSetting } from '../settings/settings.ts';
import type { Database } from '../store/database.ts';
import { issueMailToken } from '../store/mail-tokens.ts';
import { mayMail } from '../store/mails.ts';
import { findClaimant, insertRegistration } from '../store/registrations.ts';
import type { Origin } from '../store/sessions.ts';
import { VERIFICATION_MS } from './verification.ts';

export interface Registration {
  /**
   * Makes an account that waits for its address, whether or not somebody has that already: only a mail tells. Errors: FORBIDDEN
   * (registration is closed), BAD_USER_INPUT, RATE_LIMITED.
   */
  register(input: { email: string; password: string; name: string }, origin: Origin, requestId: string): Promise<SignedIn | Owed>;
}

interface RegistrationOptions {
  db: Database;
  passwords: Passwords;
  mailbox: Mailbox;
  admission: Admission;
  now: () => Date;
  logger: Logger;
}

export function createRegistration({ db, passwords, mailbox, admission, now, logger }: RegistrationOptions): Registration {
  return {
    async register(input, origin, requestId) {
      if (!(await readSetting(db, 'registration.open'))) throw new DomainError('FORBIDDEN', 'Nobody registers here: ask an administrator for an account.');
      const [email, name] = [parseEmail(input.email), parseName(input.name)];
      const password = parsePassword(input.password, [email, name]);
      const passwordHash = await passwords.hash(password);
      const at = now();
      const user = await inTransaction(db, async (tx) => {
        const claimant = await findClaimant(tx, email);
        const registered = await insertRegistration(tx, { email, name, passwordHash, at });
        // made in any case, so that the time tells nothing; without its mail nobody ever knows it
        const token = await issueMailToken(tx, { userId: registered.id, email, purpose: 'verify_email', lifetimeMs: VERIFICATION_MS }, at);
        const mail: NewMail =
          claimant === null
            ? { kind: 'verify_email', recipient: email, userId: registered.id, content: { name, token } }
            : { kind: 'already_registered', recipient: email, userId: claimant.id, content: { name: claimant.name, address: origin.address } };
        if (await mayMail(tx, mail, at)) await mailbox.post(tx, mail, at);
        return registered;
      });
      logger.info({ requestId, userId: user.id, address: origin.address }, 'registered');
      return admission.admit({ user, emailClaimed: false, code: null }, origin, requestId);
    },
  };
}
