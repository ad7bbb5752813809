// Makes the pages live. Without it they are complete: a reload shows what is new.
'use strict';

(() => {
  // Reading is never more frequent than this, in milliseconds.
  const LEAST_PAUSE = 2000;
  // After a failure the pause doubles up to this.
  const LONGEST_PAUSE = 60000;

  const regions = () => [...document.querySelectorAll('[data-live]')];

  // A region in which somebody types or has chosen something stays as it is.
  const isInUse = (region) => {
    const active = document.activeElement;
    if (region.contains(active) && active.matches('input, select, textarea')) return true;
    const fields = region.querySelectorAll('input, textarea');
    return [...fields].some((field) =>
      field.type === 'checkbox' || field.type === 'radio' ? field.checked !== field.defaultChecked : field.value !== field.defaultValue);
  };

  // Finds the element that had the focus, in its replacement.
  const refocus = (id, index) => {
    if (index < 0) return;
    const region = document.getElementById(id);
    const all = region ? region.querySelectorAll('a, button, summary, [tabindex]') : [];
    if (all[index]) all[index].focus({ preventScroll: true });
  };

  const hint = (text) => {
    for (const place of document.querySelectorAll('[data-live-hint]')) place.textContent = text;
  };

  let isReading = false;
  // Reads this page again and puts its regions in the place of those that changed. Says whether that worked.
  const refresh = async () => {
    if (isReading) return true;
    isReading = true;
    try {
      const answer = await fetch(location.href, { headers: { accept: 'text/html' } });
      if (!answer.ok || answer.redirected) return false;
      const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
      for (const region of regions()) {
        const found = region.id && fresh.getElementById(region.id);
        if (!found || found.outerHTML === region.dataset.shown || isInUse(region)) continue;
        const focusable = [...region.querySelectorAll('a, button, summary, [tabindex]')];
        const index = focusable.indexOf(document.activeElement);
        const shown = found.outerHTML;
        const put = document.importNode(found, true);
        for (const part of region.querySelectorAll('details[id][open]')) {
          const same = put.querySelector(`#${CSS.escape(part.id)}`);
          if (same) same.open = true;
        }
        region.replaceWith(put);
        put.dataset.shown = shown;
        comforts(put);
        refocus(put.id, index);
      }
      if (!fresh.querySelector('[data-live]') && regions().length > 0) location.reload();
      return true;
    } catch {
      return false;
    } finally {
      isReading = false;
    }
  };

  // Polls for regions that say how often, in seconds, while somebody looks.
  const poll = () => {
    const seconds = regions().map((region) => Number(region.dataset.live)).filter((each) => each > 0);
    if (seconds.length === 0) return;
    const pause = Math.max(LEAST_PAUSE, Math.min(...seconds) * 1000);
    let now = pause;
    const next = async () => {
      if (!document.hidden) {
        const worked = await refresh();
        now = worked ? pause : Math.min(LONGEST_PAUSE, now * 2);
        hint(worked ? '· live' : '· cannot be read now; trying again');
      }
      setTimeout(next, now);
    };
    setTimeout(next, now);
  };

  // Follows an execution.
  const follow = () => {
    const place = document.querySelector('[data-events]');
    if (!place) return;
    const source = new EventSource(place.dataset.events);
    let waiting = false;
    source.addEventListener('progress', (event) => {
      if (!event.data) return;
      // HTML of this server, in which every value is escaped; the policy of the page runs no script of it.
      place.innerHTML = event.data;
      comforts(place);
      if (waiting) return;
      waiting = true;
      setTimeout(async () => {
        waiting = false;
        await refresh();
      }, LEAST_PAUSE);
    });
    source.addEventListener('ended', async () => {
      source.close();
      await refresh();
    });
    addEventListener('pagehide', () => source.close());
  };

  // Small comforts inside of an element.
  const comforts = (root) => {
    for (const time of root.querySelectorAll('time')) {
      const at = new Date(time.dateTime);
      if (!Number.isNaN(at.getTime())) time.title = `${at.toLocaleString()} (your time)`;
    }
    for (const table of root.querySelectorAll('[data-select]')) select(table);
  };

  // One box that checks all rows, and how many are checked.
  const select = (table) => {
    const boxes = [...table.querySelectorAll('tbody input[type="checkbox"]')];
    const head = table.querySelector('thead .check');
    const told = document.querySelector('[data-selected]');
    if (!head || boxes.length === 0) return;
    const all = document.createElement('input');
    all.type = 'checkbox';
    all.setAttribute('aria-label', 'Select all on this page');
    head.replaceChildren(all);
    const tell = () => {
      const checked = boxes.filter((box) => box.checked).length;
      all.checked = checked === boxes.length;
      all.indeterminate = checked > 0 && checked < boxes.length;
      if (told) told.textContent = checked > 0 ? `${checked} checked.` : 'Check devices in the list.';
    };
    all.addEventListener('change', () => {
      for (const box of boxes) box.checked = all.checked;
      tell();
    });
    table.addEventListener('change', tell);
    tell();
  };

  // The value of a field of a task, as its argument would be; undefined if it is empty.
  const filled = (name) => {
    const field = document.getElementsByName(name)[0];
    const text = field?.value.trim();
    if (!text) return undefined;
    const input = field.closest('[data-input]')?.dataset.input;
    if (['text', 'long-text', 'lines'].includes(input)) return text;
    try {
      return JSON.parse(text);
    } catch {
      return text;
    }
  };

  // Shows, hides, enables and disables fields as the rules of the UI schema say. A field in which something is wrong is always there.
  const followRules = () => {
    for (const place of document.querySelectorAll('[data-rules]')) {
      let [shown, enabled] = [true, true];
      for (const { effect, field, values } of JSON.parse(place.dataset.rules)) {
        const holds = values.includes(filled(field));
        if (effect === 'SHOW') shown &&= holds;
        if (effect === 'HIDE') shown &&= !holds;
        if (effect === 'ENABLE') enabled &&= holds;
        if (effect === 'DISABLE') enabled &&= !holds;
      }
      const isWrong = place.classList.contains('wrong');
      place.hidden = !shown && !isWrong;
      for (const each of place.querySelectorAll('input, select, textarea')) each.disabled = !enabled && !isWrong;
    }
  };
  document.addEventListener('input', followRules);
  // A browser does not send a disabled field, and what was filled in before belongs to the arguments.
  document.addEventListener('submit', (event) => {
    for (const each of event.target.querySelectorAll('[data-rules] :disabled')) each.disabled = false;
  });

  // Asks before what cannot be undone.
  document.addEventListener('click', (event) => {
    const button = event.target.closest('[data-confirm]');
    if (button && !confirm(button.dataset.confirm)) event.preventDefault();
  });

  comforts(document);
  followRules();
  poll();
  follow();
})();
