/** The error of a response that isn't a success; `body` is null unless it is JSON. */
export class ResponseError extends Error {
  constructor({ status, body }) {
    super(`${status} ${body?.message ?? 'no message'}`);
    this.status = status;
    this.body = body;
  }
}

/** Whether the same request can succeed later. */
export const isTemporary = (status) => [408, 425, 429].includes(status) || status > 501;

/** Whether the service itself responded that there is no such record; a gateway doesn't know. */
export const isMissing = ({ status, body }) => status === 404 && [110, 111].includes(body?.errno);
