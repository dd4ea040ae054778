/** A job as the API shows it. Times are ISO 8601. */
import type { JobView } from "@sluice/drain";

export function present(view: JobView): object {
  switch (view.state) {
    case "waiting":
    case "delayed":
    case "active": {
      const { id, state, attempts, acceptedAt, deadlineAt } = view;
      return { id, state, attempts, acceptedAt: iso(acceptedAt), deadlineAt: iso(deadlineAt) };
    }
    case "completed":
    case "filtered": {
      const { id, state, outcome } = view;
      const { acceptedAt, endedAt, attempts, answer } = outcome;
      return { id, state, attempts, acceptedAt: iso(acceptedAt), endedAt: iso(endedAt), answer };
    }
    case "cancelled":
      return view;
    case "dead": {
      const { id, state, failure } = view;
      if (failure === undefined) return { id, state };
      return { id, state, failure: { errorClass: failure.errorClass, message: failure.message } };
    }
  }
}

export function iso(ms: number): string {
  return new Date(ms).toISOString();
}
