import { explorerPlugin } from '@graphiql/plugin-explorer';
import { GraphiQL, HISTORY_PLUGIN } from 'graphiql';
import { useSyncExternalStore } from 'react';
import { EXAMPLES } from './examples.ts';
import { createFetcher } from './fetcher.ts';
import { PLAN_PLUGIN } from './plan-viewer.tsx';
import { currentSession, onSessionChange, signOut } from './session.ts';

/** They do the same. Another fetcher makes GraphiQL read the schema again: what one may see of it can depend on who asks. */
const FETCHERS = { signedIn: createFetcher(), signedOut: createFetcher() };
const PLUGINS = [HISTORY_PLUGIN, explorerPlugin()];
/** The gateway shows plans to platform administrators only. */
const ADMIN_PLUGINS = [...PLUGINS, PLAN_PLUGIN];
/** What is typed here can be a password: unlike the session, it ends with the browser tab. */
const STORAGE = sessionStorage;
/** On a first visit GraphiQL shows the first tab's query, but not its variables. */
const FIRST_VARIABLES = STORAGE.getItem('graphiql:tabState') === null ? EXAMPLES[0]?.variables : null;

export function Playground() {
  const session = useSyncExternalStore(onSessionChange, currentSession);
  const signedIn = session !== null;
  return (
    <>
      <header className="session-bar">
        <img src={`${import.meta.env.BASE_URL}favicon.svg`} alt="" />
        <strong>NovaCron</strong>
        {signedIn ? (
          <>
            <span title={session.user?.email}>{session.user ? `${session.user.name} · ${session.user.email}` : 'Signed in'}</span>
            <button type="button" onClick={() => void signOut()}>
              Sign out
            </button>
          </>
        ) : (
          <span>Not signed in: run Login in the first tab.</span>
        )}
      </header>
      <GraphiQL
        fetcher={signedIn ? FETCHERS.signedIn : FETCHERS.signedOut}
        plugins={session?.user?.isPlatformAdmin ? ADMIN_PLUGINS : PLUGINS}
        defaultTabs={EXAMPLES}
        defaultEditorToolsVisibility="variables"
        inputValueDeprecation
        schemaDescription
        storage={STORAGE}
        {...(FIRST_VARIABLES && { initialVariables: FIRST_VARIABLES })}
      >
        <GraphiQL.Logo>
          <></>
        </GraphiQL.Logo>
      </GraphiQL>
    </>
  );
}
