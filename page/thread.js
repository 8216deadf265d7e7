// @ts-check
// The branch that is shown: a list of messages, of which those near the screen are drawn whole.
/** @import {Message} from './types.js' */
/** @import {Actions} from './message.js' */
import {byId} from './dom.js';
import {MessageView} from './message.js';
import {Tree} from './tree.js';

const nearEnd = 60; // pixels

export class Thread {
  /** @param {Actions} actions */
  constructor(actions) {
    this.actions = actions;
    this.list = byId('thread');
    this.scroller = byId('scroller');
    this.toEnd = byId('to-end');
    /** @type {Map<string, MessageView>} by the message's id */
    this.views = new Map();
    this.follows = true;
    this.costMs = 0; // of the last drawing
    /** @type {Set<string>} */
    this.changed = new Set();
    this.near = new IntersectionObserver((entries) => this.#showNear(entries), {root: this.scroller, rootMargin: '800px'});
    this.scroller.addEventListener('scroll', () => this.#onScroll(), {passive: true});
    this.toEnd.addEventListener('click', () => this.goToEnd());
    new ResizeObserver(() => this.#keepEnd()).observe(this.list);
  }

  /** Shows a branch, keeping the views of messages that it shares with the one before. @param {Tree} tree @param {string | null} leaf */
  show(tree, leaf) {
    const path = tree.path(leaf);
    const wanted = new Set(path.map((message) => message.id));
    for (const [id, view] of this.views) if (!wanted.has(id)) this.#remove(id, view);
    path.forEach((message, i) => this.#place(tree, message, i));
    byId('welcome').hidden = path.length > 0;
  }

  /** @param {string} id @param {MessageView} view */
  #remove(id, view) {
    this.near.unobserve(view.element);
    view.element.remove();
    this.views.delete(id);
  }

  /** @param {Tree} tree @param {Message} message @param {number} at */
  #place(tree, message, at) {
    let view = this.views.get(message.id);
    if (!view) {
      view = new MessageView(message, this.actions);
      this.views.set(message.id, view);
      this.near.observe(view.element);
    }
    const branches = tree.branches(message);
    view.setBranches({index: branches.indexOf(message.id), count: branches.length});
    if (this.list.children[at] !== view.element) this.list.insertBefore(view.element, this.list.children[at] ?? null);
  }

  /** @param {IntersectionObserverEntry[]} entries */
  #showNear(entries) {
    for (const {isIntersecting, target} of entries) {
      if (!isIntersecting) continue;
      this.near.unobserve(target);
      this.views.get(/** @type {HTMLElement} */ (target).dataset.id ?? '')?.show();
    }
  }

  /** Draws the message with the next frame, however often it changes before. @param {Message} message */
  update(message) {
    const view = this.views.get(message.id);
    if (!view) return;
    view.message = message;
    // What is slow to draw is drawn less often, so that the page stays free for its user.
    if (!this.changed.size) setTimeout(() => requestAnimationFrame(() => this.#draw()), 3 * this.costMs);
    this.changed.add(message.id);
  }

  #draw() {
    const started = performance.now();
    for (const id of this.changed) {
      const view = this.views.get(id);
      view?.show();
      view?.update(view.message);
    }
    this.changed.clear();
    this.costMs = performance.now() - started;
  }

  #onScroll() {
    const {scrollTop, scrollHeight, clientHeight} = this.scroller;
    this.follows = scrollHeight - scrollTop - clientHeight < nearEnd;
    this.toEnd.hidden = this.follows;
  }

  #keepEnd() {
    if (this.follows) this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  goToEnd() {
    this.follows = true;
    this.toEnd.hidden = true;
    this.#keepEnd();
  }
}
