/** Comparison of JSON values. */

export const isObject = (value) => value && typeof value === 'object';

/** The value of a field; undefined for what an object only inherits, such as `constructor`, and in null. */
export const own = (object, field) => (object && Object.hasOwn(object, field) ? object[field] : undefined);

/** Whether two JSON values are equal, in whatever order their keys are. */
export function same(a, b) {
  if (!isObject(a) || !isObject(b)) return a === b;
  const keys = Object.keys(a);
  return (
    Array.isArray(a) === Array.isArray(b) &&
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && same(a[key], b[key]))
  );
}

export const compare = (a, b) => (a > b) - (a < b);

/** Throw a TypeError if JSON changes a value in an object, such as NaN, a Map, or an integer beyond 2^53. */
export function checkJSON(object) {
  JSON.stringify(object, function (key, converted) {
    const value = this[key];
    const isKept =
      typeof value === 'number'
        ? Math.abs(value) < 2 ** 53
        : value?.toJSON || /(Obj|Arr|Str|Boo|Nul|Und)/.test({}.toString.call(value));
    if (!isKept) throw new TypeError(`Not JSON: ${key}`);
    return converted;
  });
}
