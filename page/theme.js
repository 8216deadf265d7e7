// Sets the chosen colours before the first paint; a module would run after it.
try {
  const theme = localStorage.getItem('pippin-theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch { /* no storage: the system's colours */ }
