/** Dispatch an event with a detail. */
export const emit = (target, type, detail) => target.dispatchEvent(new CustomEvent(type, { detail }));
