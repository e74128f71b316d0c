/** View of a session. */

const LABELS = { synced: 'Synced', pending: 'Waiting', conflict: 'Conflict', refused: 'Rejected' };

export const find = (selector, parent = document) => parent.querySelector(selector);

const hostOf = (url) => (URL.canParse(url) ? new URL(url).hostname.replace(/^www\./, '') : '');
const titleOf = ({ title, url }) => title || hostOf(url) || url;
const plural = (count, noun) => `${count} ${noun}${count === 1 ? '' : 's'}`;

const instance = (template) => find(`#${template}`).content.firstElementChild.cloneNode(true);

function labelled(element, state) {
  element.dataset.state = state;
  find('.state', element).textContent = LABELS[state];
  return element;
}

/** Describe a button for screen readers. */
const name = (button, title) => button.setAttribute('aria-label', `${button.textContent}: ${title}`);

const reasonOf = ({ details, message }) =>
  details?.existing ? 'This address is already in the list.' : `The server rejected the change: ${message}`;

/** A record, in its place in the list. */
function recordElement({ record, state, refusal }) {
  const element = labelled(instance('record'), state);
  const title = titleOf(record);
  const link = find('.title', element);
  link.textContent = title;
  if (/^https?:/i.test(record.url)) link.href = record.url;
  find('.url', element).textContent = record.url;
  find('.initial', element).textContent = title.slice(0, 1).toUpperCase();
  for (const button of element.querySelectorAll('button')) name(button, title);
  const problem = find('.problem', element);
  problem.hidden = state !== 'refused';
  if (!problem.hidden) find('span', problem).textContent = reasonOf(refusal);
  return element;
}

function showVersion(element, version, other) {
  const fields = version ? { title: titleOf(version), url: version.url } : { title: 'Deleted', url: '' };
  for (const [field, text] of Object.entries(fields)) {
    const part = find(`.${field}`, element);
    part.textContent = text;
    part.classList.toggle('differs', Boolean(version && other) && version[field] !== other[field]);
  }
  name(find('button', element), fields.title);
}

/** Both versions of a record, to choose from. */
function conflictElement({ change: { local, server }, state }) {
  const element = labelled(instance('conflict'), state);
  const [here, there] = element.querySelectorAll('article');
  showVersion(here, local, server);
  showVersion(there, server, local);
  return element;
}

export function editElement({ url, title }) {
  const element = instance('edit');
  const { elements } = find('form', element);
  elements.url.value = url;
  elements.title.value = title;
  return element;
}

/** Put an element in the place of another, whose focus it takes over. */
function replace(old, element) {
  const { activeElement } = document;
  const action = old.contains(activeElement) && (activeElement.dataset.action ?? 'edit');
  old.replaceWith(element);
  if (action) (find(`[data-action="${action}"]`, element) ?? find('button', element)).focus();
}

/** Remove an element; its focus goes to its neighbor. */
function remove(element) {
  const neighbour = element.nextElementSibling ?? element.previousElementSibling;
  const hadFocus = element.contains(document.activeElement);
  element.remove();
  if (hadFocus) find('button', neighbour ?? find('#add')).focus();
}

const shown = new WeakMap();

/** The item that an element shows. */
export const itemOf = (element) => shown.get(element);

const isShown = (item, element) => JSON.stringify(item) === JSON.stringify(itemOf(element));

/** Show the items in a list, whose elements stay if they show the same, or are edited. */
export function renderList(list, items) {
  const old = new Map([...list.children].map((element) => [element.dataset.id, element]));
  items.forEach((item, index) => {
    let element = old.get(item.id);
    old.delete(item.id);
    if (!element || (!isShown(item, element) && !('edited' in element.dataset))) {
      const made = item.state === 'conflict' ? conflictElement(item) : recordElement(item);
      made.dataset.id = item.id;
      shown.set(made, item);
      if (element) replace(element, made);
      element = made;
    }
    if (list.children[index] !== element) {
      const focused = element.contains(document.activeElement) && document.activeElement;
      list.insertBefore(element, list.children[index] ?? null);
      if (focused) focused.focus();
    }
  });
  for (const element of old.values()) remove(element);
}

/** Return the overall state and its description. */
export function summaryOf({ items, waiting, isOffline, failure, verified }) {
  const count = (state) => items.filter((item) => item.state === state).length;
  const sentences = [];
  if (isOffline) sentences.push('Offline.');
  else if (failure) sentences.push(failureOf(failure));
  if (count('conflict')) sentences.push(`${plural(count('conflict'), 'conflict')} to resolve.`);
  if (count('refused')) sentences.push(`${plural(count('refused'), 'change')} rejected.`);
  const unsent = waiting - count('conflict') - count('refused');
  if (unsent) sentences.push(`${plural(unsent, 'change')} to send.`);
  if (!sentences.length) sentences.push(`Everything is synchronized${verified ? ' and verified' : ''}.`);
  const state =
    ['conflict', 'refused'].find(count) ?? (isOffline || failure ? 'offline' : unsent ? 'pending' : 'synced');
  return { state, text: sentences.join(' ') };
}

function failureOf({ status, body }) {
  if (status === 410) return 'The service has been shut down. You can still read your bookmarks.';
  if (status === 401) return 'The server rejected the name.';
  if (status) return `Server error: ${body?.message ?? status}.`;
  return 'The server is unreachable.';
}
