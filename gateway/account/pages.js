/**
 * What the links in mails lead to: by the last part of the path. `token` is the link's; where `asks` says so, the page asks for
 * the others. Nothing that the answer holds is kept: whoever has chosen a password signs in with it where it wants to.
 */
export const PAGES = {
  'verify-email': {
    title: 'Confirm your e-mail address',
    lead: 'Somebody, probably you, has registered with this address.',
    button: 'Confirm the address',
    asks: [],
    document: 'mutation ($token: String!) { verifyEmail(token: $token) }',
    done: 'The address is yours. You can close this page.',
  },
  'change-email': {
    title: 'Confirm your new e-mail address',
    lead: 'Your account gets this address from now on.',
    button: 'Confirm the address',
    asks: [],
    document: 'mutation ($token: String!) { confirmEmailChange(token: $token) }',
    done: 'Your account has its new address. You can close this page.',
  },
  'reset-password': {
    title: 'Choose a new password',
    lead: 'It has 8 to 256 characters. Wherever your account is signed in, it will have to sign in again.',
    button: 'Set the password',
    asks: ['password'],
    document: 'mutation ($token: String!, $password: String!) { resetPassword(token: $token, newPassword: $password) { accessToken } }',
    done: 'Your password is set. Sign in with it.',
  },
  'accept-invitation': {
    title: 'Accept the invitation',
    lead: 'Choose a password of 8 to 256 characters; change your name if it is another one than you were invited by.',
    button: 'Accept',
    asks: ['name', 'password'],
    document: 'mutation ($token: String!, $password: String!, $name: String) { acceptInvitation(token: $token, password: $password, name: $name) { accessToken } }',
    done: 'Welcome. Sign in with your address and your password.',
  },
};

export const LOGOUT = 'mutation { logout }';
