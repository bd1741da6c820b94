// Loaded before the page is drawn, so that a dark page never flashes white. The server has set data-theme when the
// reader chose a theme; otherwise the system decides, also when it changes its mind.
(() => {
  const root = document.documentElement;
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const follow = () => { if (!root.dataset.theme) root.dataset.bsTheme = dark.matches ? 'dark' : 'light'; };
  follow();
  dark.addEventListener('change', follow);
})();
