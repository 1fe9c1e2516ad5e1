/** An answer of the service that is an error, as AWS JSON 1.1 spells it: `__type` and `message` with an HTTP status. */
export class AwsError extends Error {
  override readonly name = 'AwsError';
  readonly type: string;
  readonly status: number;

  constructor(type: string, message: string, status = 400) {
    super(message);
    this.type = type;
    this.status = status;
  }

  /** EMR's older errors are modelled with `Message`, and clients read either. */
  get body(): Readonly<Record<string, string>> {
    return { __type: this.type, message: this.message, Message: this.message };
  }
}

/** What the newer operations (of "clusters") say. */
export function invalidRequest(message: string): AwsError {
  return new AwsError('InvalidRequestException', message);
}

/** What the older operations (of "job flows") say, and what is said of members that break a constraint. */
export function validation(message: string): AwsError {
  return new AwsError('ValidationException', message);
}

export function throttled(): AwsError {
  return new AwsError('ThrottlingException', 'Rate exceeded');
}
