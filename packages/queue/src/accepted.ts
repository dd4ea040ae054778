/**
 * What this process has let in and a reading of Redis may not have seen: a reading serves for a while, and hundreds of
 * jobs can be accepted meanwhile. Every process counts its own.
 */

/** Of one job, or of several together. */
export interface Room {
  /** What the job takes in Redis while it waits, bytes. */
  readonly bytes: number;
  /** What its answer may take, bytes. */
  readonly answerBytes: number;
}

interface Sum extends Room {
  readonly jobs: number;
}

const NOTHING: Sum = { jobs: 0, bytes: 0, answerBytes: 0 };

export class Accepted {
  /** Of all jobs that were ever let in, and of those of them that were written: only differences mean something. */
  #accepted = NOTHING;
  #written = NOTHING;

  /** A reading begins: it sees what has been written so far. */
  begin(): Sum {
    return this.#written;
  }

  /** Lets a job in. Call what is returned once it is written, or will not be. */
  add(room: Room): () => void {
    this.#accepted = sum(this.#accepted, room, 1);
    let told = false;
    return () => {
      if (!told) this.#written = sum(this.#written, room, 1);
      told = true;
    };
  }

  /** What has been let in and may not have been seen by a reading that began so. */
  unseenBy(began: Sum): Sum {
    return sum(this.#accepted, began, -1 * began.jobs, -1);
  }
}

function sum(a: Sum, b: Room, jobs: number, sign: 1 | -1 = 1): Sum {
  return {
    jobs: a.jobs + jobs,
    bytes: a.bytes + sign * b.bytes,
    answerBytes: a.answerBytes + sign * b.answerBytes,
  };
}
