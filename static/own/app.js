// Everything the panel does in the browser beyond htmx. Every page works without it.
'use strict';
(() => {
  const find = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => root.querySelectorAll(selector);
  const words = document.body.dataset;
  const announce = (text) => { find('#announce').textContent = text; };

  // Regions that look again by themselves: paused while hidden, honest while the panel cannot be reached.

  let failures = 0;
  let lastNews = Date.now();
  let stale = false; // badges on the page say "unknown": the next answer must not be "unchanged"

  const isLive = (ctx) => ctx?.sourceElement?.hasAttribute?.('data-live');

  document.addEventListener('htmx:config:request', (event) => {
    const { ctx } = event.detail;
    if (!isLive(ctx)) return;
    if (document.hidden) event.preventDefault();
    else if (stale) ctx.request.body.delete('v');
  });

  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) { lastNews = Date.now(); look(); }
  });

  const look = () => all('[data-live]').forEach((region) => htmx.trigger(region, 'refresh'));

  const heard = () => {
    failures = 0;
    lastNews = Date.now();
    find('#offline').hidden = true;
  };

  const missed = () => {
    failures += 1;
    if (failures >= 2) find('#offline').hidden = false;
    if (Date.now() - lastNews < 30000 || stale) return;
    stale = true;
    all('[data-live] .state').forEach((badge) => {
      badge.replaceWith(find('#badge-unknown').content.cloneNode(true));
    });
  };

  document.addEventListener('htmx:after:request', (event) => {
    const { ctx } = event.detail;
    if (isLive(ctx)) (ctx.response.status >= 500 ? missed : heard)();
  });
  document.addEventListener('htmx:error', (event) => {
    if (isLive(event.detail.ctx)) missed();
  });

  document.addEventListener('htmx:after:swap', (event) => {
    const { ctx } = event.detail;
    if (isLive(ctx)) stale = false;
    if (find('#dialog-body').hasChildNodes()) showDialog();
    const refused = find('#dialog-body [aria-invalid=true]');
    if (ctx.request?.method === 'POST' && refused) refused.focus();
    if (ctx.sourceElement.matches?.('form.filters, #rows') && !isLive(ctx)) announce(find('[data-say]')?.dataset.say ?? '');
    leaveWhenDone();
    reveal();
  });

  // An action was accepted: the server says what, and the regions look at once.
  document.addEventListener('petitpont:changed', (event) => {
    closeDialog();
    all('[id^="err-"]').forEach((place) => place.replaceChildren());
    toast(event.detail.say);
    look();
  });

  // Questions: one dialog, filled by the link that asks, emptied when it closes.

  const dialog = find('#dialog');
  let opener = null;

  const showDialog = () => {
    if (dialog.open) return;
    const menu = document.activeElement.closest('details.menu');
    opener = menu ? find('summary', menu) : document.activeElement;
    if (menu) menu.open = false;
    dialog.showModal();
  };

  // Emptied at once: the close event comes a task later, and a list that looks again in between would open it again.
  const empty = () => find('#dialog-body').replaceChildren();
  const closeDialog = () => { empty(); dialog.close(); };
  dialog.addEventListener('cancel', empty);
  dialog.addEventListener('close', () => {
    empty();
    if (opener?.isConnected) opener.focus();
    else find('h1')?.focus();
  });

  // Clicks, by what the element says it does.

  document.addEventListener('click', (event) => {
    const hit = (selector) => event.target.closest?.(selector);
    if (hit('#dialog [data-close-dialog]')) { event.preventDefault(); closeDialog(); }
    if (hit('[data-copy]')) copy(hit('[data-copy]'));
    if (hit('[data-reveal]')) showPassword(hit('[data-reveal]'));
    if (hit('[data-fill]')) fill(event, hit('[data-fill]'));
    if (hit('[data-toast-close]')) hit('[data-toast]').remove();
    all('details.menu[open]').forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
  });

  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || dialog.open) return;
    all('details.menu[open]').forEach((menu) => { menu.open = false; find('summary', menu).focus(); });
  });

  const copy = async (button) => {
    const text = find('[data-text]', button.parentElement);
    const label = find('[data-copy-label]', button);
    const before = label.textContent;
    try {
      await navigator.clipboard.writeText(text.textContent); // absent on plain HTTP
      label.textContent = words.copied;
    } catch {
      getSelection().selectAllChildren(text);
      label.textContent = words.copyKeys;
    }
    announce(label.textContent);
    setTimeout(() => { label.textContent = before; }, 2000);
  };

  const showPassword = (button) => {
    const field = document.getElementById(button.dataset.reveal);
    const show = field.type === 'password';
    field.type = show ? 'text' : 'password';
    button.textContent = show ? button.dataset.hide : button.dataset.show;
    button.setAttribute('aria-pressed', String(show));
  };

  const fill = (event, link) => {
    event.preventDefault();
    const field = document.getElementById(link.dataset.fill);
    field.value = link.dataset.value;
    field.focus();
    field.dispatchEvent(new Event('input', { bubbles: true }));
  };

  // A form that leaves the page says that it is working, and is sent once.

  document.addEventListener('submit', (event) => {
    const { busy } = event.target.dataset;
    const button = find('button:not([type=button])', event.target);
    if (!busy || !button) return;
    button.dataset.before = button.textContent;
    setTimeout(() => { button.disabled = true; button.textContent = busy; });
  });

  addEventListener('pageshow', () => all('button[data-before]').forEach((button) => {
    button.disabled = false;
    button.textContent = button.dataset.before;
  }));

  // Successes are said for ten seconds, longer while somebody reads or stands on them.

  const toast = (text) => {
    if (!text) return;
    const note = document.createElement('div');
    note.className = 'toast-note';
    note.dataset.toast = '';
    note.append(text);
    find('#toasts').append(note);
    expire(note);
  };

  const expire = (note) => setTimeout(() => {
    if (note.matches(':hover, :focus-within')) expire(note);
    else note.remove();
  }, 10000);

  // A creation that is done moves on, unless the reader has begun to do something.

  let busy = false;
  ['scroll', 'keydown', 'pointerdown', 'focusin'].forEach((kind) => addEventListener(kind, () => { busy = true; }, { passive: true }));

  let leaving = false;
  const leaveWhenDone = () => {
    const link = find('a[data-move]');
    if (!link || leaving) return;
    leaving = true;
    setTimeout(() => { if (!busy) location.assign(link.href); }, 1000);
  };

  // Buttons that only work with scripts are hidden until there is one.
  const reveal = () => all('[data-copy][hidden], [data-reveal][hidden], [data-toast-close][hidden]').forEach((b) => { b.hidden = false; });

  reveal();
  leaveWhenDone();
  all('[data-toast]').forEach(expire);
  (find('main [aria-invalid=true][autofocus]') ?? find('main [aria-invalid=true]'))?.focus();
})();
