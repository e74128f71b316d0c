/** An answer that is no success. */
export class ResponseError extends Error {
  status;
  body;

  constructor({ status, body }) {
    super(`${status} ${body?.message ?? 'without a message'}`);
    Object.assign(this, { status, body });
  }
}
