// @ts-check
// The list of conversations.
/** @import {Conversation} from './types.js' */
import {byId, element, iconButton} from './dom.js';

export class Sidebar {
  /** @param {(conversation: Conversation) => void} remove */
  constructor(remove) {
    this.remove = remove;
    this.list = byId('conversations');
    this.narrow = matchMedia('(max-width: 800px)');
    byId('toggle-sidebar').addEventListener('click', () => this.setOpen(document.body.classList.contains('no-sidebar')));
    byId('close-sidebar').addEventListener('click', () => this.setOpen(false));
    this.list.addEventListener('click', (/** @type {Event} */ event) => {
      if (this.narrow.matches && /** @type {Element} */ (event.target).closest('a')) this.setOpen(false);
    });
    this.setOpen(!this.narrow.matches);
  }

  /** @param {boolean} open */
  setOpen(open) {
    document.body.classList.toggle('no-sidebar', !open);
    byId('toggle-sidebar').setAttribute('aria-expanded', String(open));
    if (this.narrow.matches) byId(open ? 'new' : 'toggle-sidebar').focus();
  }

  /** @param {Conversation[]} conversations @param {string | undefined} current the id of the one that is open */
  show(conversations, current) {
    this.list.replaceChildren(...conversations.map((conversation) => {
      const title = conversation.title || 'New chat';
      const here = conversation.id === current;
      return element('li', {}, element('a', {href: `#${conversation.id}`, 'aria-current': here ? 'page' : null}, title),
                     iconButton('trash', `Delete ${title}`, () => this.remove(conversation)));
    }));
  }
}
