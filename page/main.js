// @ts-check
// Puts the page together.
/** @import {Conversation} from './types.js' */
import {ApiError, askForKeyWith} from './api.js';
import {Chat} from './chat.js';
import {Composer} from './composer.js';
import {announce, byId, download, icon} from './dom.js';
import {Models} from './models.js';
import {Panel} from './panel.js';
import {SettingsDialog} from './settings.js';
import {Sidebar} from './sidebar.js';
import {Store} from './store.js';
import {exportText, importText} from './transfer.js';

/** @param {string} text */
function warn(text) {
  const banner = byId('banner');
  banner.textContent = text;
  banner.hidden = false;
}

/** Asks for the key until one is given. @param {boolean} wrong the one before was refused @returns {Promise<string>} */
function askKey(wrong) {
  const dialog = byId('key-dialog');
  byId('key-error').textContent = wrong ? 'The server does not know this key.' : '';
  dialog.showModal();
  document.documentElement.dataset.ready = '';
  return new Promise((resolve, reject) => {
    dialog.onclose = () => reject(new ApiError(401, 'This server asks for a key.'));
    dialog.querySelector('form').onsubmit = (/** @type {Event} */ event) => {
      event.preventDefault();
      resolve(byId('key').value);
      byId('key').value = '';
      dialog.close();
    };
  });
}

function setIcons() {
  const names = {'toggle-sidebar': 'menu', 'close-sidebar': 'close', export: 'export', 'open-settings': 'settings', 'toggle-panel': 'panel',
                 attach: 'attach', send: 'send', stop: 'stop'};
  for (const [id, name] of Object.entries(names)) {
    byId(id).append(icon(/** @type {any} */ (name)));
    byId(id).title ||= byId(id).getAttribute('aria-label');
  }
}

function setUpTheme() {
  const button = byId('theme');
  const themes = ['auto', 'light', 'dark'];
  const labels = {auto: 'as the system has them', light: 'light', dark: 'dark'};
  const show = (/** @type {string} */ theme) => {
    if (theme === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    const label = `Colours: ${labels[/** @type {'auto'} */ (theme)]}`;
    button.setAttribute('aria-label', label);
    button.title = label;
    button.replaceChildren(icon(/** @type {any} */ (theme)));
  };
  let theme = document.documentElement.dataset.theme ?? 'auto';
  show(theme);
  button.addEventListener('click', () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    localStorage.setItem('pippin-theme', theme);
    show(theme);
  });
}

/** @param {Panel} panel */
function setUpPanel(panel) {
  const button = byId('toggle-panel');
  const set = (/** @type {boolean} */ open) => {
    button.setAttribute('aria-expanded', String(open));
    panel.setOpen(open);
  };
  button.addEventListener('click', () => {
    const open = byId('panel').hidden;
    localStorage.setItem('pippin-panel', open ? 'open' : 'closed');
    set(open);
  });
  set((localStorage.getItem('pippin-panel') ?? (innerWidth >= 1200 ? 'open' : 'closed')) === 'open' && innerWidth > 800);
}

/** @param {Store} store @param {() => Promise<void>} listed @param {Chat} chat */
function setUpTransfer(store, listed, chat) {
  const entry = async (/** @type {Conversation} */ conversation) => ({conversation, messages: await store.messages(conversation.id)});
  byId('export').addEventListener('click', async () => {
    download('conversation.json', exportText([await entry(chat.conversation)]));
  });
  byId('export-all').addEventListener('click', async () => {
    download('conversations.json', exportText(await Promise.all((await store.conversations()).map(entry))));
  });
  byId('import').addEventListener('click', () => byId('import-file').click());
  byId('import-file').addEventListener('change', async () => {
    const [file] = byId('import-file').files;
    try {
      const entries = importText(await file.text());
      for (const {conversation, messages} of entries) await store.putAll(conversation, messages);
      await listed();
      announce(`Imported ${entries.length} conversations`);
      if (entries.length) location.hash = entries[0].conversation.id;
    } catch (error) {
      warn(`Nothing was imported: ${/** @type {Error} */ (error).message}.`);
    }
    byId('import-file').value = '';
  });
}

/** @param {Chat} chat */
function setUpKeys(chat) {
  addEventListener('keydown', (event) => {
    const typing = /** @type {Element} */ (event.target).matches('input, textarea, select');
    const command = (event.ctrlKey || event.metaKey) && event.shiftKey ? event.key.toLowerCase() : '';
    if (event.key === 'Escape' && chat.busy) chat.stop();
    else if (command === 'o') byId('new').click();
    else if (command === 's') byId('toggle-panel').click();
    else if (event.key === '/' && !typing) byId('input').focus();
    else if (event.key === 'ArrowUp' && event.target === byId('input') && !byId('input').value) chat.editLast();
    else return;
    event.preventDefault();
  });
}

async function start() {
  setIcons();
  setUpTheme();
  askForKeyWith(askKey);
  const store = await Store.open();
  const panel = new Panel();
  const composer = new Composer((text, attachments) => chat.send(text, attachments), () => chat.stop());
  const models = new Models((inputs) => composer.setInputs(inputs));
  const sidebar = new Sidebar(async (conversation) => {
    if (!confirm(`Delete "${conversation.title || 'New chat'}"?`)) return;
    if (conversation.id === chat.conversation.id) chat.stop();
    await store.remove(conversation.id);
    await listed();
    if (conversation.id === chat.conversation.id) location.hash = '';
  });
  const listed = async () => sidebar.show(await store.conversations(), chat.conversation.id);
  const chat = new Chat(store, {
    listed,
    opened: () => {
      const {title} = chat.conversation;
      if (document.activeElement !== byId('title')) byId('title').value = title;
      document.title = title ? `${title} – Pippin` : 'Pippin';
      composer.setBusy(chat.busy);
      listed();
    },
    answered: (message) => {
      panel.showAnswer(message);
      composer.setBusy(chat.busy);
    },
    failed: () => models.check(),
    unsaved: (error) => warn(`This browser could not keep the conversation: ${/** @type {Error} */ (error).message}`),
  }, () => models.current);

  const settings = new SettingsDialog((changed) => chat.setSettings(changed));
  byId('open-settings').addEventListener('click', () => settings.open(chat.conversation.settings));
  byId('title').addEventListener('change', () => chat.rename(byId('title').value.trim()));
  byId('new').addEventListener('click', async () => {
    history.pushState(null, '', location.pathname);
    await chat.open('');
    if (sidebar.narrow.matches) sidebar.setOpen(false);
    byId('input').focus();
  });
  setUpPanel(panel);
  setUpTransfer(store, listed, chat);
  setUpKeys(chat);
  addEventListener('hashchange', () => chat.open(location.hash.slice(1)));
  await Promise.all([chat.open(location.hash.slice(1)), models.load()]);
  byId('input').focus();
  document.documentElement.dataset.ready = '';
}

start().catch((error) => warn(`The page could not start: ${error.message}`));
