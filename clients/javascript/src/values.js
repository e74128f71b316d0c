/** Comparison of JSON values. */

export const isObject = (value) => value && typeof value === 'object';

/** Whether two JSON values are equal, in whatever order their keys are. */
export function same(a, b) {
  if (!isObject(a) || !isObject(b)) return a === b;
  const keys = Object.keys(a);
  return (
    Array.isArray(a) === Array.isArray(b) &&
    keys.length === Object.keys(b).length &&
    keys.every((key) => key in b && same(a[key], b[key]))
  );
}

export const compare = (a, b) => (a > b) - (a < b);
