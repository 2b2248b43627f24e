import type { Measured, SampleFeed } from './feed.ts';
import { render, RENDERED_AT_ONCE, type Group, type GroupSubject, type Member, type Message } from './group.ts';
import { OrderedPipeline } from './pipeline.ts';
import type { SampleStreamOf } from './stream.ts';

const INTERVAL_MS = { min: 1_000, max: 60_000, default: 5_000 } as const;
/** Samples of different objects under way; one more is skipped, and its object's next one replaces it. */
const BACKLOG = 10_000;

export interface SampleGroupOptions<Sample extends Measured, Viewer, Context> {
  subject: GroupSubject<Viewer, Context>;
  stream: SampleStreamOf<Sample, Viewer>;
  samples: SampleFeed<Sample>;
  /** For cursors: whoever comes back with one is owed no sample, but what else has happened since. */
  hub: { readonly position: number };
}

/** A group fed by samples: at most one of each object in an interval, the latest; of what is known, one at once. */
export function createSampleGroup<Sample extends Measured, Viewer, Context>({ subject, stream, samples, hub }: SampleGroupOptions<Sample, Viewer, Context>): Group {
  const { args, viewer } = subject;
  const asked = args['intervalMs'];
  const intervalMs = Math.min(INTERVAL_MS.max, Math.max(INTERVAL_MS.min, typeof asked === 'number' ? asked : INTERVAL_MS.default));
  const ids = stream.ids(args);
  const members = new Set<Member>();
  /** Members still being given first values, with the objects of which they already have a newer one. */
  const greeted = new Map<Member, Set<string>>();
  /** Objects told about less than an interval ago, with what came since. */
  const resting = new Map<string, { timer: NodeJS.Timeout; next: Sample | null }>();

  const answer = (sample: Sample): Promise<Message> => render(subject, stream.value(sample), hub.position);
  const pipeline = new OrderedPipeline<Sample, Message>(
    answer,
    (message, sample) => {
      for (const member of members) {
        greeted.get(member)?.add(sample.id);
        member.send(message);
      }
    },
    { concurrency: RENDERED_AT_ONCE, capacity: BACKLOG },
  );

  function rest(id: string): void {
    const wake = () => {
      const next = resting.get(id)?.next;
      resting.delete(id);
      if (next) tell(next);
    };
    resting.set(id, { timer: setTimeout(wake, intervalMs), next: null });
  }

  function tell(sample: Sample): void {
    rest(sample.id);
    pipeline.push(sample);
  }

  const stop = samples.listen(stream.kind, ids, (sample) => {
    if (!stream.shows(sample, args, viewer)) return;
    const current = resting.get(sample.id);
    if (current === undefined) tell(sample);
    else current.next = sample;
  });

  return {
    async attach(member) {
      member.floor = hub.position;
      const known = new Set<string>();
      greeted.set(member, known);
      members.add(member);
      try {
        for (const sample of samples.latest(stream.kind, ids)) {
          if (member.ended) return;
          if (known.has(sample.id) || !stream.shows(sample, args, viewer)) continue;
          if (!resting.has(sample.id)) rest(sample.id);
          const message = await answer(sample);
          if (!known.has(sample.id)) await member.sendPatiently(message);
        }
      } finally {
        greeted.delete(member);
      }
    },
    detach(member) {
      members.delete(member);
      greeted.delete(member);
    },
    fail(error) {
      for (const member of [...members]) member.fail(error);
    },
    get settled() {
      return hub.position;
    },
    close() {
      stop();
      for (const { timer } of resting.values()) clearTimeout(timer);
      resting.clear();
    },
  };
}
