/** The store that clients use by default. */

/** The first three parts of a key, which it shares with the other items of a record; empty if it has fewer. */
const groupOf = (key) => /^(?:[^|]*\|){3}|/.exec(key)[0];

/** A store that keeps items until the page is closed. */
export class MemoryStore {
  _groups = new Map(); // of items as JSON, by their keys

  async getAll(prefixes) {
    const found = [];
    for (const prefix of prefixes) {
      const group = groupOf(prefix); // most prefixes are of one record
      for (const items of group ? [this._groups.get(group) ?? []] : this._groups.values()) {
        for (const [key, value] of items) if (key.startsWith(prefix)) found.push([key, JSON.parse(value)]);
      }
    }
    return found;
  }

  async write(changes) {
    const items = (key) => this._groups.get(groupOf(key)) ?? new Map();
    if (!changes.every(([key, value]) => value !== undefined || items(key).has(key))) return false;
    for (const [key, value] of changes) {
      const group = items(key);
      this._groups.set(groupOf(key), group);
      if (value !== undefined) group.set(key, JSON.stringify(value));
      else group.delete(key);
      if (!group.size) this._groups.delete(groupOf(key));
    }
    return true;
  }
}
