import { useGraphiQL, type GraphiQLPlugin } from '@graphiql/react';
import { useEffect, useState } from 'react';
import { askPlan, type PlanAnswer, type PlanStep } from './graph.ts';
import { currentSession } from './session.ts';

const GROUPS = { sequence: 'One after another', parallel: 'At the same time', subscribe: 'For each event' } as const;

function Step({ step }: { step: PlanStep }) {
  if (step.does === 'fetch') {
    return (
      <details>
        <summary>
          Fetch from <strong>{step.subgraph}</strong>
          {step.path !== null && (
            <>
              , for <code>{step.path}</code>
            </>
          )}
        </summary>
        <pre>{step.operation}</pre>
      </details>
    );
  }
  return (
    <>
      {'variable' in step ? `${step.does === 'if' ? 'If' : 'Unless'} $${step.variable}` : GROUPS[step.does]}
      <ol className={step.does}>
        {step.steps.map((each, index) => (
          // oxlint-disable-next-line react/no-array-index-key -- a plan comes as a whole: its steps never move
          <li key={index}>
            <Step step={each} />
          </li>
        ))}
      </ol>
    </>
  );
}

/** How the operation in the editor would be run. Asked for when the pane opens, and again on demand: it is not run for that. */
function PlanViewer() {
  const editor = useGraphiQL((state) => state.queryEditor);
  const operationName = useGraphiQL((state) => state.operationName);
  const [answer, setAnswer] = useState<PlanAnswer | null>(null);
  const show = () => void askPlan({ query: editor?.getValue() ?? '', operationName }, currentSession()?.accessToken).then(setAnswer);
  useEffect(show, [editor, operationName]);
  return (
    <section className="query-plan">
      <h2>Query plan</h2>
      <button type="button" className="graphiql-un-styled" onClick={show}>
        Plan {operationName ?? 'it'} again
      </button>
      {answer !== null && 'errors' in answer && answer.errors.map(({ message }) => <p key={message}>{message}</p>)}
      {answer !== null && 'plan' in answer && (answer.plan === null ? <p>No subgraph is asked: the gateway knows the answer.</p> : <Step step={answer.plan} />)}
    </section>
  );
}

const Icon = () => (
  <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.5" aria-hidden="true">
    <circle cx="12" cy="4" r="2.25" />
    <circle cx="5" cy="20" r="2.25" />
    <circle cx="19" cy="20" r="2.25" />
    <path d="M12 6.5v5.5M5 17.5V12h14v5.5" />
  </svg>
);

export const PLAN_PLUGIN: GraphiQLPlugin = { title: 'Query plan', icon: Icon, content: PlanViewer };
