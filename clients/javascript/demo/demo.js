/** The page: who uses it, on which device, and what the forms and buttons do. */

import { Session } from './session.js';
import { editElement, find, itemOf, renderList, summaryOf } from './view.js';

const parameters = new URLSearchParams(location.search);
const device = parameters.get('device') ?? '1';
const list = find('#list');
let session;

navigator.serviceWorker?.register('worker.js');

// Who uses it

function open(user) {
  find('#welcome').hidden = Boolean(user);
  find('#session').hidden = !user;
  if (!user) return;
  find('#user').textContent = user;
  session = new Session({ user, device, isOffline: find('#offline').checked });
  session.addEventListener('change', render);
  session.addEventListener('alert', ({ detail }) => notify(detail.message));
  render();
}

find('#sign-in').addEventListener('submit', (event) => {
  event.preventDefault();
  const user = event.target.elements.name.value.trim();
  if (!user) return;
  localStorage.setItem('user', user);
  open(user);
});

find('#sign-out').addEventListener('click', () => {
  session.close();
  localStorage.removeItem('user');
  list.replaceChildren();
  notify('');
  open(null);
});

// Display

let isRendering = false;
let isStale = false;

/** Show what there is, once more if that changes meanwhile. */
async function render() {
  isStale = true;
  if (isRendering) return;
  isRendering = true;
  try {
    while (isStale) {
      isStale = false;
      const shown = session;
      const content = await shown.read();
      if (shown === session && !find('#session').hidden) show(content);
    }
  } finally {
    isRendering = false;
  }
}

function show(content) {
  renderList(list, content.items);
  find('#empty').hidden = content.items.length > 0;
  const { state, text } = summaryOf(content);
  const status = find('#status');
  status.dataset.state = state;
  if (status.textContent !== text) status.textContent = text; // else it would be read out again
}

function notify(text) {
  const notice = find('#notice');
  notice.textContent = text;
  notice.hidden = !text;
}

/** Run an action, and show its error if it fails. */
async function attempt(action) {
  try {
    await action();
    notify('');
    return true;
  } catch (error) {
    notify(`The operation failed: ${error.message}.`);
    return false;
  }
}

// Actions

find('#add').addEventListener('submit', async (event) => {
  event.preventDefault();
  const form = event.target;
  const data = Object.fromEntries(new FormData(form));
  form.reset(); // at once: the next one may be typed
  form.elements.url.focus();
  if (await attempt(() => session.add(data))) return;
  for (const [field, value] of Object.entries(data)) form.elements[field].value = value;
});

function edit(element, { id, record }) {
  const form = editElement(record);
  Object.assign(form.dataset, { id, edited: '' });
  element.replaceWith(form);
  find('input', form).focus();
  const close = () => {
    delete form.dataset.edited;
    render();
  };
  find('[data-action="cancel"]', form).addEventListener('click', close);
  form.addEventListener('keydown', ({ key }) => key === 'Escape' && close());
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const changed = { ...record, ...Object.fromEntries(new FormData(event.target)) };
    // The record can have been sent, and changed by others, since the form was opened.
    attempt(() => session.save({ last_modified: 0, ...changed })).then(close);
  });
}

list.addEventListener('click', ({ target }) => {
  const { action } = target.dataset;
  const element = target.closest('li');
  if (!action || action === 'cancel') return;
  const item = itemOf(element);
  if (action === 'edit') edit(element, item);
  else attempt(() => (action === 'delete' ? session.delete(item.id) : session.resolve(item.change, action)));
});

find('#offline').addEventListener('change', ({ target }) => {
  sessionStorage.setItem('offline', target.checked ? 'yes' : '');
  if (session) session.isOffline = target.checked;
});

find('#offline').checked = Boolean(sessionStorage.getItem('offline'));
find('#device').textContent = `Device ${device}`;
find('#device').hidden = device === '1';
find('#other-device').href = `?device=${Number(device) + 1}`;
open(localStorage.getItem('user'));
