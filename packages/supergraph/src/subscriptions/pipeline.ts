/**
 * Runs jobs side by side and hands their results over in the order in which the jobs came. `run` must not reject.
 */
export class OrderedPipeline<Job, Result> {
  readonly #run: (job: Job) => Promise<Result>;
  readonly #handOver: (result: Result, job: Job) => void;
  readonly #limits: { concurrency: number; capacity: number };
  readonly #slots: { job: Job; result?: { value: Result } }[] = [];
  #started = 0;
  #running = 0;

  constructor(run: (job: Job) => Promise<Result>, handOver: (result: Result, job: Job) => void, limits: { concurrency: number; capacity: number }) {
    this.#run = run;
    this.#handOver = handOver;
    this.#limits = limits;
  }

  /** How many jobs have come whose results are not handed over yet. */
  get pending(): number {
    return this.#slots.length;
  }

  /** False, and nothing done, when the pipeline is full. */
  push(job: Job): boolean {
    if (this.#slots.length >= this.#limits.capacity) return false;
    this.#slots.push({ job });
    this.#start();
    return true;
  }

  #start(): void {
    while (this.#running < this.#limits.concurrency) {
      const slot = this.#slots[this.#started];
      if (slot === undefined) return;
      this.#started += 1;
      this.#running += 1;
      void this.#run(slot.job).then((value) => {
        this.#running -= 1;
        slot.result = { value };
        this.#flush();
        this.#start();
      });
    }
  }

  #flush(): void {
    for (let first = this.#slots[0]; first?.result !== undefined; first = this.#slots[0]) {
      this.#slots.shift();
      this.#started -= 1;
      this.#handOver(first.result.value, first.job);
    }
  }
}
