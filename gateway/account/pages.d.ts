/** One page, by the last part of its path. */
export interface AccountPage {
  title: string;
  lead: string;
  button: string;
  /** Variables of the document that the page asks for. */
  asks: ('name' | 'password')[];
  document: string;
  done: string;
}

export declare const PAGES: Record<'verify-email' | 'change-email' | 'reset-password' | 'accept-invitation', AccountPage>;
export declare const LOGOUT: string;
