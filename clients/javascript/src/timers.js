/** Wait for some milliseconds, or until a signal is aborted. */
export const sleep = (time, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, signal.aborted ? 0 : time);
    signal.addEventListener('abort', () => resolve(clearTimeout(timer)));
  });
