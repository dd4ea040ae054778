/** A wish that is not granted, in words for the one who had it. Bull Board shows the message and the status. */
export class Refused extends Error {
  override readonly name = "Refused";
  readonly statusCode: number;

  constructor(statusCode: number, message: string) {
    super(message);
    this.statusCode = statusCode;
  }
}

/** What a change that the store refused means to the one who asked for it. */
export function refusedChange(reason: "not-found" | "state" | "changed" | "unreadable"): Refused {
  switch (reason) {
    case "not-found":
      return new Refused(404, "There is no such dead letter (any more)");
    case "state":
      return new Refused(409, "The dead letter is in another state by now. Look again");
    case "changed":
      return new Refused(409, "Somebody has changed the dead letter since you saw it. Look again");
    case "unreadable":
      return new Refused(409, "What is stored of its job cannot be read. Park it, or delete it");
  }
}
