import { LOGOUT, PAGES } from './pages.js';

const element = (id) => document.getElementById(id);
const page = PAGES[location.pathname.split('/').at(-1)];
const token = new URLSearchParams(location.hash.slice(1)).get('token');
// out of the address, so that no history, bookmark or shared screen keeps it
history.replaceState(null, '', location.pathname);
// another link of the same kind, opened here, changes nothing but the fragment
addEventListener('hashchange', () => location.reload());

async function ask(query, variables, accessToken) {
  const authorization = accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` };
  const response = await fetch(new URL('../graphql', location.href), {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json', ...authorization },
    body: JSON.stringify({ query, variables }),
  });
  return response.json();
}

function say(text, isWrong) {
  element('outcome').textContent = text;
  element('outcome').className = isWrong ? 'wrong' : '';
}

async function send(event) {
  event.preventDefault();
  element('button').disabled = true;
  say('', false);
  try {
    const typed = page.asks.map((name) => [name, element(name).value || null]);
    const { data, errors } = await ask(page.document, { token, ...Object.fromEntries(typed) });
    if (errors?.length > 0) return say(errors[0].message, true);
    const [payload] = Object.values(data);
    if (payload.accessToken) await ask(LOGOUT, {}, payload.accessToken); // a session that nobody would use
    element('form').remove();
    say(page.done, false);
  } catch {
    say('NovaCron does not answer: try again in a moment.', true);
  } finally {
    element('button')?.removeAttribute('disabled');
  }
}

element('title').textContent = page.title;
document.title = `${page.title} - NovaCron`;
if (token === null) {
  element('lead').textContent = 'This link is incomplete: open it as it stands in the mail.';
} else {
  element('lead').textContent = page.lead;
  for (const name of page.asks) element(`${name}-field`).hidden = false;
  if (page.asks.includes('password')) element('password').required = true;
  element('button').textContent = page.button;
  element('form').hidden = false;
  element('form').addEventListener('submit', send);
}
