/** A job as the API shows it. Times are ISO 8601. */
import type { JobView } from "@sluice/drain";

export function present(view: JobView): object {
  const { id } = view;
  return { id, ...stateOf(view), ...detailsOf(view) };
}

/** Where a job is, and as which replay. */
export function stateOf({ state, replay }: JobView): object {
  return { state, ...(replay === undefined ? {} : { replay }) };
}

function detailsOf(view: JobView): object {
  switch (view.state) {
    case "waiting":
    case "delayed":
    case "active": {
      const { attempts, acceptedAt, deadlineAt } = view;
      return { attempts, acceptedAt: iso(acceptedAt), deadlineAt: iso(deadlineAt) };
    }
    case "completed":
    case "filtered": {
      const { acceptedAt, endedAt, attempts, answer } = view.outcome;
      return { attempts, acceptedAt: iso(acceptedAt), endedAt: iso(endedAt), answer };
    }
    case "cancelled":
      return {};
    case "dead": {
      const { failure } = view;
      if (failure === undefined) return {};
      return { failure: { errorClass: failure.errorClass, message: failure.message } };
    }
  }
}

export function iso(ms: number): string {
  return new Date(ms).toISOString();
}
